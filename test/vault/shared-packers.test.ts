/** Batches of one process share packs. No batch ends before its bytes are durable, or waits for others for ever. */
import { describe, expect, it } from 'vitest';
import { readFile } from '../../vault/read-file.ts';
import { sharedPackers } from '../../vault/shared-packers.ts';
import { openWriter } from '../../vault/writer.ts';
import { account, gather, keys, memoryVault, noise, sliced } from './vault-fixture.ts';

describe('a packer that batches share', () => {
  const never = 2 ** 30;
  const open = (vault: ReturnType<typeof memoryVault>, linger: number) => {
    const { packer } = sharedPackers({ ...vault, linger }).take(account, keys);
    return () => openWriter({ ...vault, packer });
  };

  it('is the same for all batches of an account, and is dropped with the last of them', () => {
    const packers = sharedPackers(memoryVault());
    const [one, two] = [packers.take(account, keys), packers.take(account, keys)];
    expect(one.packer).toBe(two.packer);
    expect(packers.take('acc_other', keys).packer).not.toBe(one.packer);
    expect(
      packers.take(account, { ...keys, epoch: 2, epochKeys: [...keys.epochKeys, new Uint8Array(32)] }).packer,
    ).not.toBe(one.packer);
    one.release();
    one.release();
    const three = packers.take(account, keys);
    expect(three.packer).toBe(two.packer);
    two.release();
    three.release();
    expect(packers.take(account, keys).packer).not.toBe(two.packer);
  });

  it('keeps a pack open while other batches work, and closes it when all have finished', async () => {
    const vault = memoryVault();
    const writer = open(vault, never);
    const writers = Array.from({ length: 5 }, writer);
    const files = [];
    const finishing = [];
    for (const [n, each] of writers.entries()) {
      files.push(await each.store(sliced(noise(20_000, n))));
      expect(vault.blobs.puts).toEqual([]);
      finishing.push(each.finish());
      // Every batch closes its writer at the end.
      each.close();
    }
    const totals = await Promise.all(finishing);
    expect(vault.blobs.puts.length).toBe(1);
    expect(new Set(totals.flatMap(({ packs }) => packs)).size).toBe(1);
    expect(totals.map(({ requests }) => requests.blobWrite).reduce((sum, n) => sum + n)).toBe(1);
    for (const [n, file] of files.entries()) {
      expect(
        (await gather(readFile({ ...vault }, { key: 'k', ...file, chunks: file.chunks }))).equals(noise(20_000, n)),
      ).toBe(true);
    }
  });

  it('closes a pack after a while, even if another batch has not finished', async () => {
    const vault = memoryVault();
    const writer = open(vault, 5);
    const [quick, slow] = [writer(), writer()];
    const file = await quick.store(sliced(noise(1000)));
    await quick.finish();
    expect(file.chunks.length).toBe(1);
    expect(vault.records.stored.size).toBe(1);
    await slow.store(sliced(noise(1000, 2)));
    await slow.finish();
    expect(vault.blobs.puts.length).toBe(2);
  });

  it('does not wait for a batch that has failed', async () => {
    const vault = memoryVault();
    const writer = open(vault, never);
    const [good, bad] = [writer(), writer()];
    await good.store(sliced(noise(1000)));
    const finishing = good.finish();
    bad.close();
    await finishing;
    expect(vault.blobs.puts.length).toBe(1);
  });

  it('fails every batch of a pack that could not be stored', async () => {
    const vault = memoryVault();
    const put = async () => {
      throw new Error('disk full');
    };
    const writer = open({ ...vault, blobs: { ...vault.blobs, put } }, never);
    const [one, two] = [writer(), writer()];
    const file = await one.store(sliced(noise(1000)));
    // The same chunk. The other batch is storing it already.
    await two.store(sliced(noise(1000)));
    const finishing = Promise.allSettled([one.finish(), two.finish()]);
    expect((await finishing).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(() => file.chunks).toThrow(/after finish/);
  });
});
