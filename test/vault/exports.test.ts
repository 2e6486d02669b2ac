/** Exports: a range is read exactly as it was put, or the read fails. */
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { encryptedSize, encryptPieces, pieceBytes as piece, readExport, sizeOfExport } from '../../vault/exports.ts';
import { flipped, gather, memoryVault, noise } from './vault-fixture.ts';

const blob = 'exports/acc/dow';
const key = randomBytes(32);
let { blobs } = memoryVault();

beforeEach(() => {
  ({ blobs } = memoryVault());
});

async function put(content: Uint8Array, at = blob): Promise<Uint8Array> {
  const stored = encryptPieces(key, at, 0, content, randomBytes);
  await blobs.put(at, stored);
  return stored;
}

async function read(size: number, offset = 0, length = Number.MAX_SAFE_INTEGER): Promise<Buffer> {
  return gather(readExport(blobs, { key, blob, size }, { offset, length }));
}

it.each([0, 1, piece - 1, piece, piece + 1, 3 * piece + 5])(
  'an export of %i bytes is read whole and in any range',
  async (size) => {
    const content = noise(size, size);
    await put(content);
    expect(await blobs.size(blob)).toBe(encryptedSize(size));
    expect(await sizeOfExport(blobs, blob, true)).toBe(size);
    expect((await read(size)).equals(content)).toBe(true);
    for (const [offset, length] of [
      [0, 1],
      [size - 1, 1],
      [piece - 1, 2],
      [piece, piece],
      [5, 2 * piece],
      [size - 10, 100],
    ] as const) {
      if (offset < 0 || offset >= size) continue;
      const part = content.subarray(offset, offset + length);
      expect((await read(size, offset, length)).equals(part), `${offset} ${length}`).toBe(true);
    }
  },
);

it('reads only the pieces of the range', async () => {
  await put(noise(5 * piece));
  blobs.gets.length = 0;
  await read(5 * piece, 2 * piece + 9, 10);
  expect(blobs.gets).toEqual([{ key: blob, range: { offset: 2 * (piece + 28), length: piece + 28 } }]);
});

describe('an altered export', () => {
  const content = noise(3 * piece + 5);
  const size = content.length;

  it('yields the pieces before a flipped byte, and nothing of its piece', async () => {
    await blobs.put(blob, flipped(await put(content), 2 * (piece + 28) + 70));
    expect((await read(size, 0, 2 * piece)).equals(content.subarray(0, 2 * piece))).toBe(true);
    await expect(read(size)).rejects.toThrow('piece 2');
    await expect(read(size, 2 * piece + 100, 5)).rejects.toThrow('piece 2');
    expect((await read(size, 3 * piece)).equals(content.subarray(3 * piece))).toBe(true);
  });

  it('yields no last piece when it is truncated, at the end of a piece or in one', async () => {
    const stored = await put(content);
    for (const length of [stored.length - 1, 3 * (piece + 28)]) {
      await blobs.put(blob, stored.subarray(0, length));
      await expect(read(size)).rejects.toThrow('piece 3');
    }
  });

  it('yields nothing of the pieces of another export, or in another order', async () => {
    const other = await put(content, 'exports/acc/other');
    await blobs.put(blob, other);
    await expect(read(size)).rejects.toThrow('piece 0');
    const stored = await put(content);
    const [first, second] = [stored.subarray(0, piece + 28), stored.subarray(piece + 28, 2 * (piece + 28))];
    await blobs.put(blob, Buffer.concat([second, first, stored.subarray(2 * (piece + 28))]));
    await expect(read(size)).rejects.toThrow('piece 0');
  });
});
