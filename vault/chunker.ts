/**
 * Content-defined chunking with FastCDC (Xia et al., USENIX ATC 2016), normalised as in IEEE TPDS 2020. The gear table
 * is secret to the account, so chunk lengths do not reveal which known file was backed up.
 */

import { deriveKey } from '../crypto/hkdf.ts';
import { type Roll, rollOf } from './gear-hash.ts';

/** Lengths of chunks in bytes. Before the average length a border needs the bits of `hardMask`, then `easyMask`. */
export type ChunkSizes = { min: number; average: number; max: number; hardMask: number; easyMask: number };

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** Larger files have larger chunks, so that the list of their chunks stays short. */
const classes = [
  { from: 16 * GiB, sizes: sizesOf(22) },
  { from: 256 * MiB, sizes: sizesOf(20) },
];
const usual = sizesOf(18);

/** No chunk but the last one of a file is shorter. */
export const minChunk = usual.min;

/** The chunk lengths for a file of that size. All attempts to read a revision must pass the same size. */
export function chunkSizes(fileSize: number): ChunkSizes {
  return classes.find(({ from }) => fileSize >= from)?.sizes ?? usual;
}

/**
 * So many zero bits of the hash alone would give chunks of 2^bits bytes on average. Normalisation level 2: two bits
 * more before the average length, and two fewer after it.
 */
function sizesOf(bits: number): ChunkSizes {
  const average = 2 ** bits;
  return {
    ...{ min: average / 2, average, max: 4 * average },
    ...{ hardMask: -1 << (32 - bits - 2), easyMask: -1 << (32 - bits + 2) },
  };
}

/** 256 secret 32-bit numbers. The hash of the last 32 bytes is the sum of their numbers, each shifted by distance. */
export type GearTable = Int32Array;

export function gearTable(gearKey: Uint8Array): GearTable {
  const bytes = deriveKey(gearKey, 'listbackup/vault/1/gear-table', { length: 1024 });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int32Array.from({ length: 256 }, (_, i) => view.getInt32(4 * i, true));
}

/**
 * Finds the chunk borders of one stream. Call the result for each slice in order, and for the same slice again from
 * every border it returned. It returns the end of the open chunk in the slice, or −1 when the chunk goes on in the next
 * slice.
 *
 * The same bytes and sizes give the same chunks, however the bytes are sliced. All chunks but the last have `min` to
 * `max` bytes. Shorter input is one chunk, and empty input gives none.
 */
export function borders(gear: GearTable, sizes: ChunkSizes): (slice: Uint8Array, from: number) => number {
  const { min, average, max, hardMask, easyMask } = sizes;
  let roll: Roll | undefined;
  const rolling = { hash: 0 };
  let length = 0;

  function endChunk(at: number): number {
    length = 0;
    rolling.hash = 0;
    return at;
  }

  return (slice, from) => {
    // No border can be before `min`, so those bytes are not hashed.
    const begin = from + Math.max(0, min - length);
    if (begin >= slice.length) {
      length += slice.length - from;
      return -1;
    }
    // Most files are shorter than `min` and need no gear hash.
    roll ??= rollOf(gear);
    const start = from - length;
    const hardEnd = Math.max(begin, Math.min(slice.length, start + average));
    const easyEnd = Math.min(slice.length, start + max);
    const hard = roll(slice, begin, hardEnd, hardMask, rolling);
    if (hard >= 0) return endChunk(hard);
    const easy = roll(slice, hardEnd, easyEnd, easyMask, rolling);
    if (easy >= 0) return endChunk(easy);
    if (easyEnd === start + max) return endChunk(easyEnd);
    length = slice.length - start;
    return -1;
  };
}
