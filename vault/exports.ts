/** Blobs of content in clear, made for someone to download: each is noted before it is made, and deleted within a day. */
import { hash } from 'node:crypto';
import type { Blobs, ByteRange, Platform } from '../domain/ports.ts';
import { VaultDamage } from './damage.ts';

/** Also the prefix of S3's lifecycle rule, which takes away whatever slips through here. */
export function exportKey(account: string, name: string): string {
  return `exports/${account}/${name}`;
}

const noted = 'exports';

/** To be called before the blob is put. `until`: ISO-8601 UTC. */
export async function noteExport(platform: Pick<Platform, 'records'>, blob: string, until: string): Promise<void> {
  await platform.records.putMany([{ pk: noted, sk: `${until}#${blob}`, data: { blob } }]);
}

/** Deletes all whose time has come. The note goes last, so that a sudden end leaves nothing behind. */
export async function removeExpiredExports(platform: Pick<Platform, 'records' | 'blobs' | 'now'>): Promise<void> {
  const now = new Date(platform.now()).toISOString();
  for (;;) {
    const { items } = await platform.records.query(noted, { limit: 50 });
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

// ── What we hand out ourselves ──────────────────────────────────────────────────────────────────────────────────────────
// Nothing else binds these bytes to what was put: beside the blob rests the SHA-256 of each of its pieces, one after another.

const pieceBytes = 1024 * 1024;
const hashBytes = 32;

function hashesKey(blob: string): string {
  return `${blob}.hashes`;
}

/** Durable when it resolves. One that is there already stays as it is. */
export async function putExport(blobs: Blobs, blob: string, body: AsyncIterable<Uint8Array>): Promise<void> {
  let hashes: Uint8Array[] = [];
  const isNew =
    (await blobs.size(blob)) === undefined &&
    (await blobs.put(blob, hashing(body, hashes), { ifAbsent: true })) === 'stored';
  if (!isNew) {
    if ((await blobs.size(hashesKey(blob))) !== undefined) return;
    // A sudden end came between the two, or somebody else is there just now.
    hashes = [];
    for await (const _piece of hashing(stored(blobs, blob), hashes));
  }
  await blobs.put(hashesKey(blob), Buffer.concat(hashes), { ifAbsent: true });
}

/** How large it is; undefined when there is none, or not yet all of it. */
export async function exportSize(blobs: Blobs, blob: string): Promise<number | undefined> {
  const [size, hashes] = await Promise.all([blobs.size(blob), blobs.size(hashesKey(blob))]);
  return hashes === undefined ? undefined : size;
}

/** The bytes of the range, clipped to the end, each piece compared before any of it is given out. VaultDamage when one is not what was put. */
export async function* readExport(blobs: Blobs, blob: string, range: ByteRange): AsyncGenerator<Uint8Array> {
  const hashes = await blobs.get(hashesKey(blob));
  if (!hashes) throw new VaultDamage('export', `the hashes of ${blob} are gone`);
  const pieces = hashes.length / hashBytes;
  const end = Math.min(range.offset + range.length, pieces * pieceBytes);
  for (let number = Math.floor(range.offset / pieceBytes); number * pieceBytes < end; number++) {
    const start = number * pieceBytes;
    const piece = await blobs.get(blob, { offset: start, length: pieceBytes });
    const due = Buffer.from(hashes.subarray(number * hashBytes, (number + 1) * hashBytes)).toString('hex');
    if (!piece || hash('sha256', piece) !== due)
      throw new VaultDamage('export', `piece ${number} of ${blob} is not what was put`);
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

/** Passes the body on in pieces, their hashes aside. */
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
