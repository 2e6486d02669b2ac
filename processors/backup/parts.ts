/** The parts of a run: one a batch, encrypted, with its counts. The first part put for a batch counts. */
import { sha256 } from '../../activity/commit.ts';
import type { Platform, RecordWrite } from '../../domain/ports.ts';
import type { BatchCounts, Cost } from '../../domain/run.ts';
import { expiry, type RunRef, runRecord } from './run.ts';
import { loadBytes, type SavedBytes, saveBytes } from './saved-bytes.ts';
import { workFolder } from './work.ts';

export type PartRecord = { partHash: string; counts: BatchCounts; cost: Cost };
export type StoredPart = PartRecord & SavedBytes;

/** Sort key of a part's record. Parts sort by batch number. */
export const partRecord = (number: number) => `part-${String(number).padStart(9, '0')}`;

/** The write that puts a part unless its batch has one. A large part becomes a blob before. */
export async function partWrite(
  platform: Platform,
  runRef: RunRef,
  number: number,
  { part, counts, cost }: Omit<PartRecord, 'partHash'> & { part: Uint8Array },
): Promise<RecordWrite> {
  const partHash = sha256(part);
  const saved = await saveBytes(platform, `${workFolder(runRef)}part-${number}-${partHash}`, part);
  const data: StoredPart = { partHash, counts, cost, ...saved };
  return { op: 'put', ...runRecord(runRef, partRecord(number)), data, expiresAt: expiry(platform), if: 'absent' };
}

/** The part and its bytes. Throws when it is missing or altered. */
export async function loadPart(
  platform: Platform,
  runRef: RunRef,
  number: number,
): Promise<{ record: PartRecord; bytes: Uint8Array }> {
  const stored = (await platform.records.get(runRecord(runRef, partRecord(number))))?.data as StoredPart | undefined;
  if (!stored) throw new Error(`part ${number} of run ${runRef.runId} is missing`);
  const bytes = await loadBytes(platform, stored);
  if (!bytes || sha256(bytes) !== stored.partHash)
    throw new Error(`part ${number} of run ${runRef.runId} does not match its hash`);
  return { record: stored, bytes };
}
