/** Sends tasks again whose messages or workers were lost. Run it every minute. Safe at any time, also concurrently. */
import { allOf, pagesOf } from '../domain/pages.ts';
import { inParallel } from '../domain/parallel.ts';
import type { Records } from '../domain/ports.ts';
import {
  freeRestarts,
  type GroupData,
  leaseMs,
  maxWaitMs,
  type Parts,
  resendMs,
  shards,
  type TaskData,
  type TaskRef,
} from './task.ts';
import { accountKey, groupKey, groupPrefix, refOf, shardKey, taskKey, taskPrefix } from './task-records.ts';
import { fillWindow, sendTask } from './window.ts';

/** A task is stalled when it was due so long ago and no worker has it. */
const stalledMs = 3600_000;

/**
 * An error at one task does not stop the others. The first error is thrown at the end. Measures the groups that have a
 * stalled task and are not paused.
 */
export async function reap(parts: Parts): Promise<void> {
  const errors: unknown[] = [];
  const noted = (error: unknown) => void errors.push(error);
  let stalledGroups = 0;
  await Promise.all(
    Array.from({ length: shards }, async (_, shard) => {
      const pk = shardKey(shard);
      const stalled = new Set<string>();
      for await (const page of pagesOf((page) => parts.records.query(pk, { prefix: taskPrefix, ...page })))
        await inParallel(8, page, async ({ sk, data }) => {
          const [ref, task] = [refOf(sk), data as TaskData];
          if (task.leaseUntil === 0 && parts.now() - task.dueAt >= stalledMs) stalled.add(groupKey(ref).sk);
          await look(parts, ref, task).catch(noted);
        });
      for await (const { sk, data } of allOf((page) => parts.records.query(pk, { prefix: groupPrefix, ...page }))) {
        const [ref, group] = [refOf(sk), data as GroupData];
        if (stalled.has(sk) && !group.isPaused) {
          stalledGroups++;
          parts.log.warn('no worker took a task for an hour', { group: ref.group });
        }
        await fillWindow(parts, ref, group).catch(noted);
      }
    }).map((work) => work.catch(noted)),
  );
  if (stalledGroups > 0) parts.log.measure({ RunsStalled: stalledGroups });
  if (errors.length > 0) throw errors[0];
}

async function look(parts: Parts, ref: TaskRef, task: TaskData): Promise<void> {
  const now = parts.now();
  const isFuture = (at: number, longest: number) => at > now && at <= now + longest;
  if (isFuture(task.leaseUntil, 2 * leaseMs)) return;
  if (task.leaseUntil > 0) return takeBack(parts, ref, task, { deaths: 1 });
  if (isFuture(task.resendAt, maxWaitMs)) return;
  const { rev, fence } = task;
  const set = { resendAt: now + resendMs };
  if (await parts.records.write([{ op: 'add', ...taskKey(ref), set, if: { equals: { rev, fence } } }]))
    await sendTask(parts, ref, task);
}

/** The number of open groups of all accounts. */
export async function countGroups({ query }: Pick<Records, 'query'>): Promise<number> {
  let count = 0;
  for (let shard = 0; shard < shards; shard++)
    for await (const _group of allOf((page) => query(shardKey(shard), { prefix: groupPrefix, ...page }))) count++;
  return count;
}

/**
 * Sends all tasks, at the start of a server that is the only worker: claimed ones, and ones whose messages may be lost.
 * The first restarts do not count as attempts, because most often the task is not their cause.
 */
export async function takeBackAll(parts: Parts): Promise<void> {
  for (let shard = 0; shard < shards; shard++) {
    const pk = shardKey(shard);
    for await (const { sk, data } of allOf((page) => parts.records.query(pk, { prefix: taskPrefix, ...page }))) {
      const task = data as TaskData;
      const isFree = task.restarts < freeRestarts;
      if (task.leaseUntil > 0)
        await takeBack(parts, refOf(sk), task, isFree ? { restarts: 1, attempt: -1 } : { deaths: 1 });
      else await sendTask(parts, refOf(sk), task, Math.max(0, task.dueAt - parts.now()));
    }
    for await (const { sk, data } of allOf((page) => parts.records.query(pk, { prefix: groupPrefix, ...page })))
      await fillWindow(parts, refOf(sk), data as GroupData);
  }
}

/** Ends the lease of a worker that died, and makes the task due. */
async function takeBack(
  parts: Parts,
  ref: TaskRef,
  task: TaskData,
  counts: { [field: string]: number },
): Promise<void> {
  const { kind, queue, rev, fence, leaseUntil } = task;
  const now = parts.now();
  const set = { leaseUntil: 0, dueAt: now, resendAt: now + resendMs };
  const isTaken = await parts.records.write([
    {
      op: 'add',
      ...taskKey(ref),
      set,
      add: { rev: 1, fence: 1, ...counts },
      if: { equals: { rev, fence, leaseUntil } },
    },
    { op: 'add', ...accountKey(ref.account), add: { [queue]: -1 } },
  ]);
  if (!isTaken) return;
  parts.log.warn('a worker lost its task, which is repeated', { kind, group: ref.group });
  await sendTask(parts, ref, { queue, rev: rev + 1 });
}
