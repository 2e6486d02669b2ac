/** How many batches are stored, of how many. Both who stores and who closes the plan look, so the last one is always noticed. */
import type { Machine } from '../domain/ports.ts';
import { type About, expiry, runRecord, send } from './run.ts';

/** Counts a batch once, however often it is called; sends for the seal when it was the last. */
export async function countStored(machine: Machine, about: About, batch: number): Promise<void> {
  await machine.records.write([
    { op: 'put', ...runRecord(about, `stored-${batch}`), data: {}, expiresAt: expiry(machine), if: 'absent' },
    { op: 'add', ...runRecord(about, 'tally'), add: { stored: 1 }, expiresAt: expiry(machine) },
  ]);
  await sealIfComplete(machine, about);
}

/** The plan is complete: so many batches there are. */
export async function closeTally(machine: Machine, about: About, total: number): Promise<void> {
  await machine.records.write([{ op: 'add', ...runRecord(about, 'tally'), set: { total }, expiresAt: expiry(machine) }]);
  await sealIfComplete(machine, about);
}

export async function sealIfComplete(machine: Machine, about: About): Promise<void> {
  const tally = (await machine.records.get(runRecord(about, 'tally')))?.data ?? {};
  if (typeof tally.total === 'number' && Number(tally.stored ?? 0) >= tally.total) await send(machine, [{ type: 'seal', ...about }]);
}
