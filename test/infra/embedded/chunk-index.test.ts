/** The chunk index in its own file. Its contract: test/contract/chunks.ts. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Blobs, ChunkIndex, ChunkRef, JsonObject, Platform } from '../../../domain/ports.ts';
import {
  chunkIndexFile,
  type EmbeddedChunkIndex,
  openChunkIndex,
  removeDamagedIndex,
} from '../../../infra/embedded/chunk-index.ts';
import { rebuildChunkIndex } from '../../../infra/rebuild-chunk-index.ts';
import { deriveVaultKeys } from '../../../vault/keys.ts';
import { packBlobKey } from '../../../vault/pack.ts';
import { openTestPlatform, silent, testFolder } from '../../support/embedded.ts';
import { memoryBlobs } from '../../support/memory-ports.ts';
import { collect, countingRandom, flipped, noise, openTestWriter, sliced } from '../../vault/vault-fixture.ts';

const account = 'acc_00000000000000000000000001';
const other = 'acc_00000000000000000000000002';
let file = '';
beforeEach(async () => {
  file = join(await testFolder(), chunkIndexFile);
});

function open(): EmbeddedChunkIndex {
  const index = openChunkIndex(file);
  onTestFinished(() => index.close());
  return index;
}

/** The chunks with the numbers `from` to `to`, exclusive. */
function chunks(from: number, to: number, pack = 'pak_00000000000000000000000001'): Map<string, ChunkRef> {
  const ref = (n: number) => ({ pack, slot: n, slotOffset: 10 * n, slotLength: 9, offset: 0, length: 7 });
  return new Map(
    Array.from({ length: to - from }, (_, i) => [(from + i).toString(16).padStart(40, '0'), ref(from + i)]),
  );
}

/** Makes a file with 3,000 chunks. */
async function fill(): Promise<Map<string, ChunkRef>> {
  const index = openChunkIndex(file);
  const all = chunks(0, 3000);
  await index.add(account, all);
  index.setComplete();
  index.close();
  return all;
}

describe('two connections of one file', () => {
  it('see the chunks of one another', async () => {
    const [one, two] = [open(), open()];
    await one.add(account, chunks(0, 10));
    await two.add(account, chunks(10, 20, 'pak_00000000000000000000000002'));
    await one.add(other, chunks(20, 25, 'pak_00000000000000000000000002'));
    const all = new Map([...chunks(0, 10), ...chunks(10, 20, 'pak_00000000000000000000000002')]);
    for (const index of [one, two]) {
      expect(await index.find(account, [...all.keys()])).toEqual(all);
      expect(await collect(index.scan(account))).toEqual([...all].map(([id, ref]) => ({ id, ref })));
      expect(await collect(index.scan(other))).toHaveLength(5);
    }
  });

  it('replace the position of a chunk that both add', async () => {
    const [one, two] = [open(), open()];
    await one.add(account, chunks(0, 5));
    const moved = chunks(0, 5, 'pak_00000000000000000000000002');
    await two.add(account, moved);
    expect(await one.find(account, [...moved.keys()])).toEqual(moved);
  });

  it('are both incomplete until a rebuild has ended', async () => {
    const [one, two] = [open(), open()];
    await one.add(account, chunks(0, 1));
    expect([one.isComplete(), two.isComplete()]).toEqual([false, false]);
    one.setComplete();
    one.setComplete();
    expect([one.isComplete(), two.isComplete()]).toEqual([true, true]);
  });
});

