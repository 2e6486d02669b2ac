/** Workers that finish their step after another worker, or the user, has ended the run. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cancelRun } from '../../../commands/cancel-run.ts';
import type { JsonObject, QueueName } from '../../../domain/ports.ts';
import type { Engine } from '../../../processors/backup/engine.ts';
import { inThreadEngine } from '../../../processors/backup/in-thread-engine.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { account, command, makeWorld, statusOf, type World } from '../../faults/world.ts';
import { expectClean } from '../../support/check.ts';
import { noise } from '../../vault/vault-fixture.ts';

/** Too large for a record, so it is saved as a blob. */
const large = noise(300_000);

/** An engine that calls `before` when it has a result, and makes the result large. */
function lateEngine({ platform }: World, before: () => Promise<void>): Engine {
  const engine = inThreadEngine(platform);
  return {
    ...engine,
    plan(request, { advance }, stop) {
      const late: typeof advance = async (step) => {
        await before();
        return advance({ ...step, position: { ...step.position, bytes: large } });
      };
      return engine.plan(request, { advance: late }, stop);
    },
    async store(...work) {
      const result = await engine.store(...work);
      await before();
      return { ...result, part: large };
    },
  };
}

async function next(world: World, queue: QueueName): Promise<JsonObject> {
  await world.caughtUp();
  const [message] = await world.receive(queue);
  if (!message) throw new Error('no message');
  await world.platform.queue.ack(queue, message.receipt);
  return message.body;
}

const ends = {
  cancelled: (world: World, runId: string) =>
    cancelRun(world.platform, command(), { runId, jobId: world.jobId, sourceId: world.sourceId }),
  succeeded: (world: World, _runId: string, body: JsonObject) => world.handle(body, 1),
};

it.each([
  ['plan', 'cancelled'],
  ['plan', 'succeeded'],
  ['store', 'cancelled'],
  ['store', 'succeeded'],
] as const)('a late %s removes what it wrote when the run was %s meanwhile', async (step, outcome) => {
  const world = await makeWorld();
  await writeFile(join(world.source, 'a'), 'a');
  const runId = await world.request();
  let body = await next(world, 'job');
  if (step === 'store') {
    await world.handle(body, 1);
    body = await next(world, 'data');
  }
  const before = async () => {
    await ends[outcome](world, runId, body);
    await world.settle();
    expect(await statusOf(world, runId)).toBe(outcome);
  };
  const deployment = { ...world.deployment, engine: lateEngine(world, before) };
  await handleMessage(deployment, body, { receives: 1, deadline: Number.POSITIVE_INFINITY });
  expect(await world.platform.blobs.list(`work/${account}/`, { limit: 10 })).toEqual({ items: [], next: null });
  await world.settle();
  expect(await statusOf(world, runId)).toBe(outcome);
  await expectClean(world.platform);
});
