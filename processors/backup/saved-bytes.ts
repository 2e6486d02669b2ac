/** Encrypted bytes of a run: in the record itself, or in a blob that the record names. */
import type { Platform } from '../../domain/ports.ts';

export type SavedBytes = { encrypted: string } | { blob: string };

/** Larger bytes go to a blob. A record has at most 400 KB, and base64 adds a third. */
const recordLimit = 256 * 1024;

/** Returns the fields to put in the record. When it resolves, the blob (if needed) is durable. */
export async function saveBytes(platform: Platform, blob: string, bytes: Uint8Array): Promise<SavedBytes> {
  if (bytes.length <= recordLimit) return { encrypted: Buffer.from(bytes).toString('base64') };
  await platform.blobs.put(blob, bytes);
  return { blob };
}

/** Returns undefined when the blob is missing. */
export async function loadBytes(platform: Platform, saved: SavedBytes): Promise<Uint8Array | undefined> {
  return 'encrypted' in saved ? Buffer.from(saved.encrypted, 'base64') : platform.blobs.get(saved.blob);
}
