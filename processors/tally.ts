/** How many batches are stored, of how many, and what they came to. Both who stores and who closes the plan look, so the last one is always noticed. */
import type { BatchCounts } from '../domain/batch.ts';
import type { Machine } from '../domain/ports.ts';
import type { Cost } from '../domain/run.ts';
import { type About, expiry, runRecord, send } from './run.ts';

/** Counts a batch once, however often it is called; sends for the seal when it was the last. */
export async function countStored(machine: Machine, about: About, batch: number, came: { counts: BatchCounts; cost: Cost }): Promise<void> {
  await machine.records.write([
    { op: 'put', ...runRecord(about, `stored-${batch}`), data: {}, expiresAt: expiry(machine), if: 'absent' },
    { op: 'add', ...runRecord(about, 'tally'), add: { stored: 1, ...came.counts, ...came.cost }, expiresAt: expiry(machine) },
  ]);
  await sealIfComplete(machine, about);
}

/** What the batches stored so far came to: for a run that ends before its time. */
export async function readTally(machine: Machine, about: About): Promise<BatchCounts & Cost> {
  const tally = (await machine.records.get(runRecord(about, 'tally')))?.data ?? {};
  const of = (field: string) => Number(tally[field] ?? 0);
  return {
    filesDone: of('filesDone'),
    filesDeleted: of('filesDeleted'),
    filesFailed: of('filesFailed'),
    filesSkipped: of('filesSkipped'),
    bytesRead: of('bytesRead'),
    bytesStored: of('bytesStored'),
    requests: of('requests'),
    usd: of('usd'),
  };
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
