/** Sorts values that may not fit in memory. Sorted pieces are stored as encrypted blobs, and merged. */
import type { Blobs } from '../../domain/ports.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { decryptBytes, encryptBytes } from '../../vault/encrypted-bytes.ts';
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
    pieces.push(await storePiece(open, order, tools));
    open = [];
  }
  if (pieces.length === 0) return yield open.sort(order);
  pieces.push(await storePiece(open, order, tools));
  yield* mergePieces(pieces, order, tools);
}

/** Values of one frame of a piece. */
const frameItems = 250;
/** Bytes of a piece that are read at once. */
const readBytes = 256 * 1024;
const lengthBytes = 4;

/**
 * Sorts the array of values, and stores it. A piece is a sequence of frames: the length (u32 BE), then the encrypted
 * values as JSON. A length of 0 ends it. Returns its name.
 */
export async function storePiece<T>(
  values: T[],
  order: Order<T>,
  { blobs, keys, folder, random }: Omit<SortTools, 'sortItems'>,
): Promise<string> {
  const name = `${folder}sorted-${Buffer.from(random(8)).toString('hex')}`;
  values.sort(order);
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

type Head<T> = { values: T[]; at: number; rest: AsyncGenerator<T[]>; number: number };

/** The values of all pieces in order. The heads form a binary heap. */
export async function* mergePieces<T>(
  names: string[],
  order: Order<T>,
  tools: Pick<SortTools, 'blobs' | 'keys'>,
): AsyncGenerator<T[]> {
  const heap: Head<T>[] = [];
  const leastOf = (head: Head<T>) => head.values[head.at] as T;
  const byHead = (a: Head<T>, b: Head<T>) => order(leastOf(a), leastOf(b)) || a.number - b.number;
  const sink = (from: number) => {
    for (let i = from; ; ) {
      const child = [2 * i + 1, 2 * i + 2]
        .filter((c) => c < heap.length)
        .sort((a, b) => byHead(heap[a] as Head<T>, heap[b] as Head<T>))[0];
      if (child === undefined || byHead(heap[i] as Head<T>, heap[child] as Head<T>) <= 0) return;
      [heap[i], heap[child]] = [heap[child] as Head<T>, heap[i] as Head<T>];
      i = child;
    }
  };
  for (const [number, name] of names.entries()) {
    const rest = readPiece<T>(name, tools);
    const first = await rest.next();
    if (!first.done) heap.push({ values: first.value, at: 0, rest, number });
  }
  for (let i = heap.length >>> 1; i >= 0; i--) if (i < heap.length) sink(i);
  let out: T[] = [];
  for (let top = heap[0]; top; top = heap[0]) {
    out.push(leastOf(top));
    if (++top.at === top.values.length) {
      const next = await top.rest.next();
      if (next.done) {
        const last = heap.pop() as Head<T>;
        if (last !== top) heap[0] = last;
      } else Object.assign(top, { values: next.value, at: 0 });
    }
    sink(0);
    if (out.length < frameItems) continue;
    yield out;
    out = [];
  }
  if (out.length > 0) yield out;
}
