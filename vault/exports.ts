/** Exports: blobs of plain content for download. Each is recorded before it is made, and deleted within a day. */
import { hash } from 'node:crypto';
import type { Blobs, ByteRange, Platform } from '../domain/ports.ts';
import { VaultDamage } from './damage.ts';

/** S3 also has a lifecycle rule for the prefix `exports/`, as a backstop. */
export function exportKey(account: string, name: string): string {
  return `exports/${account}/${name}`;
}

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
    await deleteExports(
      platform.blobs,
      due.map(({ data }) => String(data.blob)),
    );
    await platform.records.write(due.map(({ pk, sk }) => ({ op: 'delete', pk, sk })));
  }
}

export async function deleteExports(blobs: Blobs, keys: string[]): Promise<void> {
  await blobs.delete(keys.flatMap((key) => [key, hashesKey(key)]));
}

// ── Integrity
// ───────────────────────────────────────────────────────────────────────────────────────────────────────────
// Exports are not encrypted, so no tag authenticates them. A second blob holds the SHA-256 of each piece of the first.

const pieceBytes = 1024 * 1024;
const hashBytes = 32;

function hashesKey(blob: string): string {
  return `${blob}.hashes`;
}

/** The export is durable when it resolves. An existing export stays as it is. */
export async function putExport(blobs: Blobs, blob: string, body: AsyncIterable<Uint8Array>): Promise<void> {
  let hashes: Uint8Array[] = [];
  const isNew =
    (await blobs.size(blob)) === undefined &&
    (await blobs.put(blob, hashing(body, hashes), { ifAbsent: true })) === 'stored';
  if (!isNew) {
    if ((await blobs.size(hashesKey(blob))) !== undefined) return;
    // A crash came between the two puts, or a concurrent worker is at the same point.
    hashes = [];
    for await (const _piece of hashing(stored(blobs, blob), hashes));
  }
  await blobs.put(hashesKey(blob), Buffer.concat(hashes), { ifAbsent: true });
}

/** The size in bytes. Undefined when the export does not exist or is incomplete. */
export async function exportSize(blobs: Blobs, blob: string): Promise<number | undefined> {
  const [size, hashes] = await Promise.all([blobs.size(blob), blobs.size(hashesKey(blob))]);
  return hashes === undefined ? undefined : size;
}

/**
 * The bytes of the range, clipped to the end. Each piece is verified before any of it is yielded.
 * @throws VaultDamage when a piece was altered
 */
export async function* readExport(blobs: Blobs, blob: string, range: ByteRange): AsyncGenerator<Uint8Array> {
  const hashes = await blobs.get(hashesKey(blob));
  if (!hashes) throw new VaultDamage('export', `the hashes of ${blob} are missing`);
  const pieces = hashes.length / hashBytes;
  const end = Math.min(range.offset + range.length, pieces * pieceBytes);
  for (let number = Math.floor(range.offset / pieceBytes); number * pieceBytes < end; number++) {
    const start = number * pieceBytes;
    const piece = await blobs.get(blob, { offset: start, length: pieceBytes });
    const expected = Buffer.from(hashes.subarray(number * hashBytes, (number + 1) * hashBytes)).toString('hex');
    if (!piece || hash('sha256', piece) !== expected)
      throw new VaultDamage('export', `piece ${number} of ${blob} was altered`);
    yield piece.subarray(Math.max(0, range.offset - start), Math.max(0, Math.min(end - start, piece.length)));
  }
}

async function* stored(blobs: Blobs, blob: string): AsyncGenerator<Uint8Array> {
  for (let offset = 0; ; offset += pieceBytes) {
    const piece = await blobs.get(blob, { offset, length: pieceBytes });
    if (!piece || piece.length === 0) return;
    yield piece;
  }
}

/** Cuts the body into pieces of `pieceBytes`, and adds the hash of each to `hashes`. */
async function* hashing(body: AsyncIterable<Uint8Array>, hashes: Uint8Array[]): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let length = 0;
  const piece = () => {
    const bytes = Buffer.concat(held);
    hashes.push(hash('sha256', bytes, 'buffer'));
    held = [];
    length = 0;
    return bytes;
  };
  for await (let slice of body) {
    while (length + slice.length >= pieceBytes) {
      const room = pieceBytes - length;
      held.push(slice.subarray(0, room));
      slice = slice.subarray(room);
      yield piece();
    }
    held.push(slice);
    length += slice.length;
  }
  if (length > 0) yield piece();
}
