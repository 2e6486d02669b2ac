import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VaultDamage } from '../../vault/damage.ts';
import { forwardKey } from '../../vault/forward.ts';
import { packBlobKey } from '../../vault/pack.ts';
import { readFile, verifyFile } from '../../vault/read-file.ts';
import { chunksOf } from '../../vault/writer.ts';
import { encodeForward, flipped, gather, memoryVault, noise, openTestWriter, sliced } from './vault-fixture.ts';

const MiB = 1024 * 1024;

async function stored(content: Uint8Array, packSize?: number) {
  const vault = memoryVault();
  const writer = openTestWriter({ ...vault, ...(packSize ? { packSize } : {}) });
  const file = await writer.store(sliced(content));
  await writer.finish();
  return { vault, entry: { key: 'k', sha256: file.sha256, chunks: chunksOf(file) } };
}

describe('reading a file', () => {
  const content = noise(9 * MiB + 123);

  it('returns exactly the range, clipped at the end', async () => {
    const { vault, entry } = await stored(content, 2 * MiB);
    const range = fc.record({
      offset: fc.nat(content.length + 1000),
      length: fc.oneof(fc.nat(100), fc.nat(content.length)),
    });
    await fc.assert(
      fc.asyncProperty(range, async ({ offset, length }) => {
        const read = await gather(readFile(vault, entry, { offset, length }));
        expect(read.equals(content.subarray(offset, offset + length))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('reads adjacent slots with one request, and only slots of the range', async () => {
    const { vault, entry } = await stored(content);
    expect(entry.chunks.length).toBeGreaterThan(5);
    await gather(readFile({ ...vault }, entry));
    expect(vault.blobs.gets.length).toBeLessThanOrEqual(3);
    for (const { range } of vault.blobs.gets) expect(range?.length).toBeLessThanOrEqual(8 * MiB);
    vault.blobs.gets.length = 0;
    await gather(readFile({ ...vault }, entry, { offset: 10, length: 10 }));
    expect(vault.blobs.gets.map((get) => get.range?.length)).toEqual([entry.chunks[0]?.slotLength]);
  });

  it('reads little ahead of a consumer that stops', async () => {
    const { vault, entry } = await stored(noise(40 * MiB, 'long'), 4 * MiB);
    for await (const piece of readFile({ ...vault }, entry)) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    expect(vault.blobs.gets.length).toBeLessThanOrEqual(3);
  });

  it('verifies the SHA-256 of the whole content before it yields the last piece', async () => {
    const { vault, entry } = await stored(content);
    expect(await verifyFile({ ...vault }, entry)).toBe(content.length);
    const [first, ...rest] = entry.chunks;
    if (!first) throw new Error('no chunks');
    for (const chunks of [rest, [...rest, first], entry.chunks.slice(0, -1)]) {
      let given = 0;
      const reading = async () => {
        for await (const piece of readFile({ ...vault }, { ...entry, chunks })) given += piece.length;
      };
      await expect(reading()).rejects.toThrow(VaultDamage);
      expect(given).toBeLessThan(chunks.reduce((sum, { length }) => sum + length, 0));
    }
    await expect(verifyFile({ ...vault }, { ...entry, chunks: [] })).rejects.toThrow(VaultDamage);
  });

  it('throws VaultDamage when a pack is missing, truncated or altered, or a reference is beyond its slot', async () => {
    const { vault, entry } = await stored(noise(5000, 'small'));
    const key = packBlobKey(vault.account, entry.chunks[0]?.pack ?? '');
    const bytes = vault.blobs.stored.get(key) ?? new Uint8Array();
    const long = entry.chunks.map((ref) => ({ ...ref, length: ref.length + 1 }));
    await expect(gather(readFile({ ...vault }, { key: 'k', chunks: long }))).rejects.toThrow(VaultDamage);
    for (const bad of [flipped(bytes, 2000), bytes.subarray(0, 3000), undefined]) {
      if (bad) vault.blobs.stored.set(key, bad);
      else vault.blobs.stored.delete(key);
      await expect(gather(readFile({ ...vault }, entry, { offset: 0, length: 1 }))).rejects.toThrow(VaultDamage);
    }
  });

  it('follows the forwards of packs that were rewritten, also of rewritten ones', async () => {
    const { vault, entry } = await stored(content, 2 * MiB);
    let chunks = entry.chunks;
    for (const round of ['second', 'third']) {
      const copy = memoryVault(round);
      const writer = openTestWriter({ ...copy, blobs: vault.blobs, packSize: 3 * MiB });
      // A shift by one byte moves the content in its slots.
      await writer.store(sliced(noise(1, round)));
      const file = await writer.store(sliced(content));
      await writer.finish();
      const moves = chunksOf(file).map((to, i) => ({ from: chunks[i] as (typeof chunks)[0], to }));
      for (const [pack, of] of Map.groupBy(moves, ({ from }) => from.pack)) {
        vault.blobs.stored.delete(packBlobKey(vault.account, pack));
        await vault.blobs.put(forwardKey(vault.account, pack), encodeForward(vault.keys, vault.account, pack, of));
      }
      chunks = chunksOf(file);
    }
    expect((await gather(readFile({ ...vault }, entry))).equals(content)).toBe(true);
    const range = { offset: 3 * MiB, length: MiB };
    expect((await gather(readFile({ ...vault }, entry, range))).equals(content.subarray(3 * MiB, 4 * MiB))).toBe(true);
    const key = forwardKey(vault.account, entry.chunks[0]?.pack ?? '');
    vault.blobs.stored.set(key, flipped(vault.blobs.stored.get(key) ?? new Uint8Array(), 40));
    await expect(gather(readFile({ ...vault }, entry))).rejects.toThrow(VaultDamage);
  });
});
