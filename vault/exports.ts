/**
 * Exports: blobs for download. Each is recorded before it is made, and deleted within a day. Blobs below `<export>.`
 * are its working state.
 *
 * A deployment that serves them itself encrypts them in pieces: nonce ‖ ciphertext ‖ tag of AES-256-GCM. So every range
 * can be read and verified alone. On AWS they are plain, because signed links serve them. docs/adr/exports.md has the
 * reasons.
 */
import { decryptFramed, encryptFramed, frameBytes } from '../crypto/gcm.ts';
import type { Blobs, ByteRange, Platform } from '../domain/ports.ts';
import { VaultDamage } from './damage.ts';

const recordsKey = 'exports';

/** Records that the blob expires at `until` (ISO-8601 UTC). Call it before the blob is put. */
export async function noteExport(platform: Pick<Platform, 'records'>, blob: string, until: string): Promise<void> {
  await platform.records.putMany([{ pk: recordsKey, sk: `${until}#${blob}`, data: { blob } }]);
}

/** Deletes expired exports. It deletes the record last, so that a crash leaves no blob without a record. */
export async function removeExpiredExports(platform: Pick<Platform, 'records' | 'blobs' | 'now'>): Promise<void> {
  const now = new Date(platform.now()).toISOString();
  for (;;) {
    const { items } = await platform.records.query(recordsKey, { limit: 50 });
    const due = items.filter(({ sk }) => sk.slice(0, now.length) <= now);
    if (due.length === 0) return;
    for (const { data } of due) await deleteExport(platform.blobs, String(data.blob));
    await platform.records.write(due.map(({ pk, sk }) => ({ op: 'delete', pk, sk })));
  }
}

/** Deletes the export with its working state. */
export async function deleteExport(blobs: Blobs, blob: string): Promise<void> {
  await deleteWork(blobs, blob);
  await blobs.delete([blob]);
}

/** Deletes the working state of the export. */
export async function deleteWork(blobs: Blobs, blob: string): Promise<void> {
  for (;;) {
    const { items } = await blobs.list(`${blob}.`, { limit: 500 });
    if (items.length === 0) return;
    await blobs.delete(items.map(({ key }) => key));
  }
}

// ── Encryption ──

/** Every piece but the last has this many bytes of content. */
export const pieceBytes = 1024 * 1024;

/** The length of the blob of an encrypted export with `size` bytes of content. */
export function encryptedSize(size: number): number {
  return size + Math.ceil(size / pieceBytes) * frameBytes;
}

/** The bytes of content. Undefined when the export does not exist. */
export async function sizeOfExport(blobs: Blobs, blob: string, isEncrypted: boolean): Promise<number | undefined> {
  const stored = await blobs.size(blob);
  if (stored === undefined || !isEncrypted) return stored;
  return stored - Math.ceil(stored / (pieceBytes + frameBytes)) * frameBytes;
}

/** The content as pieces, encrypted. The first one has the number `first`. */
export function encryptPieces(
  key: Uint8Array,
  blob: string,
  first: number,
  content: Uint8Array,
  random: (bytes: number) => Uint8Array,
): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += pieceBytes)
    pieces.push(encryptFramed(key, `${blob} ${first + pieces.length}`, content.subarray(at, at + pieceBytes), random));
  return Buffer.concat(pieces);
}

/** The bytes of the range of a plain export with `size` bytes, clipped to the end. */
export async function* readPlainExport(
  blobs: Blobs,
  { blob, size }: { blob: string; size: number },
  range: ByteRange,
): AsyncGenerator<Uint8Array> {
  const end = Math.min(range.offset + range.length, size);
  for (let offset = range.offset; offset < end; offset += pieceBytes) {
    const length = Math.min(pieceBytes, end - offset);
    const piece = await blobs.get(blob, { offset, length });
    if (piece?.length !== length) throw new VaultDamage('export', `${blob} is missing or too short`);
    yield piece;
  }
}

/**
 * The bytes of the range of an encrypted export with `size` bytes, clipped to the end. It reads only the pieces of the
 * range, and verifies each before any of it is yielded.
 * @throws VaultDamage when a piece was altered
 */
export async function* readExport(
  blobs: Blobs,
  { key, blob, size }: { key: Uint8Array; blob: string; size: number },
  range: ByteRange,
): AsyncGenerator<Uint8Array> {
  const end = Math.min(range.offset + range.length, size);
  for (let number = Math.floor(range.offset / pieceBytes); number * pieceBytes < end; number++) {
    const start = number * pieceBytes;
    const length = Math.min(pieceBytes, size - start);
    const stored = await blobs.get(blob, {
      offset: number * (pieceBytes + frameBytes),
      length: length + frameBytes,
    });
    const piece = stored && decryptFramed(key, `${blob} ${number}`, stored);
    if (piece?.length !== length) throw new VaultDamage('export', `piece ${number} of ${blob} was altered`);
    yield piece.subarray(Math.max(0, range.offset - start), Math.min(end - start, length));
  }
}
