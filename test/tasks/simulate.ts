/** Runs tasks of a made-up kind in simulated time, with workers that die and queues that lose and repeat messages. */
import { setImmediate as turn } from 'node:timers/promises';
import type { JsonObject, Log, Message, QueueName } from '../../domain/ports.ts';
import { reap } from '../../tasks/reaper.ts';
import { runTask, startAndRun } from '../../tasks/run-task.ts';
import {
  type AnyTaskKind,
  type GroupKind,
  type GroupRef,
  type Parts,
  type TaskKind,
  type TaskMessage,
  TaskStopped,
} from '../../tasks/task.ts';
import { groupKey } from '../../tasks/task-records.ts';
import { cancelGroup, newGroup, pauseGroup, resumeGroup, startGroup } from '../../tasks/window.ts';
import { memoryRecords } from '../support/memory-ports.ts';

type Options = { seed: number; groups: number; days: number };

/** A process that dies never resumes: its pending call stays pending. */
const never = new Promise<never>(() => {});

export async function simulate({ seed, groups: count, days }: Options) {
  let random = seed * 2_654_435_761;
  const chance = (p: number) => {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    return random / 2 ** 32 < p;
  };
  const between = (low: number, high: number) => {
    chance(0);
    return low + Math.floor((random / 2 ** 32) * (high - low));
  };
  const minute = 60_000;
  const hour = 60 * minute;
  const day = 24 * hour;
  /** How much the clocks of all workers are ahead of `time`. */
  let ahead = 0;
  let time = 1_800_000_000_000;
  const start = time;
  const end = start + days * day;
  const messages: { at: number; queue: QueueName; body: TaskMessage }[] = [];
  const records = memoryRecords();
  const endings = new Map<string, number>();
  const results = new Map<string, number>();
  const log: Log = { info() {}, warn() {}, error() {}, measure() {} };
  const noted = (map: Map<string, number>, name: string) => map.set(name, (map.get(name) ?? 0) + 1);

  /** The process of a worker. Once dead, its writes never happen. */
  type Process = { isDead: boolean; skew: number };
  const queue = {
    async send(name: QueueName, sent: Message[]) {
      for (const { body, delaySeconds = 0 } of sent) {
        if (chance(0.05)) continue;
        for (let copies = chance(0.1) ? 2 : 1; copies > 0; copies--)
          messages.push({ at: time + delaySeconds * 1000 + late(), queue: name, body: body as TaskMessage });
      }
    },
  };
  /** Some messages come hours late. */
  const late = () => (chance(0.01) ? between(hour, 3 * hour) : between(0, 5000));
  const pool = { job: 8, data: 16 };
  let wrongSlots = 0;

  const sleepers = new Set<{ at: number; resume(): void }>();
  const sleep = (ms: number, process: Process) =>
    new Promise<void>((resolve) => {
      const sleeper = {
        at: time + ms,
        resume() {
          sleepers.delete(sleeper);
          if (!process.isDead) resolve();
        },
      };
      sleepers.add(sleeper);
    });

  type State = { steps: number; ready?: number };
  type Context = { process: Process };
  const kindsOf = (v: number): AnyTaskKind[] => {
    const kind = (name: string, on: QueueName, work: TaskKind<Context, State & JsonObject>['step']) =>
      ({
        name,
        v,
        queue: on,
        ...(name === 'end' && { maxAttempts: Number.POSITIVE_INFINITY }),
        upcast: (state: JsonObject) => state as State & JsonObject,
        step: work,
        onError: (_error: unknown, attempt: number, isLast: boolean) =>
          isLast ? { cause: { code: 'broken', message: 'It broke.' } } : { afterMs: 1000 * 2 ** attempt },
        async fail({ process }: Context) {
          await sleep(between(100, minute), process);
          if (chance(0.2)) throw new Error('the end of the group failed');
        },
      }) satisfies TaskKind<Context, State & JsonObject> as AnyTaskKind;
    const pass: TaskKind<Context, State & JsonObject>['step'] = async ({ process }, task) => {
      let { state } = task;
      for (let steps = state.steps ?? 0; steps < 3; steps++) {
        await sleep(between(1000, 4 * minute), process);
        if (task.stop.aborted) throw task.stop.reason;
        if (chance(0.05)) throw new Error('a step failed');
        state = { ...state, steps: steps + 1 };
        await task.checkpoint(state);
        if (chance(0.1)) return { type: 'again', state, afterMs: between(0, 40 * minute) };
        if (task.isOver()) return { type: 'again', state };
      }
      return { type: 'done' };
    };
    return [
      kind('plan', 'job', async (context, task) => {
        const { ready = 0 } = task.state as { ready?: number };
        for (let batch = ready + 1; batch <= 12; batch++) {
          await sleep(between(100, minute), context.process);
          if (task.stop.aborted) throw task.stop.reason;
          const state = { steps: 0, ready: batch };
          await task.checkpoint(state, { add: { ready: 1 } });
          if (batch % 4 === 0 && chance(0.5)) return { type: 'again', state, backlog: 1 };
        }
        return { type: 'done', set: { stage: 'children' } };
      }),
      kind('store', 'data', async (context, task) => {
        const outcome = await pass(context, task);
        if (outcome.type !== 'done') return outcome;
        const sk = `${task.ref.group}/${task.ref.name}`;
        return { type: 'done', writes: [{ op: 'put', pk: 'results', sk, data: {}, if: 'absent' }] };
      }),
      kind('commit', 'job', async (context, task) => {
        const outcome = await pass(context, task);
        if (outcome.type !== 'done') return outcome;
        const write = { op: 'put', pk: 'endings', sk: task.ref.group, data: {}, if: 'absent' } as const;
        return { type: 'done', endsGroup: true, writes: [write] };
      }),
      kind('end', 'job', async (_context, task) => {
        const write = { op: 'put', pk: 'endings', sk: task.ref.group, data: {}, if: 'absent' } as const;
        return { type: 'done', endsGroup: true, writes: [write] };
      }),
    ];
  };
  const groupKinds: GroupKind[] = [{ name: 'backup', first: 'plan', child: 'store', last: 'commit', end: 'end' }];

  function partsOf(process: Process, v: number): Parts {
    /** A process may die before or after a write. */
    async function alive<T>(call: () => Promise<T>): Promise<T> {
      if (process.isDead || chance(0.002)) return die();
      const result = await call();
      return process.isDead || chance(0.002) ? die() : result;
    }
    function die(): Promise<never> {
      process.isDead = true;
      return never;
    }
    return {
      records: {
        ...records,
        get: (key) => alive(() => records.get(key)),
        getMany: (keys) => alive(() => records.getMany(keys)),
        query: (...query) => alive(() => records.query(...query)),
        write: (writes) =>
          alive(async () => {
            const isWritten = await records.write(writes);
            if (isWritten)
              for (const { op, pk, sk } of writes)
                if (op === 'put' && pk === 'endings') noted(endings, sk);
                else if (op === 'put' && pk === 'results') noted(results, sk);
            return isWritten;
          }),
      },
      queue: { send: (...sent) => alive(() => queue.send(...sent)) },
      now: () => time + ahead + process.skew,
      log,
      kinds: kindsOf(v),
      groups: groupKinds,
      pool,
      every(ms, call) {
        let isStopped = false;
        void (async () => {
          for (;;) {
            await sleep(ms, process);
            if (isStopped || process.isDead) return;
            call();
          }
        })();
        return () => {
          isStopped = true;
        };
      },
    };
  }

  const groups: string[] = [];
  let paused: { until: number; ref: GroupRef }[] = [];
  let jumps = 0;
  const newProcess = (): Process => ({ isDead: false, skew: between(-2000, 2000) });
  const working = new Set<Promise<unknown>>();
  const accounts = ['a', 'b', 'c'];
  let nextReap = time;
  for (; time < end; ) {
    if (groups.length < count && chance(0.05)) {
      const group = `g${groups.length}`;
      groups.push(group);
      const account = accounts[groups.length % accounts.length] ?? 'a';
      const created = (parts: Parts) => newGroup(parts, { account, group }, 'backup', { steps: 0 });
      const start = async () => {
        const parts = { ...partsOf(newProcess(), 1), records };
        await queue.send('job', [{ body: await startGroup(parts, created(parts)) }]);
      };
      if (chance(0.5)) await start();
      else {
        const process = newProcess();
        const parts = partsOf(process, 1);
        const work = startAndRun(parts, { process }, created(parts), { deadline: time + 14 * minute });
        working.add(work);
        void sleepUntilDead(process, work).then(() => {
          working.delete(work);
          const isStarted = [...records.stored.values()].some(({ sk }) => sk === groupKey({ account, group }).sk);
          // The event that starts a group is delivered until it is acknowledged.
          if (!isStarted && !endings.has(group)) return start();
        });
      }
    }
    if (groups.length > 0 && chance(0.01)) {
      const index = between(0, groups.length);
      const ref = { account: accounts[(index + 1) % accounts.length] ?? 'a', group: groups[index] ?? '' };
      const parts = { ...partsOf(newProcess(), 1), records, queue };
      if (chance(0.2)) await cancelGroup(parts, ref);
      else {
        await pauseGroup(parts, ref);
        // Some pauses last for hours.
        paused.push({ until: time + (chance(0.3) ? between(0, 12 * hour) : 0), ref });
      }
    }
    for (const { ref } of paused.filter(({ until }) => until <= time))
      await resumeGroup({ ...partsOf(newProcess(), 1), records, queue }, ref);
    paused = paused.filter(({ until }) => until > time);
    if (chance(0.0003)) {
      ahead = [0, day, -day, hour, -hour][between(0, 5)] ?? 0;
      jumps++;
    }
    const due = messages.filter(({ at }) => at <= time);
    for (const message of due) {
      if (working.size >= 24) break;
      messages.splice(messages.indexOf(message), 1);
      const process = newProcess();
      // Four releases follow each other. For some time each runs beside the one before.
      const age = (4 * (time - start)) / (count * hour);
      const release = Math.min(4, 1 + Math.floor(age));
      const parts = partsOf(process, age % 1 < 0.5 && chance(0.5) ? Math.max(1, release - 1) : release);
      if (chance(0.03)) void sleep(between(0, 5 * minute), process).then(() => (process.isDead = true));
      const slice = { deadline: parts.now() + 14 * minute };
      const work = runTask(parts, { process }, message.body, slice).catch((error) => {
        if (!(error instanceof TaskStopped) && error.message !== 'the end of the group failed') throw error;
      });
      working.add(work);
      const over = sleepUntilDead(process, work);
      void over.then(() => working.delete(work));
    }
    if (time >= nextReap) {
      nextReap = time + minute;
      const process = newProcess();
      void reap(partsOf(process, 1 + between(0, 4))).catch(() => {});
    }
    for (let turns = 0; turns < 3; turns++) await turn();
    const resumeAt = [...sleepers].map(({ at }) => at);
    const isIdle = groups.length >= count && endings.size >= count && messages.length === 0;
    if (isIdle && sleepers.size === 0) break;
    time = Math.max(time + 1000, Math.min(end, nextReap, ...messages.map(({ at }) => at), ...resumeAt));
    for (const sleeper of [...sleepers]) if (sleeper.at <= time) sleeper.resume();
    for (const { sk, data } of records.stored.values())
      if (sk.startsWith('account/'))
        for (const name of ['data', 'job'] as const)
          if (Number(data[name]) < 0 || Number(data[name]) > pool[name] / 4) wrongSlots++;
  }
  const openRecords = [...records.stored.values()].filter(({ sk }) => /^(task|group)\//.test(sk)).length;
  return {
    groups,
    endings,
    results,
    wrongSlots,
    jumps,
    openRecords,
    left: [...records.stored.values()].filter(({ sk }) => /^(task|group|account)\//.test(sk)),
    messages,
    sleepers: sleepers.size,
    time,
  };

  /** Resolves when the work is over or its process has died. */
  async function sleepUntilDead(process: Process, work: Promise<unknown>): Promise<void> {
    let isOver = false;
    void work.then(() => (isOver = true));
    while (!isOver && !process.isDead) await sleep(10_000, { isDead: false, skew: 0 });
  }
}
