/**
 * Content-defined chunking: FastCDC (Xia et al., USENIX ATC 2016; normalised chunking as in IEEE TPDS 2020) with a gear table that
 * only the account knows, so that chunk lengths do not tell which known file this is.
 */

import { deriveKey } from '../crypto/hkdf.ts';
import { type Roll, rollOf } from './gear-hash.ts';

const KiB = 1024;
export const minChunk = 256 * KiB;
export const averageChunk = 1024 * KiB;
export const maxChunk = 4096 * KiB;

/** Normalisation level 2: 22 bits must be zero before the average length, 18 after it (20 bits would be 1 MiB on their own). */
const hardMask = -1 << (32 - 22);
const easyMask = -1 << (32 - 18);

/** 256 secret 32-bit numbers; a hash of the last 32 bytes is the sum of their entries, each shifted by its distance. */
export type GearTable = Int32Array;

export function gearTable(gearKey: Uint8Array): GearTable {
  const bytes = deriveKey(gearKey, 'listbackup/vault/1/gear-table', { length: 1024 });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int32Array.from({ length: 256 }, (_, i) => view.getInt32(4 * i, true));
}

/**
 * Takes the slices of one stream in turn, and each again from where a chunk ended; answers where in the slice the open chunk ends, or −1 when it goes on.
 * The same bytes give the same chunks however they are sliced. All but the last chunk have `minChunk` to `maxChunk` bytes; input shorter than
 * that is one chunk, empty input none.
 */
export function borders(gear: GearTable): (slice: Uint8Array, from: number) => number {
  let roll: Roll | undefined;
  const rolling = { hash: 0 };
  let length = 0;

  function ended(at: number): number {
    length = 0;
    rolling.hash = 0;
    return at;
  }

  return (slice, from) => {
    // No border may lie before minChunk, so nothing there is hashed.
    const begin = from + Math.max(0, minChunk - length);
    if (begin >= slice.length) {
      length += slice.length - from;
      return -1;
    }
    // Most files are shorter and never get here.
    roll ??= rollOf(gear);
    const start = from - length;
    const hardEnd = Math.max(begin, Math.min(slice.length, start + averageChunk));
    const easyEnd = Math.min(slice.length, start + maxChunk);
    const hard = roll(slice, begin, hardEnd, hardMask, rolling);
    if (hard >= 0) return ended(hard);
    const easy = roll(slice, hardEnd, easyEnd, easyMask, rolling);
    if (easy >= 0) return ended(easy);
    if (easyEnd === start + maxChunk) return ended(easyEnd);
    length = slice.length - start;
    return -1;
  };
}
