/**
 * Counts stored batches and adds up their counts. Both the store and the plan step check for the last batch, so one of
 * them sends the commit task.
 */
import type { BatchCounts } from '../../domain/batch.ts';
import type { Platform } from '../../domain/ports.ts';
import type { Cost } from '../../domain/run.ts';
import { expiry, type RunRef, runRecord, send } from './run.ts';

/** Counts a batch once, however often it is called. After the last batch it sends the commit task. */
export async function countStored(
  platform: Platform,
  runRef: RunRef,
  batch: number,
  stored: { counts: BatchCounts; cost: Cost },
): Promise<void> {
  await platform.records.write([
    { op: 'put', ...runRecord(runRef, `stored-${batch}`), data: {}, expiresAt: expiry(platform), if: 'absent' },
    {
      op: 'add',
      ...runRecord(runRef, 'tally'),
      add: { stored: 1, ...stored.counts, ...stored.cost },
      expiresAt: expiry(platform),
    },
  ]);
  await commitIfComplete(platform, runRef);
}

/** Sums of the batches stored so far, for a run that fails or is cancelled. */
export async function readTally(platform: Platform, runRef: RunRef): Promise<Sums> {
  return addTo(noSums, (await platform.records.get(runRecord(runRef, 'tally')))?.data ?? {});
}

export type Sums = BatchCounts & Cost;

export const noSums: Sums = {
  ...{ filesDone: 0, filesDeleted: 0, filesFailed: 0, filesSkipped: 0, bytesRead: 0, bytesStored: 0 },
  ...{ requests: 0, usd: 0 },
};

export function addTo(sums: Sums, more: { [field in keyof Sums]?: unknown }): Sums {
  const added = Object.entries(sums).map(([field, sum]) => [field, sum + Number(more[field as keyof Sums] ?? 0)]);
  return Object.fromEntries(added);
}

/** Sets the number of batches, once the plan is complete. */
export async function closeTally(platform: Platform, runRef: RunRef, total: number): Promise<void> {
  await platform.records.write([
    { op: 'add', ...runRecord(runRef, 'tally'), set: { total }, expiresAt: expiry(platform) },
  ]);
  await commitIfComplete(platform, runRef);
}

export async function commitIfComplete(platform: Platform, runRef: RunRef): Promise<void> {
  const tally = (await platform.records.get(runRecord(runRef, 'tally')))?.data ?? {};
  if (typeof tally.total === 'number' && Number(tally.stored ?? 0) >= tally.total)
    await send(platform, [{ type: 'commit', ...runRef }]);
}
