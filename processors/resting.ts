/** Sealed bytes of a run at rest: in the record itself, or in a blob that the record names. */
import type { Machine } from '../domain/ports.ts';

export type Resting = { sealed: string } | { blob: string };

/** Larger ones rest in a blob: an item of DynamoDB has 400 KB, of which base64 takes a quarter. */
const recordLimit = 256 * 1024;

/** What the record has to hold; the blob, where one is needed, is there when this resolves. */
export async function layDown(machine: Machine, blob: string, bytes: Uint8Array): Promise<Resting> {
  if (bytes.length <= recordLimit) return { sealed: Buffer.from(bytes).toString('base64') };
  await machine.blobs.put(blob, bytes);
  return { blob };
}

/** The bytes; undefined when their blob is missing. */
export async function pickUp(machine: Machine, resting: Resting): Promise<Uint8Array | undefined> {
  return 'sealed' in resting ? Buffer.from(resting.sealed, 'base64') : machine.blobs.get(resting.blob);
}