describe('the file', () => {
  it('keeps the chunks when it is opened again', async () => {
    const all = await fill();
    const index = open();
    expect(index.isComplete()).toBe(true);
    expect(await index.find(account, [...all.keys()])).toEqual(all);
  });

  const overwrite = async (from: number, to = Number.POSITIVE_INFINITY) => {
    const bytes = await readFile(file);
    await writeFile(file, bytes.fill(0xff, from, Math.min(to, bytes.length)));
  };
  const inDatabase = (sql: string) => {
    const db = new DatabaseSync(file, { defensive: false });
    db.exec(sql);
    db.close();
  };

  it.each<[string, () => Promise<void> | void]>([
    ['no database', () => writeFile(file, 'x'.repeat(8192))],
    ['damaged in its header', () => overwrite(0, 100)],
    ['damaged in its pages', () => overwrite(4096)],
    ['truncated', async () => writeFile(file, (await readFile(file)).subarray(0, 8192))],
    ['without a table', () => inDatabase('DROP TABLE packs')],
    ['of a newer version', () => inDatabase('PRAGMA user_version = 99')],
  ])('is made anew when it is %s', async (_what, damage) => {
    const all = await fill();
    await damage();
    const index = open();
    expect(index.isComplete()).toBe(false);
    expect(await collect(index.scan(account))).toEqual([]);
    await index.add(account, all);
    expect(await index.find(account, [...all.keys()])).toEqual(all);
  });

  it('takes chunks on damaged pages for unknown, and is made anew at the next start', async () => {
    await fill();
    const { size } = await stat(file);
    // The root of the table stays, its later pages do not.
    await overwrite(Math.floor(size / 2));
    const index = openChunkIndex(file);
    const all = chunks(0, 3000);
    const found = await index.find(account, [...all.keys()]);
    expect(found.size).toBeLessThan(all.size);
    await index.add(account, all);
    index.close();
    removeDamagedIndex(file);
    expect(await readdir(dirname(file))).toEqual([]);
    expect(open().isComplete()).toBe(false);
  });

  it('has a small write-ahead log after many writes', async () => {
    const [one, two] = [open(), open()];
    for (let n = 0; n < 10; n++) await (n % 2 === 0 ? one : two).add(account, chunks(0, 10_000));
    expect((await stat(`${file}-wal`)).size).toBeLessThan(2 * 1024 * 1024);
    expect((await two.find(account, [...chunks(9_999, 10_000).keys()])).size).toBe(1);
  });

  it('stays at a start when nothing was found damaged', async () => {
    await fill();
    removeDamagedIndex(file);
    expect(open().isComplete()).toBe(true);
  });

  it('stays when it cannot be opened for another reason', async () => {
    await mkdir(file);
    await writeFile(join(file, 'kept'), '');
    expect(() => openChunkIndex(file)).toThrow(/unable to open/);
    expect(await readdir(file)).toEqual(['kept']);
  });
});

