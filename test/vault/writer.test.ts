import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkId, indexFromPack, readPackIndex } from '../../vault/chunk-index.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { packBlobKey } from '../../vault/pack.ts';
import { openPacker } from '../../vault/packer.ts';
import { readFile } from '../../vault/read-file.ts';
import { inThread, plain } from '../../vault/workers.ts';
import { openWriter } from '../../vault/writer.ts';
import { gather, keys, memoryVault, noise, sliced } from './vault-fixture.ts';

const MiB = 1024 * 1024;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const restore = (
  vault: ReturnType<typeof memoryVault>,
  file: { chunks: Parameters<typeof readFile>[1]['chunks']; sha256?: string },
) =>
  gather(
    readFile(
      { ...vault },
      { key: 'k', ...(file.chunks ? { chunks: file.chunks } : {}), ...(file.sha256 ? { sha256: file.sha256 } : {}) },
    ),
  );
const textFile = (n: number) =>
  Buffer.from(`file ${n}: ${'the same old words again and again '.repeat(50 + (n % 40))}`);

describe('writer', () => {
  it('stores files of any size, which are read back byte for byte', async () => {
    const vault = memoryVault();
    const writer = openWriter(vault);
    const contents = [0, 1, 255, 70_000, 600_000, 9 * MiB].map((size) => noise(size, size));
    const files = await Promise.all(contents.map((content) => writer.store(sliced(content))));
    await writer.finish();
    for (const [i, content] of contents.entries()) {
      const file = files[i];
      if (!file) throw new Error('missing');
      expect([file.size, file.sha256]).toEqual([content.length, sha256(content)]);
      expect((await restore(vault, file)).equals(content)).toBe(true);
    }
  });

  it('compresses small files together in one pack, and each can be read alone', async () => {
    const vault = memoryVault();
    const writer = openWriter(vault);
    const files = await Promise.all(Array.from({ length: 300 }, (_, n) => writer.store(sliced(textFile(n)))));
    const { packs, bytesNew, bytesStored } = await writer.finish();
    expect(vault.blobs.puts).toEqual(packs.map((pack) => packBlobKey(vault.account, pack)));
    expect(packs.length).toBe(1);
    expect(bytesStored).toBe(vault.blobs.stored.get(vault.blobs.puts[0] ?? '')?.length);
    // Alone, each would take about 90 bytes compressed, and 20 for encryption.
    expect(bytesStored).toBeLessThan(bytesNew / 40);
    expect((await restore(vault, files[123] ?? { chunks: [] })).equals(textFile(123))).toBe(true);
    expect(vault.blobs.gets.length).toBe(1);
    expect(vault.records.lookUps).toBeLessThan(20);
  });

  it('does not store content twice, neither of an earlier writer nor of a current one', async () => {
    const vault = memoryVault();
    const content = noise(5 * MiB);
    const first = openWriter(vault);
    const files = await Promise.all([
      first.store(sliced(content)),
      first.store(sliced(content, 999)),
      first.store(sliced(content)),
    ]);
    expect((await first.finish()).bytesNew).toBe(content.length);
    const second = openWriter(vault);
    const again = await second.store(sliced(content));
    expect(await second.finish()).toMatchObject({
      packs: [],
      bytesStored: 0,
      bytesNew: 0,
      requests: { blobWrite: 0, recordWrite: 0 },
    });
    expect(vault.blobs.puts.length).toBe(1);
    for (const file of [...files, again]) expect((await restore(vault, file)).equals(content)).toBe(true);
  });

  it('closes packs when they are full', async () => {
    const vault = memoryVault();
    const writer = openWriter({ ...vault, packSize: MiB });
    const content = noise(12 * MiB);
    const file = await writer.store(sliced(content));
    const { packs, bytesStored } = await writer.finish();
    expect(packs.length).toBeGreaterThan(3);
    const sizes = [...vault.blobs.stored.values()].map((bytes) => bytes.length);
    expect(Math.max(...sizes)).toBeLessThan(6 * MiB);
    expect(bytesStored).toBe(sizes.reduce((sum, size) => sum + size, 0));
    expect((await restore(vault, file)).equals(content)).toBe(true);
  });

  it('waits during uploads instead of filling memory', async () => {
    const vault = memoryVault();
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    let waiting = 0;
    const blobs = {
      ...vault.blobs,
      put: async (...args: Parameters<typeof vault.blobs.put>) => {
        waiting++;
        await opened;
        return vault.blobs.put(...args);
      },
    };
    const writer = openWriter({ ...vault, blobs, packSize: MiB });
    let read = 0;
    const content = async function* () {
      for (; read < 40; read++) yield noise(MiB, read);
    };
    const storing = writer.store(content());
    await expect.poll(() => waiting).toBe(2);
    const stuckAt = read;
    expect(stuckAt).toBeLessThan(25);
    open();
    await storing;
    await writer.finish();
    expect(read).toBe(40);
  });

  it('waits while workers encrypt slots', async () => {
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    let encrypting = 0;
    const vault = memoryVault();
    const writer = openWriter({
      ...vault,
      workers: {
        ...inThread,
        encrypt: async (...job) => {
          encrypting += job[2].reduce((sum, piece) => sum + piece.length, 0);
          await opened;
          return inThread.encrypt(...job);
        },
      },
    });
    const content = noise(48 * MiB);
    const storing = writer.store(sliced(content));
    await expect.poll(() => encrypting).toBeGreaterThan(16 * MiB);
    // Lets all pending work run.
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(encrypting).toBeLessThan(32 * MiB);
    open();
    const file = await storing;
    await writer.finish();
    expect((await restore(vault, file)).equals(content)).toBe(true);
  });

  it('closes a pack of tiny files before its index becomes large', async () => {
    const vault = memoryVault();
    const packer = openPacker(vault);
    const placing: Promise<unknown>[] = [];
    // A group has 1 MiB. 20,000 × 60 bytes fill one, so the second pack begins with the second group.
    for (let n = 0; n < 40_000; n++) placing.push(packer.store(chunkId(keys, noise(32, n)), plain(new Uint8Array(60))));
    await Promise.all(placing);
    await packer.flush();
    expect(vault.blobs.puts.length).toBeGreaterThan(1);
    expect(vault.records.stored.size).toBe(40_000);
  });

  it('survives a source that fails midway, and the retry finds the stored chunks', async () => {
    const vault = memoryVault();
    const writer = openWriter(vault);
    const content = noise(6 * MiB);
    const broken = async function* () {
      yield content.subarray(0, 5 * MiB);
      throw new Error('connection reset');
    };
    await expect(writer.store(broken())).rejects.toThrow('connection reset');
    const other = await writer.store(sliced(noise(1000, 'other')));
    await writer.finish();
    expect((await restore(vault, other)).equals(noise(1000, 'other'))).toBe(true);
    const retry = openWriter(vault);
    const file = await retry.store(sliced(content));
    expect((await retry.finish()).bytesNew).toBeLessThan(content.length / 2);
    expect((await restore(vault, file)).equals(content)).toBe(true);
  });

  it('indexes a pack only after it is stored, fails when either fails, and can try again', async () => {
    for (const broken of ['put', 'putMany'] as const) {
      const vault = memoryVault(broken);
      let fails = true;
      const failing = async () => {
        throw new Error('disk full');
      };
      const blobs = {
        ...vault.blobs,
        put: (...args: Parameters<typeof vault.blobs.put>) =>
          broken === 'put' && fails ? failing() : vault.blobs.put(...args),
      };
      const records = {
        ...vault.records,
        putMany: async (...args: Parameters<typeof vault.records.putMany>) => {
          expect(vault.blobs.stored.size).toBeGreaterThan(0);
          return broken === 'putMany' && fails ? failing() : vault.records.putMany(...args);
        },
      };
      const packer = openPacker({ ...vault, blobs, records });
      const writer = openWriter({ ...vault, blobs, records, packer });
      const content = noise(3000);
      const file = await writer.store(sliced(content));
      await expect(writer.finish()).rejects.toThrow('disk full');
      expect(() => file.chunks).toThrow(/after finish/);
      expect(vault.records.stored.size).toBe(0);
      fails = false;
      const retry = openWriter({ ...vault, blobs, records, packer });
      const stored = await retry.store(sliced(content));
      expect((await retry.finish()).bytesNew).toBe(content.length);
      expect((await restore(vault, stored)).equals(content)).toBe(true);
    }
  });

  it('lets writers share packs and gives each its share of the totals', async () => {
    const vault = memoryVault();
    const packer = openPacker(vault);
    const [one, two] = [openWriter({ ...vault, packer }), openWriter({ ...vault, packer })];
    const files = [
      await one.store(sliced(noise(30_000, 1))),
      await two.store(sliced(noise(10_000, 2))),
      await two.store(sliced(noise(30_000, 1))),
    ];
    const [first, second] = await Promise.all([one.finish(), two.finish()]);
    expect(vault.blobs.puts.length).toBe(1);
    expect(first.packs).toEqual(second.packs);
    expect([first.bytesNew, second.bytesNew]).toEqual([30_000, 10_000]);
    expect(first.bytesStored + second.bytesStored).toBe([...vault.blobs.stored.values()][0]?.length);
    expect((await restore(vault, files[2] ?? { chunks: [] })).equals(noise(30_000, 1))).toBe(true);
  });

  it('knows no positions before it has finished', async () => {
    const writer = openWriter(memoryVault());
    const file = await writer.store(sliced(noise(10)));
    expect(() => file.chunks).toThrow(/after finish/);
  });

  it('keeps an index that can be restored from the packs', async () => {
    const vault = memoryVault();
    const writer = openWriter({ ...vault, packSize: 2 * MiB });
    for (let n = 0; n < 50; n++) await writer.store(sliced(noise(1000 + 20_000 * n, n)));
    const { packs } = await writer.finish();
    const before = structuredClone(vault.records.stored);
    expect(new Set([...before.values()].map((record) => record.pk)).size).toBeGreaterThan(20);
    vault.records.stored.clear();
    for (const pack of packs) await indexFromPack(vault, pack);
    expect(new Map([...vault.records.stored].sort())).toEqual(new Map([...before].sort()));
    const cut = packBlobKey(vault.account, packs[0] ?? '');
    vault.blobs.stored.set(cut, (vault.blobs.stored.get(cut) ?? new Uint8Array()).slice(0, -1));
    await expect(readPackIndex(vault, packs[0] ?? '')).rejects.toThrow(VaultDamage);
  });

  it('stores any content at any concurrency', async () => {
    const file = fc.record({ size: fc.oneof(fc.nat(40_000), fc.nat(2 * MiB)), seed: fc.nat(4), text: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 12 }), fc.constantFrom(100_000, MiB), async (files, packSize) => {
        const vault = memoryVault();
        const writer = openWriter({ ...vault, packSize });
        const contents = files.map(({ size, seed, text }) =>
          text ? new Uint8Array(size).fill(seed) : noise(size, seed),
        );
        const stored = await Promise.all(contents.map((content) => writer.store(sliced(content))));
        await writer.finish();
        for (const [i, content] of contents.entries()) {
          expect((await restore(vault, stored[i] ?? { chunks: [] })).equals(content)).toBe(true);
        }
      }),
      { numRuns: 15 },
    );
  });
});
