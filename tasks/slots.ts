/** The slots of an account: how many workers have tasks of it, and the tasks that found no slot. */
import type { QueueName, Records, RecordWrite } from '../domain/ports.ts';
import type { Parts } from './task.ts';
import { accountKey, openGroups, openTasks } from './task-records.ts';
import { sendTask } from './window.ts';

/** Open tasks of an account among which a worker looks for refused ones. The reaper sends the others. */
const maxWaiting = 1000;

/** Workers that have tasks of an account, by queue, and whether tasks of it were refused. */
export type Slots = { [queue in QueueName | `${QueueName}Waits`]: queue extends QueueName ? number : boolean };
const noSlots: Slots = { job: 0, data: 0, jobWaits: false, dataWaits: false };

/** An account holds at most a quarter of the workers. */
export function quotaOf(parts: Parts, queue: QueueName): number {
  return Math.max(1, Math.floor(parts.pool[queue] / 4));
}

export async function readSlots(records: Records, account: string): Promise<Slots | undefined> {
  return (await records.get(accountKey(account)))?.data as Slots | undefined;
}

/** The write that takes a slot of the account, if it still has `slots`. */
export function takeSlot(account: string, queue: QueueName, slots: Slots | undefined, count: 0 | 1): RecordWrite {
  if (!slots) return { op: 'put', ...accountKey(account), data: { ...noSlots, [queue]: 1 }, if: 'absent' };
  return { op: 'add', ...accountKey(account), add: { [queue]: count }, if: { equals: { [queue]: slots[queue] } } };
}

/** If tasks of the account were refused: sends as many of them as it has slots now, the oldest first. */
export async function sendWaiting(parts: Parts, account: string, queue: QueueName): Promise<void> {
  const { records } = parts;
  const waits = `${queue}Waits` as const;
  const slots = await readSlots(records, account);
  if (!slots?.[waits]) return;
  const cleared = {
    op: 'add',
    ...accountKey(account),
    set: { [waits]: false },
    if: { equals: { [waits]: true } },
  } as const;
  if (!(await records.write([cleared]))) return;
  const groups = await openGroups(records, account);
  const now = parts.now();
  const waiting = (await openTasks(records, { account }, maxWaiting))
    .filter(({ task }) => task.leaseUntil === 0 && task.dueAt <= now && task.queue === queue)
    .filter(({ ref }) => !groups.get(ref.group)?.isPaused)
    .sort((a, b) => a.task.dueAt - b.task.dueAt);
  const free = Math.max(quotaOf(parts, queue) - slots[queue], 0);
  for (const { ref, task } of waiting.slice(0, free)) await sendTask(parts, ref, task);
  // The tasks that were sent find the rest when they are done.
  if (waiting.length > free) await records.write([{ op: 'add', ...accountKey(account), set: { [waits]: true } }]);
}
