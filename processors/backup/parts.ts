/**
 * The parts of a run: one a batch, encrypted, with its counts. The first part put for a batch counts.
 */
import { sha256 } from '../../activity/commit.ts';
import type { BatchCounts } from '../../domain/batch.ts';
import type { Platform } from '../../domain/ports.ts';
import type { Cost } from '../../domain/run.ts';
import { expiry, type RunRef, runRecord } from './run.ts';
import { loadBytes, type SavedBytes, saveBytes } from './saved-bytes.ts';
import { isOpen, RunCancelled } from './watch.ts';

export type PartRecord = { partHash: string; packs: string[]; counts: BatchCounts; cost: Cost };
export type StoredPart = PartRecord & SavedBytes;

/** Sort key of a part's record. Parts sort by batch number. */
export const partRecord = (number: number) => `part-${String(number).padStart(9, '0')}`;

const partKey = (runRef: RunRef, number: number) => runRecord(runRef, partRecord(number));

export async function readPart(platform: Platform, runRef: RunRef, number: number): Promise<PartRecord | undefined> {
  return (await platform.records.get(partKey(runRef, number)))?.data as PartRecord | undefined;
}

/** Puts the part unless the batch has one already. Returns the part that counts. @throws RunCancelled */
export async function putPart(
  platform: Platform,
  runRef: RunRef,
  number: number,
  bytes: Uint8Array,
  counts: Omit<PartRecord, 'partHash'>,
): Promise<PartRecord> {
  const partHash = sha256(bytes);
  const record: PartRecord = { partHash, ...counts };
  const blob = `work/${runRef.account}/${runRef.runId}/part-${number}-${partHash}`;
  const saved = await saveBytes(platform, blob, bytes);
  // If the run ends later, its end removes the blob.
  if ('blob' in saved && !(await isOpen(platform, runRef))) throw new RunCancelled(`run ${runRef.runId} is over`);
  const data: StoredPart = { ...record, ...saved };
  const isFirst = await platform.records.write([
    { op: 'put', ...partKey(runRef, number), data, expiresAt: expiry(platform), if: 'absent' },
  ]);
  if (isFirst) return record;
  return (await readPart(platform, runRef, number)) ?? record;
}

/** The part and its bytes. Throws when it is missing or altered. */
export async function loadPart(
  platform: Platform,
  runRef: RunRef,
  number: number,
): Promise<{ record: PartRecord; bytes: Uint8Array }> {
  const stored = (await platform.records.get(partKey(runRef, number)))?.data as StoredPart | undefined;
  if (!stored) throw new Error(`part ${number} of run ${runRef.runId} is missing`);
  const bytes = await loadBytes(platform, stored);
  if (!bytes || sha256(bytes) !== stored.partHash)
    throw new Error(`part ${number} of run ${runRef.runId} does not match its hash`);
  return { record: stored, bytes };
}
