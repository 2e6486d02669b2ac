import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkSizes, gearTable, minChunk } from '../../vault/chunker.ts';
import { chunk, collect, keys, noise, otherKeys, sliced } from './vault-fixture.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const gear = gearTable(keys.gear);
const lengths = async (bytes: Uint8Array, table = gear, fileSize = 0) =>
  (await collect(chunk(sliced(bytes), table, fileSize))).map((piece) => piece.length);

/** The smallest file of each class. `bytes`: enough for about 20 chunks or more. */
const classes = [
  { fileSize: 0, average: 256 * KiB, bytes: 24 * MiB },
  { fileSize: 256 * MiB, average: MiB, bytes: 48 * MiB },
  { fileSize: 16 * GiB, average: 4 * MiB, bytes: 96 * MiB },
];

async function* cutAt(bytes: Uint8Array, cuts: number[]) {
  let from = 0;
  for (const to of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    yield bytes.subarray(from, to);
    from = to;
  }
}

describe('chunker', () => {
  const big = noise(24 * 1024 * 1024);

  it.each(classes)(
    'cuts a file of $fileSize bytes into chunks within the limits and around $average bytes',
    async ({ fileSize, average, bytes }) => {
      const content = noise(bytes, 'class');
      const all = await lengths(content, gear, fileSize);
      expect(all.reduce((sum, length) => sum + length, 0)).toBe(bytes);
      for (const length of all.slice(0, -1)) {
        expect(length).toBeGreaterThanOrEqual(average / 2);
        expect(length).toBeLessThanOrEqual(4 * average);
      }
      expect(bytes / all.length).toBeGreaterThan(0.8 * average);
      expect(bytes / all.length).toBeLessThan(1.6 * average);
    },
  );

  it.each([256 * MiB, 16 * GiB])('changes the lengths of chunks at a file size of %i bytes', (fileSize) => {
    expect(chunkSizes(fileSize).average).toBe(4 * chunkSizes(fileSize - 1).average);
    expect(chunkSizes(2 * fileSize)).toEqual(chunkSizes(fileSize));
  });

  it.each(classes)('cuts the same chunks, however a file of $fileSize bytes is sliced', async ({ fileSize }) => {
    const whole = await lengths(big, gear, fileSize);
    const cuts = fc.array(fc.integer({ min: 0, max: big.length }), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(cuts, async (at) => {
        expect((await collect(chunk(cutAt(big, at), gear, fileSize))).map((piece) => piece.length)).toEqual(whole);
      }),
      { numRuns: 10 },
    );
  });

  it('cuts the same chunks, when the window of the hash always spans several slices', async () => {
    const [first = 0, second = 0] = await lengths(big);
    const start = big.subarray(0, first + second);
    expect((await collect(chunk(sliced(start, 5), gear))).map((piece) => piece.length)).toEqual([first, second]);
    const tiny = noise(minChunk + 5000);
    expect((await collect(chunk(sliced(tiny, 1), gear))).map((piece) => piece.length)).toEqual(await lengths(tiny));
  });

  it.each(classes)('cuts input without borders at four times $average bytes', async ({ fileSize, average }) => {
    const max = 4 * average;
    expect(await lengths(new Uint8Array(2 * max + 10).fill(1), gear, fileSize)).toEqual([max, max, 10]);
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
