/**
 * Content-defined chunking with FastCDC (Xia et al., USENIX ATC 2016), normalised as in IEEE TPDS 2020. The gear table
 * is secret to the account, so chunk lengths do not reveal which known file was backed up.
 */

import { deriveKey } from '../crypto/hkdf.ts';
import { type Roll, rollOf } from './gear-hash.ts';

const KiB = 1024;
export const minChunk = 128 * KiB;
export const averageChunk = 256 * KiB;
export const maxChunk = 1024 * KiB;

/**
 * Normalisation level 2: 20 bits must be zero before the average length, and 16 after it. 18 bits alone would give
 * chunks of 256 KiB on average.
 */
const hardMask = -1 << (32 - 20);
const easyMask = -1 << (32 - 16);

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
 * The same bytes give the same chunks, however they are sliced. All chunks but the last have `minChunk` to `maxChunk`
 * bytes. Shorter input is one chunk, and empty input gives none.
 */
export function borders(gear: GearTable): (slice: Uint8Array, from: number) => number {
  let roll: Roll | undefined;
  const rolling = { hash: 0 };
  let length = 0;

  function endChunk(at: number): number {
    length = 0;
    rolling.hash = 0;
    return at;
  }

  return (slice, from) => {
    // No border can be before minChunk, so those bytes are not hashed.
    const begin = from + Math.max(0, minChunk - length);
    if (begin >= slice.length) {
      length += slice.length - from;
      return -1;
    }
    // Most files are shorter than minChunk and need no gear hash.
    roll ??= rollOf(gear);
    const start = from - length;
    const hardEnd = Math.max(begin, Math.min(slice.length, start + averageChunk));
    const easyEnd = Math.min(slice.length, start + maxChunk);
    const hard = roll(slice, begin, hardEnd, hardMask, rolling);
    if (hard >= 0) return endChunk(hard);
    const easy = roll(slice, hardEnd, easyEnd, easyMask, rolling);
    if (easy >= 0) return endChunk(easy);
    if (easyEnd === start + maxChunk) return endChunk(easyEnd);
    length = slice.length - start;
    return -1;
  };
}
