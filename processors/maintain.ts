/** What a deployment does every minute. Safe at any time, also concurrently. */
import type { Platform } from '../domain/ports.ts';
import { reap } from '../tasks/reaper.ts';
import { removeExpiredExports } from '../vault/exports.ts';
import type { Deployment } from './deployment.ts';
import { tasksOf } from './tasks.ts';

/**
 * Sends tasks again whose messages or workers were lost, deletes expired exports and settles keys. An error at one does
 * not stop the others. The first error is thrown at the end.
 */
export async function maintain(deployment: Deployment): Promise<void> {
  const { platform } = deployment;
  const work = [reap(tasksOf(deployment)), removeExpiredExports(platform), settleKeys(platform)];
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}

const keyRound = { pk: 'keys', sk: 'round' };
const keyRoundMs = 24 * 60 * 60_000;

/** Settles one page of the keys. A round over all keys begins once a day. */
async function settleKeys({ keys, records, now }: Platform): Promise<void> {
  const last = (await records.get(keyRound))?.data ?? { cursor: null, began: 0 };
  const isOver = last.cursor === null;
  if (isOver && now() < Number(last.began) + keyRoundMs) return;
  const began = isOver ? now() : Number(last.began);
  const cursor = await keys.sweep(isOver ? undefined : String(last.cursor));
  await records.write([{ op: 'put', ...keyRound, data: { cursor, began } }]);
}
