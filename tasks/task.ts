/**
 * Durable tasks: work that outlives a process. A task is a small state and a step function. The runner repeats the step
 * until the task ends, and owns all that is hard about it: claims, leases, cancel, fairness, retries and crashes.
 * docs/adr/tasks.md has the reasons.
 */
import type { JsonObject, Log, Queue, QueueName, Records, RecordWrite } from '../domain/ports.ts';

/** All tasks of one run or one export. `id` is its id. */
export type GroupRef = { account: string; group: string };
export type TaskRef = GroupRef & { name: string };

/** A message is a hint that a task is due. Its task ignores it unless `rev` is the current one. */
export type TaskMessage = { type: 'task'; rev: number } & TaskRef;

/** The record of a task. It exists while the task is open. Times are ms since the epoch. */
export type TaskData = {
  kind: string;
  queue: QueueName;
  /** The version of `state`. */
  v: number;
  state: JsonObject;
  /** Grows whenever the task is due again. */
  rev: number;
  /** Grows with each claim. Only the worker of the newest claim can write, and only while it has the lease's `rev`. */
  fence: number;
  /** Claims since the last progress. */
  attempt: number;
  /** Workers that died since the last progress. */
  deaths: number;
  /** Restarts of the whole server that ended a claim since the last progress. */
  restarts: number;
  /** 0: no worker has the task. */
  leaseUntil: number;
  /** No worker starts before. */
  dueAt: number;
  /** When the reaper sends the task again. */
  resendAt: number;
  /** The task has failed with this cause, and its group is about to. */
  cause?: Cause;
};

/** The record of a group: its window of child tasks, its flags, and fields of its kinds. */
export type GroupData = {
  kind: string;
  /** Every task of the group starts with these fields in its state. Children have `number` too. */
  state: JsonObject;
  /** Open tasks. */
  open: number;
  /** Children that may start, that have started, and that are done. Their numbers count from 1. */
  ready: number;
  started: number;
  done: number;
  /** `first`: more children may become ready. `children`: all are ready. `last`: the last task or the end has begun. */
  stage: 'first' | 'children' | 'last' | 'end';
  /** The first task waits until at most this many ready children are not done. */
  waiting: number | null;
  /** Children in hand at once. */
  window: number;
  isCancelled: boolean;
  isPaused: boolean;
};

/**
 * The tasks of a group. `first` makes children ready, and `last` follows when all are done. After a cancel, `end`
 * follows when no worker has a task of the group.
 */
export type GroupKind = { name: string; first: string; child?: string; last?: string; end: string };

/** Why a task ended without success. */
export type Cause = { code: string; message: string };

/** `isCounted` false: the interruption has nothing to do with the task. */
export type Retry = { afterMs: number; isCounted?: boolean } | { cause: Cause };

/** Fields of the group's record that belong to its kinds, and records, written with the state in one transaction. */
export type Effects = {
  add?: { [field: string]: number };
  set?: JsonObject;
  /** At most 90. A condition that fails ends the step as if its lease were lost. */
  writes?: RecordWrite[];
};

export type Outcome<S extends JsonObject> =
  /** The task is done. `endsGroup`: it was the last one. */
  | ({ type: 'done'; endsGroup?: boolean } & Effects)
  /** Another slice goes on, not before `afterMs`, or when at most `backlog` children are not done. */
  | ({ type: 'again'; state: S; afterMs?: number; backlog?: number } & Effects);

/** A claimed task, as its step sees it. */
export type Task<S extends JsonObject> = {
  ref: TaskRef;
  state: S;
  /** Names effects of this claim, such as blobs. */
  fence: number;
  /** Attempts without progress failed. The step goes on in small parts, with a checkpoint before each. */
  isCautious: boolean;
  /** Workers that died in this task since the last progress. */
  deaths: number;
  /** Aborts with TaskStopped: the task was cancelled or paused, or another worker has it. */
  stop: AbortSignal;
  /** True when the step should return its state soon. */
  isOver(): boolean;
  /**
   * Saves the state, so that the next attempt goes on from it. `isProgress` false keeps the count of attempts.
   * @throws TaskStopped when another worker has the task
   */
  checkpoint(state: S, effects?: Effects & { isProgress?: boolean }): Promise<void>;
};

export type TaskKind<C, S extends JsonObject = JsonObject> = {
  name: string;
  /** A release writes states that the previous release reads. */
  v: number;
  /** A state of this version from one of an older version. */
  upcast?(state: JsonObject, v: number): S;
  queue: QueueName;
  /** Attempts without progress before the task fails. Default 5. */
  maxAttempts?: number;
  step(context: C, task: Task<S>): Promise<Outcome<S>>;
  /** What follows an error of the step. `isLast`: the runner makes no further counted attempt. */
  onError(error: unknown, attempt: number, isLast: boolean): Retry;
  /** The task ends with this cause, and its group with it. Idempotent. */
  fail(context: C, task: Pick<Task<S>, 'ref' | 'state'>, cause: Cause): Promise<void>;
  /** Another worker has taken or ended the task. Removes what this worker may have left behind. */
  leave?(context: C, task: Pick<Task<S>, 'ref' | 'state'>): Promise<void>;
};

// biome-ignore lint/suspicious/noExplicitAny: the runner does not look into states and contexts.
export type AnyTaskKind = TaskKind<any, any>;

/** The step cannot go on. The runner handles it. */
export class TaskStopped extends Error {
  readonly reason: 'cancelled' | 'paused' | 'lease-lost';
  constructor(reason: TaskStopped['reason']) {
    super(`the task is ${reason}`);
    this.name = 'TaskStopped';
    this.reason = reason;
  }
}

export type Parts = {
  records: Records;
  queue: Pick<Queue, 'send'>;
  /** Milliseconds since the epoch. */
  now(): number;
  log: Log;
  kinds: readonly AnyTaskKind[];
  groups: readonly GroupKind[];
  /** Workers of each queue. An account holds at most a quarter of them. */
  pool: { [queue in QueueName]: number };
  /** Called after records of a group have changed, for those who follow its progress. */
  changed?(ref: GroupRef): void | Promise<void>;
  /** Calls back every `ms` until the returned function is called. Default: a timer. */
  every?(ms: number, call: () => void): () => void;
};

/** Leases save work. The fence decides. */
export const leaseMs = 60_000;
export const heartbeatMs = 15_000;
/** A slice ends after this time if other work waits. */
export const fairSliceMs = 60_000;
/** A message may wait this long in its queue before the reaper sends another. */
export const resendMs = 10 * 60_000;
/** No task waits longer. A later time was written before the clock was set back. */
export const maxWaitMs = 24 * 3600_000;
/** This many restarts of the server are not counted as deaths of a worker. */
export const freeRestarts = 10;
/** After this many attempts without progress a step goes on in small parts. */
export const cautiousAttempts = 2;
export const defaultMaxAttempts = 5;
/** The longest delay of a queue. A later task is sent by the reaper. */
export const maxDelayMs = 900_000;
export const shards = 16;
