/** Exports: a range is read exactly as it was put, or the read fails. */
import { beforeEach, describe, expect, it } from 'vitest';
import { exportSize, putExport, readExport } from '../../vault/exports.ts';
import { flipped, gather, memoryVault, noise, sliced } from './vault-fixture.ts';

const piece = 1024 * 1024;
const blob = 'exports/acc/dow';
let { blobs } = memoryVault();

beforeEach(() => {
  ({ blobs } = memoryVault());
});

async function read(offset = 0, length = Number.MAX_SAFE_INTEGER): Promise<Buffer> {
  return gather(readExport(blobs, blob, { offset, length }));
}

describe.each([0, 1, piece - 1, piece, piece + 1, 3 * piece + 5])('an export of %i bytes', (size) => {
  const content = noise(size, size);

  it.each([1000, 64 * 1024, 5 * piece])('is read whole and in any range, put in slices of %i', async (slice) => {
    await putExport(blobs, blob, sliced(content, slice));
    expect(await exportSize(blobs, blob)).toBe(size);
    expect((await read()).equals(content)).toBe(true);
    for (const [offset, length] of [
      [0, 1],
      [size - 1, 1],
      [piece - 1, 2],
      [piece, piece],
      [5, 2 * piece],
      [size - 10, 100],
    ] as const) {
      if (offset < 0 || offset >= size) continue;
      expect(
        (await read(offset, length)).equals(content.subarray(offset, offset + length)),
        `${offset} ${length}`,
      ).toBe(true);
    }
  });
});

describe('an altered export', () => {
  const content = noise(3 * piece + 5);
  beforeEach(() => putExport(blobs, blob, sliced(content)));

  it('yields the pieces before a flipped byte, and nothing of its piece', async () => {
    await blobs.put(blob, flipped(content, 2 * piece + 7));
    expect((await read(0, 2 * piece)).equals(content.subarray(0, 2 * piece))).toBe(true);
    await expect(read()).rejects.toThrow('piece 2');
    await expect(read(2 * piece + 100, 5)).rejects.toThrow('piece 2');
    expect((await read(3 * piece)).equals(content.subarray(3 * piece))).toBe(true);
  });

  it('yields nothing of a piece whose hash has a flipped byte', async () => {
    const hashes = (await blobs.get(`${blob}.hashes`)) ?? new Uint8Array();
    await blobs.put(`${blob}.hashes`, flipped(hashes, 33));
    await expect(read()).rejects.toThrow('piece 1');
  });

  it.each([
    ['truncated', content.subarray(0, 3 * piece)],
    ['longer', Buffer.concat([content, Buffer.from('x')])],
  ])('yields no last piece when it is %s', async (_what, bytes) => {
    await blobs.put(blob, bytes);
    await expect(read()).rejects.toThrow('piece 3');
  });
});

it('has no size until it is complete, and the next caller completes it', async () => {
  const content = noise(2 * piece + 3);
  await blobs.put(blob, content);
  expect(await exportSize(blobs, blob)).toBeUndefined();
  await putExport(blobs, blob, sliced(noise(10)));
  expect((await read()).equals(content)).toBe(true);
});

it('keeps the first content that was put', async () => {
  const [first, second] = [noise(piece + 3, 1), noise(piece + 3, 2)];
  await Promise.all([putExport(blobs, blob, sliced(first)), putExport(blobs, blob, sliced(second))]);
  const got = await read();
  expect(got.equals(first) || got.equals(second)).toBe(true);
});

it('keeps the first content when a concurrent worker put it unseen', async () => {
  const content = noise(2 * piece + 3, 1);
  await blobs.put(blob, content);
  const unseeing = { ...blobs, size: async () => undefined };
  await putExport(unseeing, blob, sliced(noise(3 * piece, 2)));
  expect((await read()).equals(content)).toBe(true);
});
