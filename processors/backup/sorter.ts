/** Sorts values that may not fit in memory. Sorted pieces are stored as encrypted blobs, and merged. */
import type { Blobs } from '../../domain/ports.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { decryptBytes, encryptBytes } from '../../vault/encrypted-bytes.ts';
import { firstIndex } from '../../vault/first-index.ts';
import type { VaultKeys } from '../../vault/keys.ts';

/** Values are plain JSON. */
export type Order<T> = (a: T, b: T) => number;

export type SortTools = {
  blobs: Blobs;
  keys: VaultKeys;
  /** Prefix of the blobs. */
  folder: string;
  random(bytes: number): Uint8Array;
  /** Values that are sorted in memory. */
  sortItems: number;
};

/** All values in order, in batches. Equal values come in the order of their pieces. */
export async function* sortAll<T>(values: AsyncIterable<T[]>, order: Order<T>, tools: SortTools): AsyncGenerator<T[]> {
  const pieces: string[] = [];
  let open: T[] = [];
  for await (const some of values) {
    for (const value of some) open.push(value);
    if (open.length < tools.sortItems) continue;
    pieces.push(await storePiece(open.sort(order), tools));
    open = [];
  }
  open.sort(order);
  if (pieces.length === 0) return yield open;
  pieces.push(await storePiece(open, tools));
  yield* mergeSorted(
    pieces.map((name) => readPiece<T>(name, tools)),
    order,
  );
}

/** Values of one frame of a piece. */
const frameItems = 250;
/** Bytes of a piece that are read at once. */
const readBytes = 256 * 1024;
const lengthBytes = 4;

/**
 * Stores values in the order given. A piece is a sequence of frames: the length (u32 BE), then the encrypted
 * values as JSON. A length of 0 ends it. Returns its name.
 */
export async function storePiece<T>(
  values: T[],
  { blobs, keys, folder, random }: Omit<SortTools, 'sortItems'>,
): Promise<string> {
  const name = `${folder}sorted-${Buffer.from(random(8)).toString('hex')}`;
  const frames: Uint8Array[] = [];
  for (let from = 0; from < values.length; from += frameItems) {
    const text = JSON.stringify(values.slice(from, from + frameItems));
    const frame = encryptBytes(keys, `${name}/${frames.length / 2}`, Buffer.from(text));
    const length = Buffer.alloc(lengthBytes);
    length.writeUInt32BE(frame.length);
    frames.push(length, frame);
  }
  await blobs.put(name, Buffer.concat([...frames, Buffer.alloc(lengthBytes)]));
  return name;
}

/** A piece is missing, truncated or altered. Without its end, files would look like deleted ones. */
export class DamagedPiece extends Error {}

/** The values of a piece, frame by frame. @throws DamagedPiece */
export async function* readPiece<T>(
  name: string,
  { blobs, keys }: Pick<SortTools, 'blobs' | 'keys'>,
): AsyncGenerator<T[]> {
  let bytes = new Uint8Array();
  let offset = 0;
  for (let number = 0; ; number++) {
    const need = async (length: number) => {
      while (bytes.length < length) {
        const more = await blobs.get(name, { offset, length: readBytes });
        if (!more?.length) throw new DamagedPiece(`the sorted piece ${name} is missing or truncated`);
        offset += more.length;
        bytes = Buffer.concat([bytes, more]);
      }
    };
    await need(lengthBytes);
    const length = Buffer.from(bytes.subarray(0, lengthBytes)).readUInt32BE();
    if (length === 0) return;
    await need(lengthBytes + length);
    const frame = decrypted(keys, `${name}/${number}`, bytes.subarray(lengthBytes, lengthBytes + length));
    bytes = bytes.subarray(lengthBytes + length);
    yield JSON.parse(Buffer.from(frame).toString()) as T[];
  }
}

function decrypted(keys: VaultKeys, aad: string, frame: Uint8Array): Uint8Array {
  try {
    return decryptBytes(keys, aad, frame);
  } catch (error) {
    throw error instanceof VaultDamage ? new DamagedPiece(`the frame ${aad} is altered`) : error;
  }
}

type Head<T> = { values: T[]; at: number; rest: AsyncIterator<T[]>; number: number };

/** The values of streams that are in order, as one. Of equal ones, those of earlier streams come first. */
export async function* mergeSorted<T>(streams: AsyncIterable<T[]>[], order: Order<T>): AsyncGenerator<T[]> {
  const byHead = (a: Head<T>, b: Head<T>) => order(a.values[a.at] as T, b.values[b.at] as T) || a.number - b.number;
  /** The head with the least value is last, so that few others move when its next value is inserted. */
  const heads: Head<T>[] = [];
  const insert = (head: Head<T>) => {
    const index = firstIndex(heads.length, (at) => byHead(heads[at] as Head<T>, head) > 0);
    heads.splice(index, 0, head);
  };
  for (const [number, stream] of streams.entries()) {
    const rest = stream[Symbol.asyncIterator]();
    const first = await rest.next();
    if (!first.done) heads.push({ values: first.value, at: 0, rest, number });
  }
  heads.sort((a, b) => byHead(b, a));
  let out: T[] = [];
  for (let top = heads.pop(); top; top = heads.pop()) {
    out.push(top.values[top.at++] as T);
    const next = top.at === top.values.length ? await top.rest.next() : undefined;
    if (next && !next.done) Object.assign(top, { values: next.value, at: 0 });
    if (!next?.done) insert(top);
    if (out.length < frameItems) continue;
    yield out;
    out = [];
  }
  if (out.length > 0) yield out;
}
