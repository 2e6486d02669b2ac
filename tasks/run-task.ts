/** Runs a task from its message: claim, step with heartbeats, release. */
import { Problem } from '../domain/errors.ts';
import type { JsonObject, RecordWrite } from '../domain/ports.ts';
import { quotaOf, readSlots, type Slots, sendWaiting, takeSlot } from './slots.ts';
import {
  type AnyTaskKind,
  type Cause,
  cautiousAttempts,
  defaultMaxAttempts,
  type Effects,
  fairSliceMs,
  type GroupData,
  heartbeatMs,
  leaseMs,
  maxDelayMs,
  type Outcome,
  type Parts,
  resendMs,
  type Task,
  type TaskData,
  type TaskMessage,
  type TaskRef,
  TaskStopped,
} from './task.ts';
import { accountKey, changeGroup, changeTask, effectWrites, groupKey, readGroup, taskKey } from './task-records.ts';
import {
  fillWindow,
  groupKindOf,
  groupWrites,
  kindOf,
  type NewGroup,
  sendNow,
  sendTask,
  startGroup,
} from './window.ts';

/** The time of a worker for a task. `deadline` (ms since the epoch) may become earlier during the work. */
export type Slice = {
  readonly deadline: number;
  /** Whether other work waits for the worker. */
  othersWait?(): boolean | Promise<boolean>;
};

type Claimed = { task: TaskData; group: GroupData; kind: AnyTaskKind };

/** Resolves when the message is done with. Rejects when the records cannot be read or written. */
export async function runTask(parts: Parts, context: unknown, message: TaskMessage, slice: Slice): Promise<void> {
  const claimed = await claim(parts, message);
  const { type: _, rev: __, ...ref } = message;
  if (claimed) await runClaimed(parts, context, ref, claimed, slice);
}

/**
 * Creates a group and runs its first task, as `startGroup` and `runTask` do. If the account has a free worker, one
 * transaction creates the group and claims the task.
 */
export async function startAndRun(parts: Parts, context: unknown, group: NewGroup, slice: Slice): Promise<void> {
  const claimed = await startClaimed(parts, group);
  if (claimed) await runClaimed(parts, context, group.ref, claimed, slice);
  else await runTask(parts, context, await startGroup(parts, group), slice);
}

