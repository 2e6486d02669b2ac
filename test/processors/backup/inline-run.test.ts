/** A run that is stored and committed in the claim of its plan. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { inThreadEngine } from '../../../processors/backup/in-thread-engine.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { makeWorld, statusOf } from '../../faults/world.ts';

it('is committed although the time of its worker is over', async () => {
  const world = await makeWorld();
  await writeFile(join(world.source, 'a.txt'), 'a');
  const engine = inThreadEngine(world.platform);
  const deployment = {
    ...world.deployment,
    engine: {
      ...engine,
      /** Pauses at a checkpoint, as a commit of a large manifest does. */
      commit: async (...[request, calls, stop]: Parameters<typeof engine.commit>) =>
        (await calls.isOver()) ? { paused: true as const } : engine.commit(request, calls, stop),
    },
  };
  const runId = await world.request();
  await world.settle((body) => handleMessage(deployment, body, { deadline: 0 }));
  expect(await statusOf(world, runId)).toBe('succeeded');
});
