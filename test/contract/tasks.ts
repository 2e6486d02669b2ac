/** The contract of the task runner. Every deployment keeps it with its own records. */
import assert from 'node:assert/strict';
import type { JsonObject, RecordWrite } from '../../domain/ports.ts';
import { type Parts, type TaskMessage, TaskStopped } from '../../tasks/task.ts';
import { openTasks, readTask, taskKey } from '../../tasks/task-records.ts';
import { upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';
import { ended, gate, minute, openWorld, planOf, type Runner, type Step } from './task-world.ts';

/** The runner with other writes. */
function writing(runner: Runner, change: (write: RecordWrite) => RecordWrite): Runner {
  const { records } = runner;
  return { ...runner, records: { ...records, write: (writes) => records.write(writes.map(change)) } };
}

/** The runner without this field in the conditions of writes. */
function unchecked(runner: Runner, ...fields: string[]): Runner {
  return writing(runner, (write) => {
    if (typeof write.if !== 'object') return write;
    const equals = Object.fromEntries(Object.entries(write.if.equals).filter(([field]) => !fields.includes(field)));
    const holds = Object.keys(equals).length > 0 ? { equals } : ('present' as const);
    return { ...write, if: holds } as RecordWrite;
  });
}

/** The runner that never sets this field. */
function unset(runner: Runner, field: string, where: (set: JsonObject) => boolean = () => true): Runner {
  return writing(runner, (write) => {
    if (write.op !== 'add' || !write.set || !(field in write.set) || !where(write.set)) return write;
    const { [field]: _, ...set } = write.set;
    return { ...write, set };
  });
}

/** Stays in the step until the task is stopped. */
const untilStopped: Step = (task) =>
  new Promise((_, reject) => task.stop.addEventListener('abort', () => reject(task.stop.reason)));

const fails: Step = async () => {
  throw new Error('the source is broken');
};

/** The only open task of a kind. */
async function only(parts: Parts, account: string) {
  const [first, ...more] = await openTasks(parts.records, { account });
  assert.ok(first && more.length === 0, 'there is not one task');
  return first;
}

export const taskPromises: PortPromise<Runner>[] = [
  {
    promise: 'lets a worker write nothing after another worker has claimed its task',
    async check(runner) {
      const slow = gate();
      let isFirst = true;
      const world = openWorld(runner, {
        async plan(task) {
          if (isFirst) {
            isFirst = false;
            await slow.wait();
            await assert.rejects(task.checkpoint({ by: 'slow' }, { add: { ready: 5 } }), TaskStopped);
            return { type: 'done', add: { ready: 5 } };
          }
          await task.checkpoint({ by: 'fast' });
          slow.open();
          await first;
          return { type: 'again', state: { by: 'fast' }, afterMs: minute };
        },
      });
      const ref = await world.start();
      const message = world.take() as TaskMessage;
      const first = world.work(message);
      await slow.begun;
      world.move(2 * minute);
      await world.work(message);
      await first;
      assert.equal((await world.group(ref))?.ready, 0);
      assert.deepEqual((await only(world.parts, world.account)).task.state, { by: 'fast' });
      assert.deepEqual(await world.slots(), { job: 0, data: 0 });
    },
    broken: (runner) => unchecked(runner, 'fence'),
  },
  {
    promise: 'lets a worker write nothing after its task was taken back, and frees its slot once',
    async check(runner) {
      const slow = gate();
      const world = openWorld(runner, {
        async plan(task) {
          await slow.wait();
          await task.checkpoint({ by: 'slow' });
          return { type: 'done' };
        },
      });
      await world.start();
      const first = world.work(world.take() as TaskMessage);
      await slow.begun;
      world.move(2 * minute);
      await world.reap();
      slow.open();
      await first;
      const { task } = await only(world.parts, world.account);
      assert.deepEqual([task.state, task.leaseUntil], [{}, 0]);
      assert.deepEqual(await world.slots(), { job: 0, data: 0 });
    },
    broken: (runner) => unchecked(runner, 'fence', 'rev'),
  },
  {
    promise: 'ignores a message of an earlier revision',
    async check(runner) {
      const again: Step = async () => ({ type: 'again', state: {}, afterMs: 5 * minute });
      const world = openWorld(runner, { plan: again });
      await world.start();
      const message = world.take() as TaskMessage;
      for (const _ of upTo(3)) await world.work(message);
      assert.deepEqual(world.runs, ['plan']);
    },
    broken: (runner) => ({
      ...runner,
      async run(parts, context, message, slice) {
        const rev = (await readTask(parts.records, message))?.rev ?? 0;
        return runner.run(parts, context, { ...message, rev }, slice);
      },
    }),
  },
  {
    promise: 'runs each task once and counts it once when all messages come twice at the same time',
    async check(runner) {
      let done = 0;
      const world = openWorld(runner, {
        plan: planOf(6),
        async commit({ ref }) {
          done = (await world.group(ref))?.done ?? 0;
          return { type: 'done', endsGroup: true };
        },
      });
      const ref = await world.start();
      for (let body = world.take(); body; body = world.take())
        await Promise.all([body, body].map((copy) => world.work(copy)));
      assert.equal(world.runs.length, new Set(world.runs).size, 'a task ran twice');
      assert.deepEqual([world.runs.length, done], [8, 6]);
      await world.expectEnd(ref);
    },
    broken: (runner) => unchecked(runner, 'fence', 'rev', 'job', 'data'),
  },
  {
    promise: 'takes a task back from a worker that died, and goes on from its checkpoint',
    async check(runner) {
      let states: unknown[] = [];
      const died = gate();
      const world = openWorld(runner, {
        async plan(task) {
          states = [...states, task.state];
          if (states.length > 1) return planOf(1)(task);
          await task.checkpoint({ page: 7 });
          await died.wait();
          return { type: 'done' };
        },
      });
      const ref = await world.start();
      void world.work(world.take() as TaskMessage);
      await died.begun;
      await world.pass(3);
      assert.deepEqual(states, [{}, { page: 7 }]);
      await world.expectEnd(ref);
    },
    broken: (runner) => ({ ...runner, reap: async () => {} }),
  },
  {
    promise: 'sends a task again whose message was lost',
    async check(runner) {
      const world = openWorld(runner, {});
      const ref = await world.start();
      world.sent.length = 0;
      await world.pass(12);
      await world.expectEnd(ref);
    },
    broken: (runner) => ({
      ...runner,
      reap: (parts) => runner.reap({ ...parts, queue: { send: async () => {} } }),
    }),
  },
  {
    promise: 'has at most a window of children in hand',
    async check(runner) {
      let most = 0;
      const world = openWorld(runner, {
        plan: planOf(12),
        async store({ ref }) {
          most = Math.max(most, (await world.tasks(ref)).length);
          return { type: 'done' };
        },
      });
      const ref = await world.start({ window: 4 });
      await world.drain();
      await world.expectEnd(ref);
      assert.equal(most, 4);
    },
    broken: (runner) => ({
      ...runner,
      start: (parts, created) => runner.start(parts, { ...created, group: { ...created.group, window: 5 } }),
    }),
  },
  {
    promise: 'gives an account a quarter of the workers',
    async check(runner) {
      const stuck = gate();
      let [now, most] = [0, 0];
      const world = openWorld(
        runner,
        {
          async plan(task) {
            most = Math.max(most, ++now);
            await stuck.wait();
            now--;
            return planOf(1)(task);
          },
        },
        { pool: 8 },
      );
      const refs = [];
      for (const _ of upTo(5)) refs.push(await world.start());
      const working = upTo(5).map(() => world.work(world.take() as TaskMessage));
      await ended(3, working);
      stuck.open();
      await Promise.all(working);
      await world.pass(12);
      assert.equal(most, 2);
      for (const ref of refs) await world.expectEnd(ref);
    },
    broken: (runner) => ({
      ...runner,
      run: (parts, ...rest) => runner.run({ ...parts, pool: { job: 16, data: 16 } }, ...rest),
    }),
  },
  {
    promise: 'sends a refused task as soon as a slot is free, before new tasks of another run',
    async check(runner) {
      const held = gate();
      let isHolding = true;
      const world = openWorld(
        runner,
        {
          plan: planOf(2),
          async store() {
            if (isHolding) {
              isHolding = false;
              await held.wait();
            }
            return { type: 'done' };
          },
        },
        { pool: 4 },
      );
      const first = await world.start({ window: 1 });
      await world.work(world.take() as TaskMessage);
      const holding = world.work(world.take() as TaskMessage);
      await held.begun;
      world.move(1000);
      const second = await world.start({ window: 1 });
      await world.drain();
      assert.equal(world.sent.length, 0);
      world.move(1000);
      held.open();
      await holding;
      assert.deepEqual(
        world.sent.map(({ body }) => body.group),
        [second.group, first.group],
      );
      await world.drain();
      for (const ref of [first, second]) await world.expectEnd(ref);
    },
    broken: (runner) => unset(runner, 'dataWaits'),
  },
  {
    promise: 'ends all tasks within two heartbeats of a cancel, and then runs the end once',
    async check(runner) {
      const world = openWorld(runner, { plan: planOf(5), store: untilStopped }, { pool: 12 });
      const ref = await world.start();
      await world.work(world.take() as TaskMessage);
      // Three workers, a refused task, and one whose message is lost.
      const working = upTo(4).map(() => world.work(world.take() as TaskMessage));
      await ended(1, working);
      world.sent.length = 0;
      await runner.cancel(world.parts, ref);
      world.beat(2);
      await ended(4, working);
      await world.drain();
      assert.equal(world.runs.filter((name) => name === 'clean').length, 1);
      await world.expectEnd(ref);
    },
    broken: (runner) => ({ ...runner, cancel: async () => {} }),
  },
  {
    promise: 'ends tasks of a cancelled group at once while all slots of the account are in use',
    async check(runner) {
      const world = openWorld(runner, { store: untilStopped }, { pool: 4 });
      await world.start();
      await world.work(world.take() as TaskMessage);
      void world.work(world.take() as TaskMessage);
      await world.reached(2);
      const second = await world.start();
      await world.drain();
      await runner.cancel(world.parts, second);
      await world.drain();
      assert.equal(await world.group(second), undefined);
    },
    broken: (runner) =>
      writing(runner, (write) =>
        typeof write.if === 'object' && write.if.equals.isCancelled ? { ...write, if: 'absent' } : write,
      ),
  },
  {
    promise: 'keeps state and attempts during a pause, and goes on after it',
    async check(runner) {
      const seen: unknown[] = [];
      const world = openWorld(runner, {
        async plan(task) {
          const { attempt } = (await readTask(world.parts.records, task.ref)) ?? {};
          seen.push([task.state, attempt]);
          if (seen.length === 1) await task.checkpoint({ page: 3 });
          if (seen.length < 3) throw new Error('a step failed');
          return seen.length === 3 ? untilStopped(task) : planOf(1)(task);
        },
      });
      const ref = await world.start();
      await world.drain();
      world.move(1000);
      await world.drain();
      world.move(1000);
      const working = world.work(world.take() as TaskMessage);
      await world.reached(3);
      await runner.pause(world.parts, ref);
      world.beat(2);
      await working;
      await world.pass(60);
      assert.equal(seen.length, 3, 'a task of a paused group ran');
      await runner.resume(world.parts, ref);
      await world.drain();
      assert.deepEqual(seen, [
        [{}, 1],
        [{ page: 3 }, 1],
        [{ page: 3 }, 2],
        [{ page: 3 }, 2],
      ]);
      await world.expectEnd(ref);
    },
    broken: (runner) => ({
      ...runner,
      async resume(parts, ref) {
        for (const { ref: task } of await openTasks(parts.records, ref))
          await parts.records.write([{ op: 'add', ...taskKey(task), set: { state: {} } }]);
        return runner.resume(parts, ref);
      },
    }),
  },
  {
    promise: 'goes on after a resume that comes before the worker has paused',
    async check(runner) {
      let isFirst = true;
      const world = openWorld(runner, {
        async plan(task) {
          if (!isFirst) return planOf(1)(task);
          isFirst = false;
          await untilStopped(task).catch(() => {});
          await runner.resume(world.parts, task.ref);
          throw task.stop.reason;
        },
      });
      const ref = await world.start();
      const working = world.work(world.take() as TaskMessage);
      await world.reached(1);
      await runner.pause(world.parts, ref);
      world.beat(1);
      await working;
      await world.drain();
      await world.expectEnd(ref);
    },
    broken: (runner) => ({
      ...runner,
      run: (parts, ...rest) => runner.run({ ...parts, queue: { send: async () => {} } }, ...rest),
    }),
  },
  {
    promise: 'fails a group once and with its cause after the last attempt without progress',
    async check(runner) {
      const world = openWorld(runner, { plan: fails });
      const ref = await world.start();
      await world.pass(10);
      assert.deepEqual(world.failures, [{ code: 'broken', message: 'the source is broken' }]);
      assert.deepEqual(world.runs, [...upTo(5).map(() => 'plan'), 'clean']);
      await world.expectEnd(ref);
    },
    broken: (runner) =>
      writing(runner, (write) =>
        write.op === 'add' && write.set?.attempt ? { ...write, set: { ...write.set, attempt: 0 } } : write,
      ),
  },
  {
    promise: 'counts attempts anew after a checkpoint',
    async check(runner) {
      const world = openWorld(runner, {
        async plan(task) {
          if (world.runs.length > 12) return planOf(1)(task);
          await task.checkpoint({ page: world.runs.length });
          throw new Error('the next page failed');
        },
      });
      const ref = await world.start();
      await world.pass(20);
      assert.deepEqual(world.failures, []);
      await world.expectEnd(ref);
    },
    broken: (runner) => unset(runner, 'attempt'),
  },
  {
    promise: 'keeps the cause, and does not repeat the step, when the end of a failed group fails',
    async check(runner) {
      const world = openWorld(runner, {
        plan: (task) => fails(task),
      });
      world.failsToFail = 3;
      const ref = await world.start();
      for (const _ of upTo(20)) await world.pass(1).catch(() => {});
      const cause = { code: 'broken', message: 'the source is broken' };
      assert.deepEqual(world.failures, [cause, cause, cause, cause]);
      assert.deepEqual(world.runs, [...upTo(5).map(() => 'plan'), 'clean']);
      await world.expectEnd(ref);
    },
    broken: (runner) => unset(runner, 'cause'),
  },
  {
    promise: 'neither claims nor counts a task of a newer version',
    async check(runner) {
      const newer = openWorld(runner, { plan: async () => ({ type: 'again', state: {}, afterMs: 1000 }) }, { v: 2 });
      const ref = await newer.start();
      await newer.drain();
      newer.move(1000);
      const message = newer.take() as TaskMessage;
      const before = (await newer.tasks(ref))[0];
      const older = openWorld(runner, {}, { v: 1 });
      for (const _ of upTo(7)) await older.work(message);
      assert.deepEqual(older.runs, []);
      assert.deepEqual((await newer.tasks(ref))[0], before);
    },
    broken: (runner) => ({
      ...runner,
      run: (parts, ...rest) => runner.run({ ...parts, kinds: parts.kinds.map((kind) => ({ ...kind, v: 9 })) }, ...rest),
    }),
  },
  {
    promise: 'goes on with the first task when the backlog is small again',
    async check(runner) {
      let isFirst = true;
      const world = openWorld(runner, {
        async plan(task) {
          if (!isFirst) return { type: 'done', set: { stage: 'children' } };
          isFirst = false;
          await task.checkpoint({}, { add: { ready: 3 } });
          return { type: 'again', state: {}, backlog: 1 };
        },
      });
      const ref = await world.start({ window: 1 });
      await world.drain();
      assert.deepEqual(world.runs.slice(0, 4), ['plan', 'store-000000001', 'store-000000002', 'store-000000003']);
      await world.expectEnd(ref);
    },
    broken: (runner) => unset(runner, 'waiting'),
  },
  {
    promise: 'waits longer than a queue can',
    async check(runner) {
      const world = openWorld(runner, {
        async plan(task) {
          return world.runs.length > 1 ? planOf(1)(task) : { type: 'again', state: {}, afterMs: 60 * minute };
        },
      });
      const ref = await world.start();
      await world.pass(59);
      assert.deepEqual(world.runs, ['plan']);
      await world.pass(2);
      await world.expectEnd(ref);
    },
    broken: (runner) => unset(runner, 'resendAt', ({ dueAt }) => dueAt !== undefined),
  },
  {
    promise: 'does not count the first ten restarts of a server',
    async check(runner) {
      const world = openWorld(runner, {
        async plan(task) {
          if (world.runs.length > 10) return planOf(1)(task);
          return new Promise(() => {});
        },
      });
      const ref = await world.start();
      for (const n of upTo(10)) {
        void world.work(world.take() as TaskMessage);
        await world.reached(n);
        await runner.restart(world.parts);
        const [task] = await world.tasks(ref);
        assert.deepEqual([task?.attempt, task?.deaths, task?.leaseUntil], [0, 0, 0]);
      }
      await world.drain();
      await world.expectEnd(ref);
    },
    broken: (runner) =>
      writing(runner, (write) =>
        write.op === 'add' && write.add?.restarts ? { ...write, add: { rev: 1, deaths: 1 } } : write,
      ),
  },
  {
    promise: 'goes on when the clock was set back by a day',
    async check(runner) {
      const world = openWorld(runner, {
        plan: (task) => (world.runs.length > 1 ? planOf(1)(task) : new Promise(() => {})),
      });
      const ref = await world.start();
      void world.work(world.take() as TaskMessage);
      await world.reached(1);
      world.move(-24 * 60 * minute);
      await world.pass(1);
      await world.expectEnd(ref);
    },
    broken: (runner) => {
      const start = 1_800_000_000_000;
      const forward = (parts: Parts): Parts => ({ ...parts, now: () => Math.max(parts.now(), start) });
      return { ...runner, reap: (parts) => runner.reap(forward(parts)) };
    },
  },
];
