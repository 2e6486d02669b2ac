import { expect, test } from 'vitest';
import { openEntries } from '../../../activity/feed.ts';
import { transact } from '../../../activity/store.ts';
import { type LiveMessage, messagesOf, textOf } from '../../../api/live/messages.ts';
import { streamName } from '../../../domain/event.ts';
import { run } from '../../../domain/run.ts';
import { runView } from '../../../projections/runs.ts';
import { testPlatform } from '../../support/api.ts';
import { account, messagesAfter, runSteps, wholeRun } from './given.ts';

const ofRuns = (messages: LiveMessage[]) => messages.filter(({ type }) => type !== 'activity');
type Progress = { [count: string]: number | null };
const progress = ({ data }: LiveMessage) => data.progress as Progress;

function expectNoDecrease(messages: LiveMessage[]): void {
  for (const count of Object.keys(messages.at(-1)?.data.progress ?? {})) {
    const values = messages.map((message) => progress(message)[count] ?? 0);
    expect(values, count).toEqual(values.toSorted((a, b) => a - b));
  }
}

test('reports a run from request to end, and ends at 100 % with the counts of its last event', async () => {
  const platform = await testPlatform();
  await wholeRun(platform, 'run_1', 3);
  const messages = ofRuns(await messagesAfter(platform));
  expect(messages.map(({ type, data }) => [type, data.status, progress({ data } as LiveMessage).percent])).toEqual([
    ['run.progress', 'requested', null],
    ['run.progress', 'running', null],
    ['run.progress', 'running', 14],
    ['run.progress', 'running', 42],
    ['run.progress', 'running', 71],
    ['run.progress', 'running', 99],
    ['run.finished', 'succeeded', 100],
  ]);
  expectNoDecrease(messages);
  expect(progress(messages.at(-1) as LiveMessage)).toMatchObject({ filesTotal: 35, filesDone: 30, bytesStored: 157 });
});

test('never decreases a count and ends with run.finished, for any order of the steps in the ledger', async () => {
  const orders = [
    ['store 0', 'start', 'plan', 'store 1', 'finish'],
    ['start', 'store 1', 'store 0', 'plan', 'finish'],
    ['start', 'plan', 'finish', 'store 0', 'store 1'],
    ['start', 'plan', 'store 0', 'finish', 'store 1'],
  ];
  for (const order of orders) {
    const platform = await testPlatform();
    const steps = runSteps(platform, 'run_1', 2);
    const take = {
      start: steps.start,
      plan: steps.plan,
      finish: () => steps.finish(),
      'store 0': () => steps.store(0),
      'store 1': () => steps.store(1),
    };
    await steps.request();
    for (const step of order) await take[step as keyof typeof take]();
    const messages = ofRuns(await messagesAfter(platform));
    expectNoDecrease(messages);
    expect(messages.map(({ type }) => type).indexOf('run.finished')).toBe(messages.length - 1);
    expect(progress(messages.at(-1) as LiveMessage)).toMatchObject({ percent: 100, filesDone: 20 });
  }
});

test.for(['failed', 'cancelled'] as const)('keeps the counts of a run that ends as %s', async (outcome) => {
  const platform = await testPlatform();
  const steps = runSteps(platform, 'run_1', 3);
  await steps.request();
  await steps.start();
  await steps.plan();
  await steps.store(0);
  await steps.finish(outcome);
  const messages = ofRuns(await messagesAfter(platform));
  expectNoDecrease(messages);
  expect(messages.at(-1)).toMatchObject({
    type: 'run.finished',
    data: {
      status: outcome,
      progress: { filesTotal: 35, filesDone: 10, percent: 42 },
      cost: { requests: 2, usd: 0.5 },
    },
  });
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

test('makes the same messages from any start in the ledger', async () => {
  const platform = await testPlatform();
  await wholeRun(platform, 'run_1', 2);
  const [one, two] = [runSteps(platform, 'run_2', 2), runSteps(platform, 'run_3', 2)];
  for (const step of ['request', 'start', 'plan'] as const) for (const steps of [one, two]) await steps[step]();
  for (const n of [0, 1]) for (const steps of [one, two]) await steps.store(n);
  await two.finish();
  await one.finish();
  const all = await messagesAfter(platform);
  for (let from = 1; from <= Math.floor(all.at(-1)?.seq ?? 0); from++) {
    expect(await messagesAfter(platform, from - 1), `from ${from}`).toEqual(all.filter(({ seq }) => seq >= from));
  }
});

test('reads back to the request of a run with 600 batches', async () => {
  const platform = await testPlatform();
  await wholeRun(platform, 'run_0', 1);
  const steps = runSteps(platform, 'run_1', 700);
  await steps.request();
  await steps.start();
  await steps.plan();
  for (let n = 0; n < 600; n++) await steps.store(n);
  const [last] = await platform.events.ledger(account, { order: 'desc', limit: 1 });
  const [message] = ofRuns(await messagesAfter(platform, (last?.seq ?? 0) - 1));
  expect(message).toMatchObject({ type: 'run.progress', data: { id: 'run_1', progress: { filesDone: 6000 } } });
});

test('gives each message its own seq, whose integer part is the number of the commit', async () => {
  const platform = await testPlatform();
  await runSteps(platform, 'run_1', 1).request();
  const runRef = { runId: 'run_1', jobId: 'job_run_1', sourceId: 'src_1' };
  const both = () => [
    { type: 'RunStarted' as const, data: runRef },
    {
      type: 'RunPlanned' as const,
      data: { ...runRef, batches: 1, filesTotal: 1, filesUnchanged: 0, bytesTotal: 1, since: null },
    },
  ];
  const cause = { actor: { type: 'system' as const, id: 'test' }, correlationId: 'x', commandId: 'x' };
  await transact(platform, run, streamName(account, 'run', 'run_1'), both, cause);
  const messages = await messagesAfter(platform);
  expect(messages.map(({ seq, type }) => [seq, type])).toEqual([
    [1, 'activity'],
    [1.5, 'run.progress'],
    [2, 'activity'],
    [2.25, 'run.progress'],
    [2.5, 'activity'],
    [2.75, 'run.progress'],
  ]);
  for (const { seq } of messages) expect(Number(JSON.parse(JSON.stringify(seq)))).toBe(seq);
});

test('keeps the 100 open runs with the newest events and restores others from the ledger', async () => {
  const platform = await testPlatform();
  for (let i = 0; i < 120; i++) await runSteps(platform, `run_${i}`, 1).request();
  const runs = {};
  const entries = await platform.events.ledger(account, { order: 'asc', limit: 1000 });
  for (const opened of await openEntries(platform, account, entries)) await messagesOf(platform, account, opened, runs);
  expect(Object.keys(runs)).toHaveLength(100);
  expect(Object.keys(runs)).not.toContain('run_0');
  await runSteps(platform, 'run_0', 1).start();
  const [entry] = await platform.events.ledger(account, { order: 'desc', limit: 1 });
  const [opened] = await openEntries(platform, account, entry ? [entry] : []);
  const messages = opened ? await messagesOf(platform, account, opened, runs) : [];
  expect(ofRuns(messages)).toMatchObject([{ data: { id: 'run_0', status: 'running', jobId: 'job_run_0' } }]);
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
