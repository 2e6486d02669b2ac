import { expect, test, vi } from 'vitest';
import { transact } from '../../../activity/store.ts';
import { type LiveMessage, textOf } from '../../../api/live/messages.ts';
import { type BackupChainState, backupChain, backupChainId, pauseRun } from '../../../domain/backup-chain.ts';
import { streamName } from '../../../domain/event.ts';
import type { Platform } from '../../../domain/ports.ts';
import { itemKey } from '../../../projections/engine/projection.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { projections } from '../../../projections/index.ts';
import { runView } from '../../../projections/runs.ts';
import { testPlatform } from '../../support/api.ts';
import { account, expectOrder, messagesAfter, runSteps, wholeRun } from './given.ts';

const ofRuns = (messages: LiveMessage[]) => messages.filter(({ type }) => type !== 'activity');
const progress = ({ data }: LiveMessage) => data.progress as { [count: string]: number | null };

/** A client that gets the messages of each commit before the next commit. */
async function follow(platform: Platform, ...steps: (() => Promise<unknown>)[]): Promise<LiveMessage[]> {
  const messages: LiveMessage[] = [];
  for (const step of steps) {
    const [before] = await platform.events.ledger(account, { order: 'desc', limit: 1 });
    await step();
    messages.push(...(await messagesAfter(platform, before?.seq ?? 0)));
  }
  expectOrder(messages);
  return ofRuns(messages);
}

test('reports a run from request to end, and ends at 100 % with the counts of its last event', async () => {
  const platform = await testPlatform();
  const { request, start, plan, store, finish } = runSteps(platform, 'run_1', 3);
  const stores = [0, 1, 2].map((n) => () => store(n));
  const messages = await follow(platform, request, start, plan, ...stores, finish);
  expect(messages.map((message) => [message.type, message.data.status, progress(message).percent])).toEqual([
    ['run.progress', 'requested', null],
    ['run.progress', 'paused', null],
    ['run.progress', 'running', 0],
    ['run.progress', 'paused', 33],
    ['run.progress', 'running', 66],
    ['run.progress', 'paused', 99],
    ['run.finished', 'succeeded', 100],
  ]);
  expect(progress(messages.at(-1) as LiveMessage)).toMatchObject({ filesTotal: 35, filesDone: 30, bytesStored: 157 });
});

test('reports several events of a run once, as the run is now, and a run that has ended only with its end', async () => {
  const platform = await testPlatform();
  const steps = runSteps(platform, 'run_1', 2);
  await steps.request();
  await steps.start();
  await steps.plan();
  await steps.store(0);
  const open = ofRuns(await messagesAfter(platform));
  expect(open).toMatchObject([{ seq: 4.5, type: 'run.progress', data: { progress: { filesDone: 10 } } }]);
  await steps.store(1);
  await steps.finish();
  expect(ofRuns(await messagesAfter(platform)).map(({ seq, type }) => [seq, type])).toEqual([[6.5, 'run.finished']]);
  expect(ofRuns(await messagesAfter(platform, 3)).map(({ seq }) => seq)).toEqual([6.5]);
});

test.for(['failed', 'cancelled'] as const)('keeps the counts of a run that ends as %s', async (outcome) => {
  const platform = await testPlatform();
  const steps = runSteps(platform, 'run_1', 3);
  await steps.request();
  await steps.start();
  await steps.plan();
  await steps.store(0);
  await steps.finish(outcome);
  expect(ofRuns(await messagesAfter(platform)).at(-1)).toMatchObject({
    type: 'run.finished',
    data: {
      status: outcome,
      progress: { filesTotal: 35, filesDone: 10, percent: 33 },
      cost: { requests: 2, usd: 0.5 },
    },
  });
});

test('reports the end of a run that the read model does not show, and no progress after it', async () => {
  const platform = await testPlatform();
  const steps = runSteps(platform, 'run_1', 2);
  await steps.request();
  await steps.start();
  await steps.plan();
  const late = await platform.rows.get(itemKey('runs', account, 'run_1'));
  await steps.finish();
  const get = vi.spyOn(platform.rows, 'get').mockImplementation(async () => late);
  const [finished, ...others] = ofRuns(await messagesAfter(platform));
  expect(others).toEqual([]);
  expect(finished).toMatchObject({
    type: 'run.finished',
    data: { status: 'succeeded', startedAt: expect.any(String), progress: { filesDone: 20, percent: 100 } },
  });
  expect(ofRuns(await messagesAfter(platform, 4))).toEqual([]);
  get.mockImplementation(async () => undefined);
  expect(ofRuns(await messagesAfter(platform))).toMatchObject([
    {
      type: 'run.finished',
      data: { id: 'run_1', jobId: 'job_run_1', status: 'succeeded', requestedAt: expect.any(String) },
    },
  ]);
});

