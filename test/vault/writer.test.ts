import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VaultDamage } from '../../vault/damage.ts';
import { packBlobKey, readPackIndex } from '../../vault/pack.ts';
import { registerPack } from '../../vault/pack-registry.ts';
import { readFile } from '../../vault/read-file.ts';
import { chunksOf, openWriter, type StoredFile } from '../../vault/writer.ts';
import { gather, keys, memoryVault, noise, openTestWriter, sliced } from './vault-fixture.ts';

const MiB = 1024 * 1024;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const restore = (vault: ReturnType<typeof memoryVault>, file: StoredFile | undefined) => {
  if (!file) throw new Error('the file was not stored');
  return gather(readFile({ ...vault }, { key: 'k', chunks: chunksOf(file), sha256: file.sha256 }));
};
const textFile = (n: number) =>
  Buffer.from(`file ${n}: ${'the same old words again and again '.repeat(50 + (n % 40))}`);

describe('writer', () => {
  it('stores files of any size, which are read back byte for byte', async () => {
    const vault = memoryVault();
    const writer = openTestWriter(vault);
    const contents = [0, 1, 255, 70_000, 600_000, 9 * MiB].map((size) => noise(size, size));
    const files = await Promise.all(contents.map((content) => writer.store(sliced(content))));
    await writer.finish();
    for (const [i, content] of contents.entries()) {
      const file = files[i];
      expect([file?.size, file?.sha256]).toEqual([content.length, sha256(content)]);
      expect((await restore(vault, file)).equals(content)).toBe(true);
    }
  });

  it('compresses small files together in one pack, and each can be read alone', async () => {
    const vault = memoryVault();
    const writer = openTestWriter(vault);
    const files = await writer.small(Array.from({ length: 300 }, (_, n) => textFile(n)));
    const { packs, bytesNew, bytesStored } = await writer.finish();
    expect(vault.blobs.puts).toEqual(packs.map((pack) => packBlobKey(vault.account, pack)));
    expect(packs.length).toBe(1);
    expect(bytesStored).toBe(vault.blobs.stored.get(vault.blobs.puts[0] ?? '')?.length);
    // Alone, each would take about 90 bytes compressed, and 20 for encryption.
    expect(bytesStored).toBeLessThan(bytesNew / 40);
    expect((await restore(vault, files[123])).equals(textFile(123))).toBe(true);
    expect(vault.blobs.gets.length).toBe(1);
    expect(vault.chunks.lookUps).toBe(1);
  });

  it('does not store content twice, neither of an earlier writer nor of a current one', async () => {
    const vault = memoryVault();
    const content = noise(5 * MiB);
    const first = openTestWriter(vault);
    const files = [
      await first.store(sliced(content)),
      await first.store(sliced(content, 999)),
      ...(await first.small([content.subarray(0, 1000), content.subarray(0, 1000)])),
    ];
    expect((await first.finish()).bytesNew).toBe(content.length + 1000);
    const second = openTestWriter(vault);
    const again = await second.store(sliced(content));
    expect(await second.finish()).toMatchObject({
      packs: [],
      bytesStored: 0,
      bytesNew: 0,
      requests: { blobWrite: 0, recordWrite: 0 },
    });
    expect(vault.blobs.puts.length).toBe(1);
    for (const file of [...files, again])
      expect((await restore(vault, file)).equals(content.subarray(0, file.size))).toBe(true);
  });

  it('closes packs when they are full', async () => {
    const vault = memoryVault();
    const writer = openTestWriter({ ...vault, packSize: MiB });
    const content = noise(12 * MiB);
    const file = await writer.store(sliced(content));
    const { packs, bytesStored } = await writer.finish();
    expect(packs.length).toBeGreaterThan(3);
    const sizes = [...vault.blobs.stored.values()].map((bytes) => bytes.length);
    expect(Math.max(...sizes)).toBeLessThan(6 * MiB);
    expect(bytesStored).toBe(sizes.reduce((sum, size) => sum + size, 0));
    expect((await restore(vault, file)).equals(content)).toBe(true);
  });

  it('closes a pack before a large chunk that would bring it above 32 MiB', async () => {
    const vault = memoryVault();
    const { packer } = openTestWriter(vault);
    const packs = new Set<Promise<void>>();
    for (const [n, size] of [20, 16, 16, 16].entries()) {
      const large = { id: `${n}`.repeat(40), bytes: noise(size * MiB, n) };
      for (const placed of await packer.add('run_1', [large]))
        if (!('pack' in placed)) packs.add(placed.slot.pack.durable);
    }
    packer.close();
    await Promise.all(packs);
    const sizes = [...vault.blobs.stored.values()].map((bytes) => Math.floor(bytes.length / MiB));
    expect(sizes).toEqual([20, 16, 16, 16]);
  });

  it('stores a file of 5 TB in chunks of a few MiB, with one buffer for the open chunk', async () => {
    const buffers = new Set<ArrayBufferLike>();
    const lengths: number[] = [];
    const writer = openWriter(
      {
        async add(_run, chunks) {
          for (const { bytes } of chunks) {
            buffers.add(bytes.buffer);
            lengths.push(bytes.length);
          }
          return chunks.map(() => ({ pack: 'p', slot: 0, slotOffset: 0, slotLength: 0, offset: 0, length: 0 }));
        },
      },
      keys,
      'run_1',
    );
    const stream = writer.stream(5e12);
    for (let n = 0; n < 60; n++) await stream.push(noise(MiB, n));
    // A sparse file has long runs without a border.
    const zeros = new Uint8Array(MiB);
    for (let n = 0; n < 40; n++) await stream.push(zeros);
    const { size } = await stream.end();
    expect(size).toBe(100 * MiB);
    expect(lengths.length).toBeLessThan(30);
    expect(Math.max(...lengths)).toBe(16 * MiB);
    // All chunks span slices.
    expect(buffers.size).toBe(1);
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
    const writer = openTestWriter({ ...vault, blobs, packSize: MiB });
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

  it('closes a pack of tiny files before its index becomes large', async () => {
    const vault = memoryVault();
    const writer = openTestWriter(vault);
    for (let n = 0; n < 70_000; n += 1000)
      await writer.small(Array.from({ length: 1000 }, (_, i) => Buffer.from(`tiny file ${n + i}`)));
    expect((await writer.finish()).packs.length).toBe(2);
    expect(vault.chunks.stored.size).toBe(70_000);
  });

  it('survives a source that fails midway, and the retry finds the stored chunks', async () => {
    const vault = memoryVault();
    const writer = openTestWriter(vault);
    const content = noise(6 * MiB);
    const broken = async function* () {
      yield content.subarray(0, 5 * MiB);
      throw new Error('connection reset');
    };
    await expect(writer.store(broken())).rejects.toThrow('connection reset');
    const other = await writer.store(sliced(noise(1000, 'other')));
    await writer.finish();
    expect((await restore(vault, other)).equals(noise(1000, 'other'))).toBe(true);
    const retry = openTestWriter(vault);
    const file = await retry.store(sliced(content));
    expect((await retry.finish()).bytesNew).toBeLessThan(content.length / 2);
    expect((await restore(vault, file)).equals(content)).toBe(true);
  });

  it('registers, stores, confirms and indexes a pack in this order, fails when one fails, and can try again', async () => {
    const steps = ['uploading', 'put', 'live', 'add'] as const;
    for (const broken of [...steps, undefined]) {
      const vault = memoryVault(broken);
      const done: string[] = [];
      let fails = true;
      const step = async <T>(name: string, work: () => Promise<T>) => {
        done.push(name);
        if (name === broken && fails) throw new Error('disk full');
        return work();
      };
      const { put } = vault.blobs;
      const { add } = vault.chunks;
      const { write } = vault.records;
      vault.blobs.put = (...args) => step('put', () => put(...args));
      vault.chunks.add = (...args) => step('add', () => add(...args));
      vault.records.write = (writes) => {
        const [first] = writes;
        return step(first?.op === 'put' ? String(first.data.state) : 'other', () => write(writes));
      };
      const writer = openTestWriter(vault);
      const content = noise(3000);
      const file = await writer.store(sliced(content));
      const finishing = writer.finish();
      if (broken) await expect(finishing).rejects.toThrow('disk full');
      else await finishing;
      expect(done).toEqual(broken ? steps.slice(0, steps.indexOf(broken) + 1) : steps);
      if (!broken) continue;
      expect(() => chunksOf(file)).toThrow(/once its pack is durable/);
      expect(vault.chunks.stored.size).toBe(0);
      fails = false;
      const retry = openWriter(writer.packer, keys, 'run_1');
      const [stored] = await retry.small([content]);
      writer.packer.close();
      expect((await retry.finish()).bytesNew).toBe(content.length);
      expect((await restore(vault, stored)).equals(content)).toBe(true);
    }
  });

  it('stores content again when its pack is lost, truncated or not registered as live', async () => {
    type Vault = ReturnType<typeof memoryVault>;
    const content = noise(3000);
    const harm = [
      async (vault: Vault, pack: string) => vault.blobs.stored.delete(packBlobKey(vault.account, pack)),
      async (vault: Vault, pack: string) => vault.blobs.stored.set(packBlobKey(vault.account, pack), noise(100)),
      (vault: Vault, pack: string) => registerPack(vault, pack, { state: 'lost', bytes: 1, epoch: 1, run: 'run_1' }),
    ];
    for (const damage of harm) {
      const vault = memoryVault();
      const first = openTestWriter(vault);
      await first.store(sliced(content));
      const [pack = ''] = (await first.finish()).packs;
      await damage(vault, pack);
      const second = openTestWriter({ ...vault, random: (bytes) => noise(bytes, 'second') });
      const file = await second.store(sliced(content));
      expect((await second.finish()).bytesNew).toBe(content.length);
      expect((await restore(vault, file)).equals(content)).toBe(true);
    }
  });

  it('lets writers share packs and gives each its share of the totals', async () => {
    const vault = memoryVault();
    const one = openTestWriter(vault);
    const two = openWriter(one.packer, keys, 'run_2');
    const files = [
      await one.store(sliced(noise(30_000, 1))),
      ...(await two.small([noise(10_000, 2), noise(30_000, 1)])),
    ];
    const [first, second] = await Promise.all([one.finish(), two.finish()]);
    expect(vault.blobs.puts.length).toBe(1);
    expect(first.packs).toEqual(second.packs);
    expect([first.bytesNew, second.bytesNew]).toEqual([30_000, 10_000]);
    expect(first.bytesStored + second.bytesStored).toBe([...vault.blobs.stored.values()][0]?.length);
    expect((await restore(vault, files[2])).equals(noise(30_000, 1))).toBe(true);
  });

  it('knows no positions before it has finished', async () => {
    const writer = openTestWriter(memoryVault());
    const file = await writer.store(sliced(noise(10)));
    expect(() => chunksOf(file)).toThrow(/once its pack is durable/);
  });

  it('keeps an index that can be restored from the packs', async () => {
    const vault = memoryVault();
    const writer = openTestWriter({ ...vault, packSize: 2 * MiB });
    for (let n = 0; n < 50; n++) await writer.store(sliced(noise(1000 + 20_000 * n, n)));
    const { packs } = await writer.finish();
    const restored = new Map<string, unknown>();
    for (const pack of packs)
      for (const [id, ref] of await readPackIndex(vault, pack)) restored.set(`${vault.account} ${id}`, ref);
    expect(new Map([...restored].sort())).toEqual(new Map([...vault.chunks.stored].sort()));
    const cut = packBlobKey(vault.account, packs[0] ?? '');
    vault.blobs.stored.set(cut, (vault.blobs.stored.get(cut) ?? new Uint8Array()).slice(0, -1));
    await expect(readPackIndex(vault, packs[0] ?? '')).rejects.toThrow(VaultDamage);
  });

  it('stores any content in slices of any size', async () => {
    const file = fc.record({ size: fc.oneof(fc.nat(40_000), fc.nat(2 * MiB)), seed: fc.nat(4), text: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(file, { maxLength: 12 }),
        fc.constantFrom(100_000, MiB),
        fc.integer({ min: 500, max: MiB }),
        async (files, packSize, size) => {
          const vault = memoryVault();
          const writer = openTestWriter({ ...vault, packSize });
          const contents = files.map(({ size, seed, text }) =>
            text ? new Uint8Array(size).fill(seed) : noise(size, seed),
          );
          const stored: StoredFile[] = [];
          for (const content of contents) {
            if (content.length % 2 === 0 || content.length > 100_000)
              stored.push(await writer.store(sliced(content, size)));
            else stored.push(...(await writer.small([content])));
          }
          await writer.finish();
          for (const [i, content] of contents.entries()) {
            expect((await restore(vault, stored[i])).equals(content)).toBe(true);
          }
        },
      ),
      { numRuns: 15 },
    );
  });
});
