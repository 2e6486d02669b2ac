/**
 * The window of a group: which of its tasks start next. The backlog stays in Records, and at most `window` children are
 * in hand. Each change is one conditional write, so workers that look at the same time start nothing twice.
 */
import type { JsonObject, RecordWrite } from '../domain/ports.ts';
import {
  type AnyTaskKind,
  type GroupData,
  type GroupKind,
  type GroupRef,
  maxDelayMs,
  type Parts,
  resendMs,
  type TaskData,
  type TaskMessage,
  type TaskRef,
} from './task.ts';
import { changeGroup, groupKey, newTask, openTasks, readGroup, readTask, taskKey } from './task-records.ts';

export function kindOf(parts: Parts, name: string): AnyTaskKind | undefined {
  return parts.kinds.find((kind) => kind.name === name);
}

export function groupKindOf(parts: Parts, name: string): GroupKind | undefined {
  return parts.groups.find((group) => group.name === name);
}

/** The name of a child. Names sort by number. */
export function childName(kind: string, number: number): string {
  return `${kind}-${String(number).padStart(9, '0')}`;
}

/** Sends the message of a task. The reaper sends it again if it gets lost. */
export async function sendTask(
  parts: Parts,
  ref: TaskRef,
  { queue, rev }: Pick<TaskData, 'queue' | 'rev'>,
  delayMs = 0,
): Promise<void> {
  if (delayMs > maxDelayMs) return;
  const body: TaskMessage = { type: 'task', ...ref, rev };
  const delaySeconds = Math.ceil(delayMs / 1000);
  await parts.queue.send(queue, [{ body, group: ref.account, ...(delaySeconds > 0 && { delaySeconds }) }]);
}

/** A group that does not exist yet, and its first task. */
export type NewGroup = { ref: TaskRef; group: GroupData; task: TaskData; kind: AnyTaskKind; writes: RecordWrite[] };

export function newGroup(
  parts: Parts,
  ref: GroupRef,
  groupKind: string,
  state: JsonObject,
  { window = 8, writes = [] }: { window?: number; writes?: RecordWrite[] } = {},
): NewGroup {
  const { first } = required(groupKindOf(parts, groupKind), groupKind);
  const kind = required(kindOf(parts, first), first);
  const group: GroupData = {
    ...{ kind: groupKind, state, open: 1, ready: 0, started: 0, done: 0, stage: 'first', waiting: null, window },
    ...{ isCancelled: false, isPaused: false },
  };
  return { ref: { ...ref, name: kind.name }, group, task: newTask(kind, state, parts.now()), kind, writes };
}

/** The writes that create a group, unless it exists. */
export function groupWrites({ ref, group, task, writes }: NewGroup): RecordWrite[] {
  return [
    { op: 'put', ...groupKey(ref), data: group, if: 'absent' },
    { op: 'put', ...taskKey(ref), data: task, if: 'absent' },
    ...writes,
  ];
}

/** Creates a group and its first task. Returns its first message. A repeat changes nothing and returns the same. */
export async function startGroup(parts: Parts, group: NewGroup): Promise<TaskMessage> {
  await parts.records.write(groupWrites(group));
  return { type: 'task', ...group.ref, rev: group.task.rev };
}

function required<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw new Error(`There is no task or group ${name}. Add it to the registry.`);
  return found;
}

type Start = { name: string; kind: string; state: JsonObject; set: JsonObject; if: Partial<GroupData> };

/** The task of the group that is due to start now. */
function nextStart(parts: Parts, group: GroupData): Start | undefined {
  const kinds = groupKindOf(parts, group.kind);
  if (!kinds) return undefined;
  if (group.isCancelled) {
    if (group.open > 0 || group.stage === 'end') return undefined;
    const { open, stage, state } = group;
    return { name: kinds.end, kind: kinds.end, state, set: { stage: 'end' }, if: { open, stage } };
  }
  if (group.isPaused) return undefined;
  const { ready, started, done, window, stage, open, state } = group;
  if (kinds.child && started < ready && started - done < window) {
    const number = started + 1;
    const name = childName(kinds.child, number);
    return { name, kind: kinds.child, state: { ...state, number }, set: { started: number }, if: { started } };
  }
  if (kinds.last && stage === 'children' && done >= ready && open === 0)
    return { name: kinds.last, kind: kinds.last, state, set: { stage: 'last' }, if: { stage } };
  return undefined;
}

