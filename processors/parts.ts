/** The parts of a run: what each batch stored, sealed, with the numbers its event repeats. The first one put is the one that counts. */
import { sha256 } from '../activity/commit.ts';
import type { BatchCounts } from '../domain/batch.ts';
import type { Machine } from '../domain/ports.ts';
import type { Cost } from '../domain/run.ts';
import type { VaultKeys } from '../vault/keys.ts';
import { decodePart, type Part } from '../vault/part.ts';
import { layDown, pickUp, type Resting } from './resting.ts';
import { type About, expiry, runRecord } from './run.ts';

export type PartRecord = { partHash: string; packs: string[]; counts: BatchCounts; cost: Cost };
type Stored = PartRecord & Resting;

const place = (about: About, number: number) => runRecord(about, `part-${String(number).padStart(9, '0')}`);

export async function readPart(machine: Machine, about: About, number: number): Promise<PartRecord | undefined> {
  return (await machine.records.get(place(about, number)))?.data as PartRecord | undefined;
}

/** Puts the part unless there is one, and gives back the one that counts. */
export async function putPart(
  machine: Machine,
  about: About,
  number: number,
  bytes: Uint8Array,
  numbers: Omit<PartRecord, 'partHash'>,
): Promise<PartRecord> {
  const partHash = sha256(bytes);
  const record: PartRecord = { partHash, ...numbers };
  const blob = `work/${about.account}/${about.runId}/part-${number}-${partHash}`;
  const data: Stored = { ...record, ...(await layDown(machine, blob, bytes)) };
  const won = await machine.records.write([{ op: 'put', ...place(about, number), data, expiresAt: expiry(machine), if: 'absent' }]);
  if (won) return record;
  return (await readPart(machine, about, number)) ?? record;
}

/** Every part of the run in order, one at a time in memory. Throws when one is not what its hash says. */
export async function* readParts(
  machine: Machine,
  keys: VaultKeys,
  about: About,
  total: number,
): AsyncGenerator<PartRecord & { part: Part }> {
  for (let number = 1; number <= total; number++) {
    const stored = (await machine.records.get(place(about, number)))?.data as Stored | undefined;
    if (!stored) throw new Error(`part ${number} of run ${about.runId} is missing`);
    const bytes = await pickUp(machine, stored);
    if (!bytes || sha256(bytes) !== stored.partHash) throw new Error(`part ${number} of run ${about.runId} is not what its hash says`);
    yield { ...stored, part: decodePart(keys, about.account, about.runId, number, bytes) };
  }
}
