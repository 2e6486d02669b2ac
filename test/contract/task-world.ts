/** An account with made-up tasks on a runner: its clock, its queue and its workers are those of the check. */
import assert from 'node:assert/strict';
import type { Log, Message, QueueName, Records } from '../../domain/ports.ts';
import type { reap, takeBackAll } from '../../tasks/reaper.ts';
import type { runTask, Slice } from '../../tasks/run-task.ts';
import type { AnyTaskKind, Cause, GroupRef, Outcome, Parts, Task, TaskMessage } from '../../tasks/task.ts';
import { accountKey, openGroups, openTasks } from '../../tasks/task-records.ts';
import { type cancelGroup, newGroup, type pauseGroup, type resumeGroup, type startGroup } from '../../tasks/window.ts';
import { eventually } from './eventually.ts';
import { fresh } from './fresh.ts';

export type Runner = {
  records: Records;
  run: typeof runTask;
  reap: typeof reap;
  restart: typeof takeBackAll;
  start: typeof startGroup;
  cancel: typeof cancelGroup;
  pause: typeof pauseGroup;
  resume: typeof resumeGroup;
};

// biome-ignore lint/suspicious/noExplicitAny: each check has states of its own.
export type Step = (task: Task<any>) => Promise<Outcome<any>>;
type Steps = { [kind in 'plan' | 'store' | 'commit' | 'clean']?: Step };
type Sent = { at: number; queue: QueueName; body: TaskMessage };

const silent: Log = { info() {}, warn() {}, error() {}, measure() {} };
export const minute = 60_000;

/** A plan that makes this many children ready. */
export function planOf(children: number): Step {
  return async () => ({ type: 'done', add: { ready: children }, set: { stage: 'children' } });
}

/** `pool`: workers of each queue, of which the account gets a quarter. */
export function openWorld(runner: Runner, steps: Steps, { pool = 400, v = 1 } = {}) {
  const account = fresh('account');
  const sent: Sent[] = [];
  const beats = new Set<() => void>();
  const runs: string[] = [];
  const failures: Cause[] = [];
  let time = 1_800_000_000_000;

  const kind = (name: keyof Steps, queue: QueueName, otherwise: Step): AnyTaskKind => ({
    ...{ name, v, queue },
    async step(_, task) {
      runs.push(task.ref.name);
      return (steps[name] ?? otherwise)(task);
    },
    onError: (error, attempt, isLast) =>
      isLast ? { cause: { code: 'broken', message: (error as Error).message } } : { afterMs: 1000 * attempt },
    async fail(_, __, cause) {
      failures.push(cause);
      if (world.failsToFail-- > 0) throw new Error('the end of the run failed');
    },
  });
  const ends: Step = async () => ({ type: 'done', endsGroup: true });
  const parts: Parts = {
    records: runner.records,
    queue: {
      async send(queue: QueueName, messages: Message[]) {
        for (const { body, delaySeconds = 0 } of messages) {
          assert.ok(delaySeconds <= 900, 'no queue delays a message for so long');
          // The reaper finds tasks of other checks, too.
          if (body.account === account) sent.push({ at: time + delaySeconds * 1000, queue, body: body as TaskMessage });
        }
      },
    },
    now: () => time,
    log: silent,
    kinds: [
      kind('plan', 'job', planOf(1)),
      kind('store', 'data', async () => ({ type: 'done' })),
      kind('commit', 'job', ends),
      kind('clean', 'job', ends),
    ],
    groups: [{ name: 'backup', first: 'plan', child: 'store', last: 'commit', end: 'clean' }],
    pool: { job: pool, data: pool },
    every(_, call) {
      beats.add(call);
      return () => beats.delete(call);
    },
  };

  const world = {
    account,
    parts,
    runs,
    failures,
    sent,
    /** How many times the end of a failed task throws. */
    failsToFail: 0,
    move(ms: number) {
      time += ms;
    },
    async start(options?: { window?: number }): Promise<GroupRef> {
      const ref = { account, group: fresh('run') };
      const body = await runner.start(parts, newGroup(parts, ref, 'backup', {}, options));
      sent.push({ at: time, queue: 'job', body });
      return ref;
    },
    /** Gives a message to a worker. */
    work: (body: TaskMessage, slice: Slice = { deadline: Number.POSITIVE_INFINITY }) =>
      runner.run(parts, {}, body, slice),
    /** Takes a message that is due from the queue. */
    take(): TaskMessage | undefined {
      const index = sent.findIndex(({ at }) => at <= time);
      return index < 0 ? undefined : sent.splice(index, 1)[0]?.body;
    },
    /** Works on all messages that are due, and on those that they send, one after the other. */
    async drain(): Promise<void> {
      for (let body = world.take(); body; body = world.take()) await world.work(body);
    },
    /** Waits until workers have begun so many steps. */
    reached: (count: number) => eventually(async () => assert.equal(runs.length, count, 'steps')),
    /** Lets time pass with a heartbeat of all workers each 15 s. */
    beat(count: number): void {
      for (; count > 0; count--) {
        time += 15_000;
        for (const call of beats) call();
      }
    },
    /** Works for so many minutes, with the reaper. */
    async pass(minutes: number): Promise<void> {
      for (; minutes > 0; minutes--) {
        await world.drain();
        time += minute;
        await runner.reap(parts);
      }
      await world.drain();
    },
    reap: () => runner.reap(parts),
    group: async ({ group }: GroupRef) => (await openGroups(parts.records, account)).get(group),
    tasks: async (ref: GroupRef) => (await openTasks(parts.records, ref)).map(({ task }) => task),
    async slots(): Promise<{ job: number; data: number }> {
      const { job, data } = (await parts.records.get(accountKey(account)))?.data ?? {};
      return { job: Number(job ?? 0), data: Number(data ?? 0) };
    },
    async expectEnd(ref: GroupRef): Promise<void> {
      assert.equal(await world.group(ref), undefined, 'the group is open');
      assert.deepEqual(await world.tasks(ref), []);
      assert.deepEqual(await world.slots(), { job: 0, data: 0 }, 'slots are not free');
    },
  };
  return world;
}

/** Waits until so many of the calls are over. */
export async function ended(count: number, calls: Promise<unknown>[]): Promise<void> {
  let over = 0;
  for (const call of calls) void call.then(() => over++);
  await eventually(async () => assert.equal(over, count, 'calls that are over'));
}

/** A step that waits until the check lets it go on. `begun` resolves when a worker is in it. */
export function gate() {
  const begun = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    begun: begun.promise,
    open: () => opened.resolve(),
    async wait(): Promise<void> {
      begun.resolve();
      await opened.promise;
    },
  };
}
