/** Concurrent requests where only one may succeed: one wins, the other is refused, and read models never go back. */
import { expect, it } from 'vitest';
import { createJob } from '../../commands/create-job.ts';
import { runJob } from '../../commands/run-job.ts';
import { makeChaos } from '../../infra/embedded/chaos.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { projections } from '../../projections/index.ts';
import { listRuns } from '../../projections/runs.ts';
import { expectClean } from '../support/check.ts';
import { openTestPlatform } from '../support/embedded.ts';
import { auditLedger } from '../support/ledger.ts';
import { changeCorpus, makeCorpus } from './corpus.ts';
import { someSeeds } from './fault-schedule.ts';
import { allRows } from './repeated-deliveries.ts';
import { account, command, makeWorld } from './world.ts';

it.each(someSeeds(3))(
  'a user and a schedule that request a run at the same time: one gets it, the other is refused (%i)',
  async (seed) => {
    const world = await makeWorld();
    await makeCorpus(world.source);
    for (let round = 1; round <= 3; round++) {
      const schedule = { ...command(), actor: { type: 'system', id: 'schedule' } } as const;
      const askers = [command(), schedule, command(), schedule];
      // Alternate which request is sent first
      const order = seed % 2 === round % 2 ? askers : askers.toReversed();
      const answers = await Promise.allSettled(order.map((each) => runJob(world.platform, each, world.jobId)));
      const ids = new Set(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.id] : [])));
      expect(ids.size).toBe(1);
      for (const answer of answers) {
        if (answer.status === 'rejected')
          expect(answer.reason).toMatchObject({ code: 'run-open', extra: { runId: [...ids][0] } });
      }
      await world.settle();
      const { items } = await listRuns(world.platform, account, { limit: 10 });
      expect(items.map(({ status }) => status)).toEqual(Array.from({ length: round }, () => 'succeeded'));
    }
    expect(await auditLedger(world.platform, account)).toMatchObject({
      RunRequested: 3,
      RestorePointCreated: 3,
    });
    await expectClean(world.platform, { deployment: world.deployment });
  },
);

it.each(someSeeds(3))('two jobs on one source run concurrently, and each finishes (%i)', async (seed) => {
  const world = await makeWorld({ seed });
  await makeCorpus(world.source);
  const { id: other } = await createJob(world.platform, command(), { name: 'Weekly', sourceId: world.sourceId });
  for (const change of [async () => {}, changeCorpus]) {
    await change(world.source);
    await Promise.all([world.jobId, other].map((jobId) => runJob(world.platform, command(), jobId)));
    await world.settle();
  }
  const { items } = await listRuns(world.platform, account, { limit: 10 });
  expect(items.map(({ status }) => status)).toEqual(['succeeded', 'succeeded', 'succeeded', 'succeeded']);
  expect(items.filter(({ jobId }) => jobId === other)).toHaveLength(2);
  expect(await auditLedger(world.platform, account)).toMatchObject({
    RunRequested: 4,
    RestorePointCreated: 4,
  });
  await expectClean(world.platform, { deployment: { ...world.deployment, platform: world.platform } });
});

it('streams applied in any order make identical rows', async () => {
  const world = await makeWorld();
  await makeCorpus(world.source);
  const { id: other } = await createJob(world.platform, command(), { name: 'Weekly', sourceId: world.sourceId });
  for (const jobId of [world.jobId, other]) {
    await runJob(world.platform, command(), jobId);
    await world.settle();
  }
  const inOrder = await allRows(world.platform);
  const notifications = await world.platform.events.ledger(account, { order: 'asc', limit: 1000 });
  const streams = [...new Set(notifications.map(({ stream }) => stream))];
  for (const order of [streams.toReversed(), ...someSeeds(5).map((seed) => makeChaos(seed).shuffled(streams))]) {
    const { platform } = await openTestPlatform();
    const elsewhere = { ...world.platform, rows: platform.rows, records: platform.records };
    for (const stream of order)
      await handleNotifications(
        elsewhere,
        projections,
        notifications.filter((notification) => notification.stream === stream),
      );
    expect(await allRows(elsewhere)).toEqual(inOrder);
  }
});
