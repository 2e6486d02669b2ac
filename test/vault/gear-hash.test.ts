import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rollOf } from '../../vault/gear-hash.ts';

/** The loop as in the paper, byte by byte. */
function naive(
  gear: Int32Array,
  slice: Uint8Array,
  from: number,
  to: number,
  mask: number,
  rolling: { hash: number },
): number {
  for (let at = from; at < to; at++) {
    rolling.hash = ((rolling.hash << 1) + (gear[slice[at] ?? 0] ?? 0)) | 0;
    if ((rolling.hash & mask) === 0) return at + 1;
  }
  return -1;
}

describe('the gear hash in WebAssembly', () => {
  it('finds the same borders as the plain loop, and continues in the same way', () => {
    const table = fc.array(fc.integer(), { minLength: 256, maxLength: 256 }).map((numbers) => Int32Array.from(numbers));
    // Less and more than one call takes, with masks that match soon, late or never.
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ minLength: 5000, maxLength: 5000 }).map((few) => Buffer.concat(Array(15).fill(few))),
    );
    fc.assert(
      fc.property(
        table,
        bytes,
        fc.nat({ max: 20 }),
        fc.nat({ max: 20 }),
        fc.nat({ max: 31 }),
        fc.integer(),
        (gear, slice, skip, end, bits, hash) => {
          const [from, to] = [Math.min(skip, slice.length), Math.max(0, slice.length - end)];
          const mask = bits === 0 ? -1 : -1 << (32 - bits);
          const [mine, theirs] = [{ hash }, { hash }];
          const found = rollOf(gear)(slice, from, to, mask, mine);
          expect(found).toBe(naive(gear, slice, from, to, mask, theirs));
          if (found < 0) expect(mine).toEqual(theirs);
        },
      ),
      { numRuns: 60 },
    );
  });
});
