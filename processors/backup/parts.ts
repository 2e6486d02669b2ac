/** The parts of a run: what each batch stored, sealed, with the numbers its event repeats. The first one put is the one that counts. */
import { sha256 } from '../../activity/commit.ts';
import type { BatchCounts } from '../../domain/batch.ts';
import type { Platform } from '../../domain/ports.ts';
import type { Cost } from '../../domain/run.ts';
import type { VaultKeys } from '../../vault/keys.ts';
import { decodePart, type Part } from '../../vault/part.ts';
import { expiry, type RunRef, runRecord } from './run.ts';
import { loadBytes, type Resting, saveBytes } from './saved-bytes.ts';

export type PartRecord = { partHash: string; packs: string[]; counts: BatchCounts; cost: Cost };
type Stored = PartRecord & Resting;

const partKey = (runRef: RunRef, number: number) => runRecord(runRef, `part-${String(number).padStart(9, '0')}`);

export async function readPart(platform: Platform, runRef: RunRef, number: number): Promise<PartRecord | undefined> {
  return (await platform.records.get(partKey(runRef, number)))?.data as PartRecord | undefined;
}

/** Puts the part unless there is one, and gives back the one that counts. */
export async function putPart(
  platform: Platform,
  runRef: RunRef,
  number: number,
  bytes: Uint8Array,
  numbers: Omit<PartRecord, 'partHash'>,
): Promise<PartRecord> {
  const partHash = sha256(bytes);
  const record: PartRecord = { partHash, ...numbers };
  const blob = `work/${runRef.account}/${runRef.runId}/part-${number}-${partHash}`;
  const data: Stored = { ...record, ...(await saveBytes(platform, blob, bytes)) };
  const won = await platform.records.write([
    { op: 'put', ...partKey(runRef, number), data, expiresAt: expiry(platform), if: 'absent' },
  ]);
  if (won) return record;
  return (await readPart(platform, runRef, number)) ?? record;
}

/** Every part of the run in order, one at a time in memory. Throws when one is not what its hash says. */
export async function* readParts(
  platform: Platform,
  keys: VaultKeys,
  runRef: RunRef,
  total: number,
): AsyncGenerator<PartRecord & { part: Part }> {
  for (let number = 1; number <= total; number++) {
    const stored = (await platform.records.get(partKey(runRef, number)))?.data as Stored | undefined;
    if (!stored) throw new Error(`part ${number} of run ${runRef.runId} is missing`);
    const bytes = await loadBytes(platform, stored);
    if (!bytes || sha256(bytes) !== stored.partHash)
      throw new Error(`part ${number} of run ${runRef.runId} is not what its hash says`);
    yield { ...stored, part: decodePart(keys, runRef.account, runRef.runId, number, bytes) };
  }
}
