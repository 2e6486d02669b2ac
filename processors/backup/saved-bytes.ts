/** Sealed bytes of a run at rest: in the record itself, or in a blob that the record names. */
import type { Platform } from '../../domain/ports.ts';

export type Resting = { encrypted: string } | { blob: string };

/** Larger ones rest in a blob: an item of DynamoDB has 400 KB, of which base64 takes a quarter. */
const recordLimit = 256 * 1024;

/** What the record has to hold; the blob, where one is needed, is there when this resolves. */
export async function saveBytes(platform: Platform, blob: string, bytes: Uint8Array): Promise<Resting> {
  if (bytes.length <= recordLimit) return { encrypted: Buffer.from(bytes).toString('base64') };
  await platform.blobs.put(blob, bytes);
  return { blob };
}

/** The bytes; undefined when their blob is missing. */
export async function loadBytes(platform: Platform, resting: Resting): Promise<Uint8Array | undefined> {
  return 'encrypted' in resting ? Buffer.from(resting.encrypted, 'base64') : platform.blobs.get(resting.blob);
}
