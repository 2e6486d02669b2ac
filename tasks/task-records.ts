/** The records of tasks, groups and accounts, and the transactions that change them. */
import { allOf } from '../domain/pages.ts';
import type { JsonObject, RecordKey, Records, RecordWrite } from '../domain/ports.ts';
import {
  type AnyTaskKind,
  type Effects,
  type GroupData,
  type GroupRef,
  resendMs,
  shards,
  type TaskData,
  type TaskRef,
} from './task.ts';

/** All records of an account share a partition. The reaper reads the partitions. */
export function shardKey(shard: number): string {
  return `tasks#${shard}`;
}

function partition(account: string): string {
  let hash = 0;
  for (const letter of account) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 65_521;
  return shardKey(hash % shards);
}

export const taskPrefix = 'task/';
export const groupPrefix = 'group/';

export function taskKey({ account, group, name }: TaskRef): RecordKey {
  return { pk: partition(account), sk: `${taskPrefix}${account}/${group}/${name}` };
}

export function groupKey({ account, group }: GroupRef): RecordKey {
  return { pk: partition(account), sk: `${groupPrefix}${account}/${group}` };
}

/** The number of workers that have tasks of the account, by queue. */
export function accountKey(account: string): RecordKey {
  return { pk: partition(account), sk: `account/${account}` };
}

export function refOf(sk: string): TaskRef {
  const [, account = '', group = '', name = ''] = sk.split('/');
  return { account, group, name };
}

export async function readTask(records: Records, ref: TaskRef): Promise<TaskData | undefined> {
  return (await records.get(taskKey(ref)))?.data as TaskData | undefined;
}

export async function readGroup(records: Records, ref: GroupRef): Promise<GroupData | undefined> {
  return (await records.get(groupKey(ref)))?.data as GroupData | undefined;
}

/** A page of the open tasks of a group or of an account. */
export async function openTasks(
  records: Records,
  { account, group }: { account: string; group?: string },
  limit = 100,
): Promise<{ ref: TaskRef; task: TaskData }[]> {
  const prefix = `${taskPrefix}${account}/${group === undefined ? '' : `${group}/`}`;
  const { items } = await records.query(partition(account), { prefix, limit });
  return items.map(({ sk, data }) => ({ ref: refOf(sk), task: data as TaskData }));
}

/** All open groups of an account, by id. */
export async function openGroups(records: Pick<Records, 'query'>, account: string): Promise<Map<string, GroupData>> {
  const groups = new Map<string, GroupData>();
  const prefix = `${groupPrefix}${account}/`;
  for await (const { sk, data } of allOf((page) => records.query(partition(account), { prefix, ...page })))
    groups.set(refOf(sk).group, data as GroupData);
  return groups;
}

/** A task that no worker has had yet. */
export function newTask(
  { name: kind, v, queue }: Pick<AnyTaskKind, 'name' | 'v' | 'queue'>,
  state: JsonObject,
  now: number,
): TaskData {
  const counts = { rev: 1, fence: 0, attempt: 0, deaths: 0, restarts: 0 };
  return { kind, v, queue, state, ...counts, leaseUntil: 0, dueAt: now, resendAt: now + resendMs };
}

/** Identifies a claim. The fence changes when another worker claims the task, and `rev` when the lease ends. */
export type Held = Pick<TaskData, 'fence' | 'rev'>;

/** Changes fields of a task, if the worker of this claim still has it. */
export function changeTask(
  ref: TaskRef,
  { fence, rev }: Held,
  set: Partial<TaskData>,
  add: { rev?: number; fence?: number } = {},
): RecordWrite {
  return { op: 'add', ...taskKey(ref), add, set: set as JsonObject, if: { equals: { fence, rev } } };
}

export function changeGroup(
  ref: GroupRef,
  set: JsonObject,
  add: { [field: string]: number } = {},
  condition: Partial<GroupData> = {},
): RecordWrite {
  const equals = condition as JsonObject;
  const holds = Object.keys(equals).length > 0 ? { equals } : ('present' as const);
  return { op: 'add', ...groupKey(ref), add, set, if: holds };
}

/** The effects of a step as writes: its own, and the change of the group. */
export function effectWrites(ref: GroupRef, { add = {}, set = {}, writes = [] }: Effects): RecordWrite[] {
  const changesGroup = Object.keys(add).length + Object.keys(set).length > 0;
  return changesGroup ? [...writes, changeGroup(ref, set, add)] : writes;
}