async function runClaimed(parts: Parts, context: unknown, ref: TaskRef, claimed: Claimed, slice: Slice): Promise<void> {
  const { kind, task, group } = claimed;
  const { fence, rev, attempt, queue } = task;
  const held = { fence, rev };
  const maxAttempts = kind.maxAttempts ?? defaultMaxAttempts;
  let outcome: Outcome<JsonObject> | undefined;
  const work = openWork(parts, ref, claimed, slice);
  try {
    if (group.isCancelled && group.stage !== 'end') throw new TaskStopped('cancelled');
    if (task.cause || attempt > maxAttempts) throw new TaskFailed(task.cause ?? tooManyDeaths);
    outcome = await kind.step(context, { ref, state: task.state, fence, ...work.view });
  } catch (error) {
    await endAfter(error);
    return;
  } finally {
    work.close();
  }
  if (outcome.type === 'done') await end(outcome, outcome.endsGroup ? 'ended' : 'done');
  else await goOn(outcome);

  async function end(effects: Effects, how: 'done' | 'ended' | 'stopped' | 'failed'): Promise<void> {
    const isChild = kind.name === groupKindOf(parts, group.kind)?.child;
    const add = { ...effects.add, open: -1, ...(isChild && how === 'done' && { done: 1 }) };
    const set = { ...effects.set, ...(how === 'failed' && { isCancelled: true }) };
    const endsGroup = how === 'ended' || (how === 'failed' && group.stage === 'end');
    const change: RecordWrite = endsGroup ? { op: 'delete', ...groupKey(ref) } : changeGroup(ref, set, add);
    const writes = [change, ...(effects.writes ?? [])];
    await release([{ op: 'delete', ...taskKey(ref), if: { equals: held } }, ...writes], { endsGroup });
  }

  /** Saves the state, and makes the task due again. */
  async function goOn(next: Extract<Outcome<JsonObject>, { type: 'again' }>): Promise<void> {
    const { backlog, afterMs = backlog === undefined ? 0 : backlogWaitMs, state } = next;
    const effects = backlog === undefined ? next : { ...next, set: { ...next.set, waiting: backlog } };
    const set = { state, v: kind.v, attempt: 0, deaths: 0, restarts: 0 };
    const isReleased = await putBack(set, afterMs, effects);
    if (isReleased && backlog === undefined) await sendTask(parts, ref, { queue, rev: rev + 1 }, afterMs);
  }

  async function putBack(set: Partial<TaskData>, afterMs: number, effects: Effects = {}): Promise<boolean> {
    const dueAt = parts.now() + afterMs;
    const resendAt = afterMs > maxDelayMs ? dueAt : dueAt + resendMs;
    const change = changeTask(ref, held, { ...set, leaseUntil: 0, dueAt, resendAt }, { rev: 1 });
    return release([change, ...effectWrites(ref, effects)]);
  }

  async function endAfter(error: unknown): Promise<void> {
    const { log } = parts;
    const fields = { kind: kind.name, group: ref.group, attempt };
    if (error instanceof TaskStopped) {
      if (error.reason === 'cancelled') return end({}, 'stopped');
      if (error.reason === 'paused') return pause();
      return leave();
    }
    const isLast = attempt >= maxAttempts;
    const retry = error instanceof TaskFailed ? error : kind.onError(error, attempt, isLast);
    if ('cause' in retry) return fail(retry.cause);
    const { afterMs, isCounted = true } = retry;
    log.warn('a step failed and will be tried again', { ...fields, afterMs });
    // Without the state: a checkpoint may have been saved although its write threw.
    if (await putBack(counts(isCounted), afterMs)) await sendTask(parts, ref, { queue, rev: rev + 1 }, afterMs);
  }

  async function fail(cause: Cause): Promise<void> {
    parts.log.warn('a task failed', { kind: kind.name, group: ref.group, code: cause.code });
    // Saved before its effects, so that a crash between them neither changes the cause nor repeats the step.
    if (!task.cause && !(await parts.records.write([changeTask(ref, held, { cause })]))) return;
    await kind.fail(context, { ref, state: work.state() }, cause);
    await end({}, 'failed');
  }

  async function leave(): Promise<void> {
    parts.log.info('a task was left to another worker', { kind: kind.name, group: ref.group, attempt });
    await kind.leave?.(context, { ref, state: work.state() });
  }

  function counts(isCounted: boolean): Partial<TaskData> {
    const { attempt: attempts, ...others } = work.counts();
    return { attempt: isCounted ? attempts : Math.max(attempts - 1, 0), ...others };
  }

  async function pause(): Promise<void> {
    // A resume meanwhile did not send the task, because this worker had it.
    if ((await putBack(counts(false), 0)) && !(await readGroup(parts.records, ref))?.isPaused)
      await sendNow(parts, ref);
  }

  /** Frees the worker's slot together with the writes. False: another worker has the task. */
  async function release(writes: RecordWrite[], { endsGroup = false } = {}): Promise<boolean> {
    const slot: RecordWrite = { op: 'add', ...accountKey(ref.account), add: { [queue]: -1 } };
    if (!(await whenSpace(parts, () => parts.records.write([...writes, slot])))) {
      await leave();
      return false;
    }
    // Tasks that were refused come before new ones. Otherwise a run would keep its slots until its end.
    await sendWaiting(parts, ref.account, queue);
    if (!endsGroup) await fillWindow(parts, ref);
    await parts.changed?.(ref);
    return true;
  }
}

const spacePauses = [1000, 2000, 4000, 8000, 16_000];

/** Holds the task while the disk is full, as long as its lease lasts. */
async function whenSpace<T>({ log }: Parts, write: () => Promise<T>): Promise<T> {
  for (const pause of spacePauses) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'storage-full')) throw error;
      log.error('the disk is full, will retry', { pause }, error);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  return write();
}

/** The first task of a group with a large backlog waits this long, if nothing sends it sooner. */
const backlogWaitMs = 10 * 60_000;

class TaskFailed extends Error {
  override readonly cause: Cause;
  constructor(cause: Cause) {
    super(cause.message);
    this.cause = cause;
  }
}

const tooManyDeaths: Cause = {
  code: 'internal',
  message: 'The work ended several times without a result. Run the job again. If it fails again, read the log.',
};

