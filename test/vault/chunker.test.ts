import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gearTable, maxChunk, minChunk } from '../../vault/chunker.ts';
import { chunk, collect, keys, noise, otherKeys, sliced } from './vault-fixture.ts';

const gear = gearTable(keys.gear);
const lengths = async (bytes: Uint8Array, table = gear) =>
  (await collect(chunk(sliced(bytes), table))).map((piece) => piece.length);

async function* cutAt(bytes: Uint8Array, cuts: number[]) {
  let from = 0;
  for (const to of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    yield bytes.subarray(from, to);
    from = to;
  }
}

describe('chunker', () => {
  const big = noise(24 * 1024 * 1024);

  it('cuts the input into chunks within the limits and around the average', async () => {
    const pieces = await collect(chunk(sliced(big), gear));
    expect(Buffer.concat(pieces).equals(big)).toBe(true);
    for (const piece of pieces.slice(0, -1)) {
      expect(piece.length).toBeGreaterThanOrEqual(minChunk);
      expect(piece.length).toBeLessThanOrEqual(maxChunk);
    }
    expect(pieces.length).toBeGreaterThan(60);
    expect(pieces.length).toBeLessThan(120);
  });

  it('cuts the same chunks, however the input is sliced', async () => {
    const whole = await lengths(big);
    const cuts = fc.array(fc.integer({ min: 0, max: big.length }), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(cuts, async (at) => {
        expect((await collect(chunk(cutAt(big, at), gear))).map((piece) => piece.length)).toEqual(whole);
      }),
      { numRuns: 15 },
    );
    // The slices are so short that the window of the hash always spans several.
    const [first = 0, second = 0] = whole;
    const start = big.subarray(0, first + second);
    expect((await collect(chunk(sliced(start, 5), gear))).map((piece) => piece.length)).toEqual([first, second]);
    const tiny = noise(minChunk + 5000);
    expect((await collect(chunk(sliced(tiny, 1), gear))).map((piece) => piece.length)).toEqual(await lengths(tiny));
  });

  it('cuts input without borders at the maximum', async () => {
    expect(await lengths(new Uint8Array(2 * maxChunk + 10).fill(1))).toEqual([maxChunk, maxChunk, 10]);
  });

  it('makes one chunk of short input, and none of empty input', async () => {
    expect(await lengths(noise(minChunk))).toEqual([minChunk]);
    expect(await lengths(noise(1))).toEqual([1]);
    expect(await lengths(new Uint8Array())).toEqual([]);
  });

  it('keeps the borders that are far from an edit', async () => {
    const name = (piece: Uint8Array) => Buffer.from(piece.subarray(0, 32)).toString('hex') + piece.length;
    const before = new Set((await collect(chunk(sliced(big), gear))).map(name));
    const middle = big.length / 2;
    const edited = Buffer.concat([big.subarray(0, middle), Buffer.from('inserted'), big.subarray(middle)]);
    const after = (await collect(chunk(sliced(edited), gear))).map(name);
    expect(after.filter((piece) => !before.has(piece)).length).toBeLessThanOrEqual(3);
  });

  it('cuts other borders for another account', async () => {
    expect(await lengths(big, gearTable(otherKeys.gear))).not.toEqual(await lengths(big));
  });
});