describe('rebuildChunkIndex', () => {
  /** Stores each content in a pack of its own. Returns the indexed chunks. */
  async function store(platform: Platform, owner: string, contents: Uint8Array[]): Promise<Map<string, ChunkRef>> {
    const { blobs, records, chunks, keys } = platform;
    const vault = { account: owner, keys: deriveVaultKeys((await keys.accountKey(owner)) as Uint8Array) };
    for (const [n, content] of contents.entries()) {
      const random = countingRandom(`${owner} ${n}`);
      const writer = openTestWriter({ ...vault, blobs, records, chunks, random });
      await writer.store(sliced(content));
      await writer.finish();
    }
    return chunksIn(chunks, owner);
  }

  async function chunksIn(index: ChunkIndex, owner: string): Promise<Map<string, ChunkRef>> {
    const all = new Map<string, ChunkRef>();
    for await (const chunk of index.scan(owner)) if ('id' in chunk) all.set(chunk.id, chunk.ref);
    return all;
  }

  const contents = [noise(150_000, 1), noise(2_000_000, 2), noise(100, 3)];

  /** Rebuilds into an index of the test's file. Returns the index, the number of packs and the warnings. */
  async function rebuilt(platform: Platform, blobs = platform.blobs) {
    const warnings: (JsonObject | undefined)[] = [];
    const index = open();
    const packs = await rebuildChunkIndex({
      blobs,
      chunks: index,
      async keysOf(owner) {
        const key = await platform.keys.accountKey(owner);
        return key && deriveVaultKeys(key);
      },
      warn: (_message, fields) => void warnings.push(fields),
      position: index.rebuildPosition,
    });
    return { index, packs, warnings };
  }

  it('restores the chunks of all accounts from their packs', async () => {
    const { platform } = await openTestPlatform();
    const [mine, theirs] = [await store(platform, account, contents), await store(platform, other, contents)];
    expect(mine.size).toBeGreaterThanOrEqual(3);
    const { index, packs, warnings } = await rebuilt(platform);
    expect(await chunksIn(index, account)).toEqual(mine);
    expect(await chunksIn(index, other)).toEqual(theirs);
    expect([packs, warnings]).toEqual([6, []]);
  });

  it.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['an altered index', (bytes) => flipped(bytes, bytes.length - 20)],
    ['no trailer', (bytes) => bytes.subarray(0, -1)],
    ['few bytes', (bytes) => bytes.subarray(0, 5)],
  ])('skips a pack with %s', async (_what, damage) => {
    const { platform } = await openTestPlatform();
    const all = await store(platform, account, contents);
    const [[, { pack }]] = [...all] as [[string, ChunkRef]];
    const key = packBlobKey(account, pack);
    await platform.blobs.put(key, damage((await platform.blobs.get(key)) as Uint8Array));
    const { index, packs, warnings } = await rebuilt(platform);
    const left = [...all].filter(([, ref]) => ref.pack !== pack);
    expect(left.length).toBeLessThan(all.size);
    expect(await chunksIn(index, account)).toEqual(new Map(left));
    expect([packs, warnings]).toEqual([2, [{ pack, reason: expect.stringContaining('pack: ') }]]);
  });

  it('skips the packs of an erased account', async () => {
    const { platform } = await openTestPlatform();
    const mine = await store(platform, account, contents);
    await store(platform, other, contents);
    await platform.keys.destroyAccount(other);
    const { index, packs, warnings } = await rebuilt(platform);
    expect(await chunksIn(index, account)).toEqual(mine);
    expect(await chunksIn(index, other)).toEqual(new Map());
    expect([packs, warnings]).toEqual([3, []]);
  });

  it('goes on after the last pack that is done', async () => {
    const { platform } = await openTestPlatform();
    const all = await store(platform, account, contents);
    const read: string[] = [];
    let failAt = 2;
    const size: Blobs['size'] = async (key) => {
      if (read.length === failAt) throw new Error('the disk does not answer');
      read.push(key);
      return platform.blobs.size(key);
    };
    const blobs = { ...platform.blobs, size };
    await expect(rebuilt(platform, blobs)).rejects.toThrow('the disk does not answer');
    failAt = Number.POSITIVE_INFINITY;
    const { index, packs } = await rebuilt(platform, blobs);
    expect(packs).toBe(1);
    expect(await chunksIn(index, account)).toEqual(all);
    expect(new Set(read).size).toBe(3);
    expect(read).toHaveLength(3);
  });

  const removeIndex = async (data: string) => {
    for (const name of await readdir(data)) if (name.startsWith(chunkIndexFile)) await rm(join(data, name));
  };

  it.each([
    ['files in the data folder', undefined],
    ['blobs that the main thread has', memoryBlobs()],
  ])('runs at the start when the file is missing, with %s', async (_where, blobs) => {
    const data = await testFolder();
    const options = { data, ...(blobs && { blobs }) };
    const first = await openTestPlatform(options);
    const all = await store(first.platform, account, contents);
    await first.close();
    await removeIndex(data);
    const warn = vi.fn();
    const { platform, close } = await openTestPlatform({ ...options, log: { ...silent, warn } });
    await expect.poll(() => warn.mock.calls).toEqual([[expect.stringContaining('has been restored'), { packs: 3 }]]);
    expect(await chunksIn(platform.chunks, account)).toEqual(all);
    await close();
    warn.mockClear();
    await (await openTestPlatform({ ...options, log: { ...silent, warn } })).close();
    expect(warn).not.toHaveBeenCalled();
  });

  it('ends when the server stops, and goes on at the next start', async () => {
    const data = await testFolder();
    const stored = memoryBlobs();
    const first = await openTestPlatform({ data, blobs: stored });
    const all = await store(first.platform, account, contents);
    await first.close();
    await removeIndex(data);
    let packs = 0;
    const stuck = Promise.withResolvers<void>();
    const size: Blobs['size'] = (key) => {
      if (++packs === 1) return stored.size(key);
      stuck.resolve();
      return new Promise(() => {});
    };
    const error = vi.fn();
    const log = { ...silent, error };
    const second = await openTestPlatform({ data, blobs: { ...stored, size }, log });
    await stuck.promise;
    await second.close();
    expect(error).not.toHaveBeenCalled();
    const { platform } = await openTestPlatform({ data, blobs: stored, log });
    await expect.poll(() => chunksIn(platform.chunks, account)).toEqual(all);
  });

  it('does not run at the start when the file has chunks', async () => {
    const data = await testFolder();
    const first = await openTestPlatform({ data });
    await store(first.platform, account, contents);
    await first.close();
    const warn = vi.fn();
    await (await openTestPlatform({ data, log: { ...silent, warn } })).close();
    expect(warn).not.toHaveBeenCalled();
  });
});