test('reports no percentage for a run that ended before it was planned', async () => {
  const platform = await testPlatform();
  const steps = runSteps(platform, 'run_1', 3);
  await steps.request();
  await steps.start();
  await steps.finish('failed');
  expect(ofRuns(await messagesAfter(platform)).at(-1)).toMatchObject({
    type: 'run.finished',
    data: { progress: { percent: null } },
  });
});

test('gives a message the same seq and data wherever the reading starts', async () => {
  const platform = await testPlatform();
  await wholeRun(platform, 'run_1', 2);
  const [one, two] = [runSteps(platform, 'run_2', 2), runSteps(platform, 'run_3', 2)];
  for (const step of ['request', 'start', 'plan'] as const) for (const steps of [one, two]) await steps[step]();
  for (const n of [0, 1]) for (const steps of [one, two]) await steps.store(n);
  await two.finish();
  const all = await messagesAfter(platform);
  for (let from = 1; from <= Math.floor(all.at(-1)?.seq ?? 0); from++) {
    expect(await messagesAfter(platform, from - 1), `from ${from}`).toEqual(all.filter(({ seq }) => seq >= from));
  }
});

test('reads no older ledger entry for a run with 600 batches', async () => {
  const platform = await testPlatform();
  const steps = runSteps(platform, 'run_1', 700);
  await steps.request();
  await steps.start();
  await steps.plan();
  for (let n = 0; n < 600; n++) await steps.store(n);
  const ledger = vi.spyOn(platform.events, 'ledger');
  const [message] = ofRuns(await messagesAfter(platform, 602));
  expect(message).toMatchObject({ type: 'run.progress', data: { id: 'run_1', progress: { filesDone: 6000 } } });
  expect(ledger.mock.calls).toHaveLength(1);
});

test('gives each message its own seq, whose integer part is the number of the commit', async () => {
  const platform = await testPlatform();
  await runSteps(platform, 'run_1', 1).request();
  const runRef = { runId: 'run_1', jobId: 'job_run_1', sourceId: 'src_1' };
  const both = (state: BackupChainState) => [
    ...pauseRun(runRef, true)(state),
    { type: 'RunResumed' as const, data: { ...runRef, backupChain: state } },
  ];
  const cause = { actor: { type: 'system' as const, id: 'test' }, correlationId: 'x', commandId: 'x' };
  const stream = streamName(account, 'backup-chain', backupChainId(runRef.jobId, runRef.sourceId));
  const paused = await transact(platform, backupChain, stream, both, cause);
  await handleNotifications(platform, projections, [paused]);
  const messages = await messagesAfter(platform);
  expect(messages.map(({ seq, type }) => [seq, type])).toEqual([
    [1, 'activity'],
    [2, 'activity'],
    [2.5, 'activity'],
    [2.75, 'run.progress'],
  ]);
  for (const { seq } of messages) expect(Number(JSON.parse(JSON.stringify(seq)))).toBe(seq);
});

test('limits a message to 128 KB: a run loses its last errors, an event its data', async () => {
  const errors = Array.from({ length: 100 }, (_, i) => ({ path: `${i} ${'é'.repeat(2000)}`, code: 'x', message: 'x' }));
  const data = (await runView(await testPlatform(), account, { id: 'run_1', errors })) as never;
  const text = textOf({ seq: 1.5, type: 'run.finished', at: 'then', data });
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(128 * 1024);
  const kept = JSON.parse(text).data.errors;
  expect(kept.length).toBeGreaterThan(10);
  expect(kept).toEqual(errors.slice(0, kept.length));
  const item = textOf({
    seq: 1,
    type: 'activity',
    at: 'then',
    data: { id: 'evt_1', type: 'run.finished.v1', data: { errors } },
  });
  expect(JSON.parse(item).data).toEqual({ id: 'evt_1', type: 'run.finished.v1', data: null });
  const small = {
    seq: 1,
    type: 'activity' as const,
    at: 'then',
    data: { id: 'evt_1', data: { errors: errors.slice(0, 1) } },
  };
  expect(JSON.parse(textOf(small))).toEqual(small);
});
