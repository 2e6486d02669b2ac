/** Workers that finish their step after another worker, or the user, has ended the run. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cancelRun } from '../../../commands/cancel-run.ts';
import type { Engine } from '../../../processors/backup/engine.ts';
import { inThreadEngine } from '../../../processors/backup/in-thread-engine.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { leaseMs } from '../../../tasks/task.ts';
import { openGroups } from '../../../tasks/task-records.ts';
import { smallLimits } from '../../faults/small-limits.ts';
import { account, command, makeWorld, statusOf, type World } from '../../faults/world.ts';
import { expectClean } from '../../support/check.ts';
import { noise } from '../../vault/vault-fixture.ts';

/** Too large for a record, so it is saved as a blob. */
const large = noise(300_000);

/** An engine that calls `before` when it has a result, and makes the result large. */
function lateEngine({ platform }: World, step: 'plan' | 'store', before: () => Promise<void>): Engine {
  const engine = inThreadEngine(platform);
  return {
    ...engine,
    plan(request, { advance }, stop) {
      const late: typeof advance = async (next) => {
        if (step === 'plan') await before();
        return advance(step === 'plan' ? { ...next, position: { ...next.position, bytes: large } } : next);
      };
      return engine.plan(request, { advance: late }, stop);
    },
    async store(...work) {
      const result = await engine.store(...work);
      if (step === 'store') await before();
      return 'paused' in result ? result : { ...result, part: step === 'store' ? large : result.part };
    },
  };
}

/** Handles the first message of the run. */
async function begin(world: World, handle: World['handle']): Promise<void> {
  await world.caughtUp();
  for (const queue of ['job', 'data'] as const) {
    for (const { body, receipt } of await world.receive(queue)) {
      await world.platform.queue.ack(queue, receipt);
      await handle(body);
    }
  }
}

const ends = {
  cancelled: (world: World, runId: string) =>
    cancelRun(world.platform, command(), { runId, jobId: world.jobId, sourceId: world.sourceId }),
  // The lease of the late worker ends, and another worker gets its task.
  succeeded: (world: World) => world.pass(leaseMs + 1000),
};

it.each([
  ['plan', 'cancelled'],
  ['plan', 'succeeded'],
  ['store', 'cancelled'],
  ['store', 'succeeded'],
] as const)('a late %s removes what it wrote when the run was %s meanwhile', async (step, outcome) => {
  const world = await makeWorld();
  const files = step === 'plan' ? 1 : smallLimits.batchItems + 1;
  for (let n = 0; n < files; n++) await writeFile(join(world.source, `${n}`), `${n}`);
  const runId = await world.request();
  let isLate = true;
  const before = async () => {
    if (!isLate) return;
    isLate = false;
    await ends[outcome](world, runId);
    await world.settle();
    expect(await statusOf(world, runId)).toBe(outcome);
  };
  const engine = lateEngine(world, step, before);
  await begin(world, (body) => handleMessage({ ...world.deployment, engine }, body, { deadline: Infinity }));
  await world.settle();
  expect(isLate).toBe(false);
  expect(await world.platform.blobs.list(`work/${account}/`, { limit: 10 })).toEqual({ items: [], next: null });
  expect((await openGroups(world.platform.records, account)).size).toBe(0);
  expect(await statusOf(world, runId)).toBe(outcome);
  await expectClean(world.platform);
});