/** The lease, its heartbeat and the checkpoints of a claimed task. */
function openWork(parts: Parts, taskRef: TaskRef, { task, kind }: Claimed, slice: Slice) {
  const { group } = taskRef;
  const stop = new AbortController();
  const begun = parts.now();
  let { state, attempt, deaths, restarts } = task;
  let isUnfair = false;

  async function beat(): Promise<void> {
    const leaseUntil = parts.now() + leaseMs;
    if (!(await parts.records.write([changeTask(taskRef, task, { leaseUntil })])))
      return stop.abort(new TaskStopped('lease-lost'));
    const now = await readGroup(parts.records, taskRef);
    if (now?.isCancelled && now.stage !== 'end') stop.abort(new TaskStopped('cancelled'));
    else if (now?.isPaused) stop.abort(new TaskStopped('paused'));
    if (parts.now() - begun < fairSliceMs) return;
    const slots = await readSlots(parts.records, taskRef.account);
    isUnfair = slots?.[`${task.queue}Waits`] || ((await slice.othersWait?.()) ?? false);
  }

  const every = parts.every ?? everyTimer;
  const stopBeats = every(heartbeatMs, () => {
    beat().catch((error) => parts.log.error('a heartbeat failed', { kind: kind.name, group }, error));
  });

  const view: Omit<Task<JsonObject>, 'ref' | 'state' | 'fence'> = {
    isCautious: attempt > cautiousAttempts || deaths >= cautiousAttempts,
    deaths,
    stop: stop.signal,
    isOver: () => isUnfair || parts.now() >= slice.deadline,
    async checkpoint(next, { isProgress = true, ...effects } = {}) {
      stop.signal.throwIfAborted();
      const leaseUntil = parts.now() + leaseMs;
      const progress = isProgress ? { attempt: 0, deaths: 0, restarts: 0 } : {};
      const set = { state: next, v: kind.v, leaseUntil, ...progress };
      if (!(await parts.records.write([changeTask(taskRef, task, set), ...effectWrites(taskRef, effects)])))
        throw new TaskStopped('lease-lost');
      state = next;
      if (isProgress) attempt = deaths = restarts = 0;
      await parts.changed?.(taskRef);
      if (effects.add || effects.set) await fillWindow(parts, taskRef);
    },
  };
  return { view, close: stopBeats, state: () => state, counts: () => ({ attempt, deaths, restarts }) };
}

function everyTimer(ms: number, call: () => void): () => void {
  const timer = setInterval(call, ms);
  return () => clearInterval(timer);
}

const maxTries = 50;

/** Creates the group with its first task claimed. Undefined if it exists, or if the account has no free worker. */
async function startClaimed(parts: Parts, created: NewGroup): Promise<Claimed | undefined> {
  const { records } = parts;
  const { kind, group, ref } = created;
  const { queue } = kind;
  const slots = await readSlots(records, ref.account);
  if (slots && slots[queue] >= quotaOf(parts, queue)) return undefined;
  const task = { ...created.task, fence: 1, attempt: 1, leaseUntil: parts.now() + leaseMs };
  const writes = [...groupWrites({ ...created, task }), takeSlot(ref.account, queue, slots, 1)];
  return (await records.write(writes)) ? { task, group, kind } : undefined;
}

/** Takes the task for this worker. Undefined when there is nothing to do for it now. */
async function claim(parts: Parts, message: TaskMessage): Promise<Claimed | undefined> {
  const { type: _, rev, ...ref } = message;
  const { records } = parts;
  for (let tries = 0; tries < maxTries; tries++) {
    const found = await records.getMany([taskKey(ref), groupKey(ref), accountKey(ref.account)]);
    const read = (sk: string) => found.find((record) => record.sk === sk)?.data;
    const task = read(taskKey(ref).sk) as TaskData | undefined;
    const group = read(groupKey(ref).sk) as GroupData | undefined;
    if (!task || !group || task.rev !== rev) return undefined;
    const kind = kindOf(parts, task.kind);
    if (!kind || task.v > kind.v) {
      parts.log.warn('a task of a newer version waits for it', { kind: task.kind, group: ref.group });
      return undefined;
    }
    const now = parts.now();
    const { queue, fence } = task;
    // A lease that ends much later was written before the clock was set back.
    if (task.leaseUntil > now && task.leaseUntil <= now + 2 * leaseMs) return undefined;
    if (group.isPaused && !group.isCancelled) return undefined;
    const slots = read(accountKey(ref.account).sk) as Slots | undefined;
    const used = slots?.[queue] ?? 0;
    // A worker that died still has its slot.
    const wasLeased = task.leaseUntil > 0;
    if (used >= quotaOf(parts, queue) && !wasLeased) {
      // The next worker of the account that is done sends the task again.
      const flag: RecordWrite = {
        ...{ op: 'add', ...accountKey(ref.account), set: { [`${queue}Waits`]: true } },
        if: { equals: { [queue]: used } },
      };
      if (slots?.[`${queue}Waits`] || (await records.write([flag]))) return undefined;
      continue;
    }
    const leaseUntil = now + leaseMs;
    const slot = takeSlot(ref.account, queue, slots, wasLeased ? 0 : 1);
    const isClaimed = await records.write([
      {
        ...{ op: 'add', ...taskKey(ref), set: { leaseUntil } },
        add: { fence: 1, attempt: 1, deaths: wasLeased ? 1 : 0 },
        if: { equals: { rev, fence } },
      },
      slot,
    ]);
    if (!isClaimed) continue;
    const attempt = task.attempt + 1;
    const deaths = task.deaths + (wasLeased ? 1 : 0);
    const state = task.v < kind.v && kind.upcast ? kind.upcast(task.state, task.v) : task.state;
    return { task: { ...task, state, fence: fence + 1, attempt, deaths, leaseUntil }, group, kind };
  }
  throw new Error(`Task ${ref.name} of ${ref.group} could not be claimed. Other workers of the account were faster.`);
}
