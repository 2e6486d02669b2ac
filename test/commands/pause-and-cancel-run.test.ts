import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cancelRun } from '../../commands/cancel-run.ts';
import { pauseRun } from '../../commands/pause-run.ts';
import { backupChainId } from '../../domain/backup-chain.ts';
import { streamName } from '../../domain/event.ts';
import { progressKey } from '../../domain/run.ts';
import { handleMessage } from '../../processors/runner.ts';
import { getRun } from '../../projections/runs.ts';
import { makeCorpus } from '../faults/corpus.ts';
import { account, command, makeWorld, statusOf } from '../faults/world.ts';
import { expectClean } from '../support/check.ts';

/** A run whose plan is done and whose messages of batches are in the queue. */
async function plannedRun() {
  const world = await makeWorld();
  await makeCorpus(world.source);
  const runId = await world.request();
  await world.caughtUp();
  for (const { body, receipt } of await world.receive('job')) {
    await handleMessage(world.deployment, body, { deadline: Number.POSITIVE_INFINITY });
    await world.platform.queue.ack('job', receipt);
  }
  const ids = { runId, jobId: world.jobId, sourceId: world.sourceId };
  return { world, ids, runId };
}

it('keeps a paused run as it is until it is resumed, and then completes it', async () => {
  const { world, ids, runId } = await plannedRun();
  await pauseRun(world.platform, command(), ids, true);
  await world.caughtUp();
  const [paused, ...others] = await world.receive('job');
  expect(others).toEqual([]);
  await handleMessage(world.deployment, paused?.body ?? {}, { deadline: 0 });
  await world.platform.queue.ack('job', paused?.receipt ?? '');
  const progress = () => world.platform.records.get(progressKey(account, runId));
  const before = await progress();
  await world.settle();
  expect(await statusOf(world, runId)).toBe('paused');
  expect(await progress()).toEqual(before);
  await pauseRun(world.platform, command(), ids, false);
  await world.settle();
  expect(await statusOf(world, runId)).toBe('succeeded');
  await expectClean(world.platform, { deployment: world.deployment });
});

it('pauses and resumes a run whose events arrive in another order', async () => {
  const world = await makeWorld();
  await makeCorpus(world.source);
  const runId = await world.request();
  const ids = { runId, jobId: world.jobId, sourceId: world.sourceId };
  const deliverReversed = async () => {
    await world.caughtUp();
    for (const { body, receipt } of (await world.receive('job')).reverse()) {
      await handleMessage(world.deployment, body, { deadline: Number.POSITIVE_INFINITY });
      await world.platform.queue.ack('job', receipt);
    }
  };
  await pauseRun(world.platform, command(), ids, true);
  await deliverReversed();
  await world.settle();
  expect(await statusOf(world, runId)).toBe('paused');
  expect(await world.platform.records.get(progressKey(account, runId))).toMatchObject({ data: { isPlanned: false } });
  for (const isPaused of [false, true, false]) await pauseRun(world.platform, command(), ids, isPaused);
  await deliverReversed();
  await world.settle();
  expect(await statusOf(world, runId)).toBe('succeeded');
  await expectClean(world.platform);
});

it('ends the tasks of a run that is cancelled while it is paused', async () => {
  const { world, ids, runId } = await plannedRun();
  await pauseRun(world.platform, command(), ids, true);
  await world.settle();
  await cancelRun(world.platform, command(), ids);
  await world.settle();
  expect(await statusOf(world, runId)).toBe('cancelled');
  await expectClean(world.platform);
});

it('ends a cancelled run with the start, counts and cost that its progress had', async () => {
  const { world, ids, runId } = await plannedRun();
  const [batch] = await world.receive('data');
  await handleMessage(world.deployment, batch?.body ?? {}, { deadline: Number.POSITIVE_INFINITY });
  const running = await getRun(world.platform, account, runId);
  expect(running?.progress.filesDone).toBeGreaterThan(0);
  await cancelRun(world.platform, command(), ids);
  await world.settle();
  const { status, progress, cost, startedAt } = (await getRun(world.platform, account, runId)) ?? {};
  expect(status).toBe('cancelled');
  expect(progress).toEqual(running?.progress);
  expect(progress?.percent).not.toBeNull();
  expect({ cost, startedAt }).toEqual({ cost: running?.cost, startedAt: running?.startedAt });
  await expectClean(world.platform);
});

it('writes the counts of a run with its restore point', async () => {
  const world = await makeWorld();
  await writeFile(join(world.source, 'a'), 'abc');
  const runId = await world.request();
  await world.settle();
  const stream = streamName(account, 'backup-chain', backupChainId(world.jobId, world.sourceId));
  // The request and the restore point: a run has no other event.
  expect((await world.platform.events.last(stream))?.version).toBe(2);
  expect(await getRun(world.platform, account, runId)).toMatchObject({
    status: 'succeeded',
    startedAt: expect.any(String),
    progress: { filesTotal: 1, filesDone: 1, bytesRead: 3, percent: 100 },
  });
});

it.each(['pause', 'cancel'] as const)('rejects the %s of a run that has its restore point', async (verb) => {
  const world = await makeWorld();
  const runId = await world.request();
  await world.settle();
  const ids = { runId, jobId: world.jobId, sourceId: world.sourceId };
  const change =
    verb === 'pause' ? pauseRun(world.platform, command(), ids, true) : cancelRun(world.platform, command(), ids);
  await expect(change).rejects.toMatchObject({ code: 'run-over' });
});