/**
 * Starts all tasks of the group that are due, and sends its first task when the backlog is small again. Ends the tasks
 * of a cancelled group.
 */
export async function fillWindow(parts: Parts, ref: GroupRef, known?: GroupData): Promise<void> {
  for (let group = known ?? (await readGroup(parts.records, ref)); group; group = await readGroup(parts.records, ref)) {
    const start = nextStart(parts, group);
    if (!start) {
      if (group.isCancelled && group.stage !== 'end' && (await endUnclaimed(parts, ref))) continue;
      if (group.waiting !== null && group.ready - group.done <= group.waiting) await sendFirst(parts, ref, group);
      return;
    }
    const kind = required(kindOf(parts, start.kind), start.kind);
    const task = newTask(kind, start.state, parts.now());
    const writes: RecordWrite[] = [
      changeGroup(ref, start.set, { open: 1 }, start.if),
      { op: 'put', ...taskKey({ ...ref, name: start.name }), data: task, if: 'absent' },
    ];
    if (await parts.records.write(writes)) await sendTask(parts, { ...ref, name: start.name }, task);
  }
}

/** Ends the tasks of a cancelled group that no worker has. Returns whether there was one. */
async function endUnclaimed(parts: Parts, ref: GroupRef): Promise<boolean> {
  let hasEnded = false;
  for (const { ref: taskRef, task } of await openTasks(parts.records, ref)) {
    const { rev, fence, leaseUntil } = task;
    if (leaseUntil > 0) continue;
    const isEnded = await parts.records.write([
      { op: 'delete', ...taskKey(taskRef), if: { equals: { rev, fence } } },
      changeGroup(ref, {}, { open: -1 }, { isCancelled: true }),
    ]);
    hasEnded ||= isEnded;
  }
  return hasEnded;
}

async function sendFirst(parts: Parts, ref: GroupRef, { kind, waiting }: GroupData): Promise<void> {
  const name = groupKindOf(parts, kind)?.first ?? '';
  if (!(await parts.records.write([changeGroup(ref, { waiting: null }, {}, { waiting })]))) return;
  await sendNow(parts, { ...ref, name });
}

/** Makes a task due that no worker has. */
export async function sendNow(parts: Parts, ref: TaskRef): Promise<void> {
  const task = await readTask(parts.records, ref);
  if (!task || task.leaseUntil > 0) return;
  const { rev, fence } = task;
  const now = parts.now();
  const moved = await parts.records.write([
    {
      ...{ op: 'add', ...taskKey(ref), add: { rev: 1 }, set: { dueAt: now, resendAt: now + resendMs } },
      if: { equals: { rev, fence } },
    },
  ]);
  if (moved) await sendTask(parts, ref, { ...task, rev: rev + 1 });
}

/** Stops all tasks of the group: workers within two heartbeats, and its end follows. Idempotent. */
export async function cancelGroup(parts: Parts, ref: GroupRef): Promise<void> {
  if (await parts.records.write([changeGroup(ref, { isCancelled: true })])) await fillWindow(parts, ref);
}

/** Workers stop within two heartbeats. What they saved stays. Idempotent. */
export async function pauseGroup(parts: Parts, ref: GroupRef): Promise<void> {
  await parts.records.write([changeGroup(ref, { isPaused: true })]);
}

/** The tasks of a paused group go on. Idempotent. */
export async function resumeGroup(parts: Parts, ref: GroupRef): Promise<void> {
  if (!(await parts.records.write([changeGroup(ref, { isPaused: false })]))) return;
  // A group has at most a window of open tasks, and one or two more.
  for (const task of await openTasks(parts.records, ref)) await sendNow(parts, task.ref);
  await fillWindow(parts, ref);
}
