import { expect, it } from 'vitest';
import type { Measures } from '../../domain/ports.ts';
import { reap } from '../../tasks/reaper.ts';
import { runTask } from '../../tasks/run-task.ts';
import type { AnyTaskKind, Parts, TaskMessage } from '../../tasks/task.ts';
import { newGroup, pauseGroup, resumeGroup, startGroup } from '../../tasks/window.ts';
import { memoryRecords } from '../support/memory-ports.ts';

it('measures the groups of which no worker took a task for an hour, unless they are paused', async () => {
  let time = 1_800_000_000_000;
  const measured: Measures[] = [];
  const sent: TaskMessage[] = [];
  const kind: AnyTaskKind = {
    ...{ name: 'plan', v: 1, queue: 'job', onError: () => ({ afterMs: 0 }) },
    step: async ({ state }) => ({ type: 'again', state }),
    async fail() {},
  };
  const parts: Parts = {
    records: memoryRecords(),
    queue: { send: async (_name, messages) => void sent.push(...messages.map(({ body }) => body as TaskMessage)) },
    now: () => time,
    log: { info() {}, warn() {}, error() {}, measure: (numbers) => void measured.push(numbers) },
    kinds: [kind],
    groups: [{ name: 'backup', first: 'plan', end: 'plan' }],
    pool: { job: 4, data: 4 },
    every: () => () => {},
  };
  const ref = { account: 'acc_1', group: 'run_1' };
  const measuredNow = async () => {
    measured.length = 0;
    await reap(parts);
    return [...measured];
  };
  const stalled = [{ RunsStalled: 1 }];

  await startGroup(parts, newGroup(parts, ref, 'backup', {}));
  time += 3_599_999;
  expect(await measuredNow()).toEqual([]);
  time++;
  expect(await measuredNow()).toEqual(stalled);
  await pauseGroup(parts, ref);
  expect(await measuredNow()).toEqual([]);
  await resumeGroup(parts, ref);
  expect(await measuredNow()).toEqual([]);
  time += 3_600_000;
  expect(await measuredNow()).toEqual(stalled);
  const last = sent.at(-1);
  if (!last) throw new Error('nothing was sent');
  await runTask(parts, {}, last, { deadline: time });
  expect(await measuredNow()).toEqual([]);
});
