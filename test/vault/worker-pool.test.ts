/** Worker threads give the same results as a single thread, also after failures. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { gearTable } from '../../vault/chunker.ts';
import { decryptSlot, lockPack } from '../../vault/pack.ts';
import { readFile } from '../../vault/read-file.ts';
import { openWorkerPool, type WorkerPool } from '../../vault/worker-pool.ts';
import { inThread, plain, type Workers } from '../../vault/workers.ts';
import { openWriter } from '../../vault/writer.ts';
import { account, gather, keys, memoryVault, noise, sliced } from './vault-fixture.ts';

const MiB = 1024 * 1024;
const digestKeys = { gear: gearTable(keys.gear), chunkId: keys.chunkId };
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const pools: WorkerPool[] = [];
function open(...args: Parameters<typeof openWorkerPool>): WorkerPool {
  const pool = openWorkerPool(...args);
  pools.push(pool);
  return pool;
}
afterAll(() => Promise.all(pools.map((pool) => pool.close())));

/** Yields all slices in one buffer, which the next slice overwrites. */
async function* reused(content: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(size);
  for (let at = 0; at < content.length; at += size) {
    const part = content.subarray(at, at + size);
    buffer.set(part);
    yield buffer.subarray(0, part.length);
  }
  buffer.fill(0);
}

async function digested(workers: Workers, content: Uint8Array, size: number) {
  const stream = workers.digest(digestKeys);
  const pieces = [];
  for await (const slice of reused(content, size)) pieces.push(...(await stream.push(slice)));
  const { pieces: last, ...whole } = await stream.end();
  const chunks = [...pieces, ...last].map(({ id, content }) => {
    const found = [id, content.length, sha256(content.own())];
    content.drop();
    return found;
  });
  return { chunks, ...whole };
}

async function stored(workers: Workers, contents: Uint8Array[], size = 256 * 1024) {
  const vault = memoryVault();
  const writer = openWriter({ ...vault, workers });
  const files = await Promise.all(contents.map((content) => writer.store(reused(content, size))));
  await writer.finish();
  return { vault, files };
}

async function expectRestored(
  { vault, files }: Awaited<ReturnType<typeof stored>>,
  contents: Uint8Array[],
): Promise<void> {
  for (const [i, content] of contents.entries()) {
    const { sha256, chunks } = files[i] ?? { sha256: '', chunks: [] };
    expect((await gather(readFile({ ...vault }, { key: 'k', sha256, chunks }))).equals(content)).toBe(true);
  }
}

describe('a pool of workers', () => {
  const pool = open(2);

  it('gives the same chunks and ids as one thread, however the content is sliced', async () => {
    const sizes = fc.oneof(fc.nat(3 * MiB), fc.constantFrom(0, 1, MiB - 1, MiB, MiB + 1, 4 * MiB, 9 * MiB));
    const slices = fc.oneof(fc.integer({ min: 1000, max: 3 * MiB }), fc.constantFrom(65_536, MiB - 1, MiB, MiB + 1));
    await fc.assert(
      fc.asyncProperty(sizes, slices, fc.boolean(), async (length, size, even) => {
        const content = even ? new Uint8Array(length).fill(7) : noise(length, length);
        const expected = await digested(inThread, content, size);
        expect(expected).toMatchObject({ size: length, sha256: sha256(content) });
        expect(await digested(pool, content, size)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  it('encrypts slots of one and of several chunks', async () => {
    const lock = lockPack(keys, account, 'pak_00000000000000000000000001');
    const stream = pool.digest(digestKeys);
    const content = noise(5 * MiB);
    const pieces = [...(await stream.push(content)), ...(await stream.end()).pieces];
    expect(pieces.length).toBeGreaterThan(2);
    let at = 0;
    for (const [slot, piece] of pieces.entries()) {
      const encrypted = await pool.encrypt(lock, slot, [piece.content]);
      const bytes = new Uint8Array(encrypted.length + 2);
      encrypted.copyTo(bytes, 1);
      encrypted.drop();
      const opened = decryptSlot(keys, account, lock.pack, slot, bytes.subarray(1, -1));
      expect(Buffer.compare(opened, content.subarray(at, at + opened.length))).toBe(0);
      at += opened.length;
    }
    expect(at).toBe(content.length);
    for (const several of [[noise(10), noise(20)], [new Uint8Array(300_000), noise(70_000)], [new Uint8Array(0)]]) {
      const expected = Buffer.concat(several);
      const encrypted = await pool.encrypt(lock, 1000, several.map(plain));
      const bytes = new Uint8Array(encrypted.length);
      encrypted.copyTo(bytes, 0);
      expect(Buffer.compare(decryptSlot(keys, account, lock.pack, 1000, bytes), expected)).toBe(0);
    }
  });

  it('stores more files at once than its memory holds', async () => {
    const contents = Array.from({ length: 60 }, (_, n) => noise(n % 10 === 0 ? 6 * MiB : 70_000 + 20_000 * n, n));
    await expectRestored(await stored(pool, contents), contents);
  });

  it('frees the memory of chunks that are being stored already', async () => {
    const contents = Array.from({ length: 60 }, () => noise(4 * MiB));
    const { vault, files } = await stored(pool, contents);
    await expectRestored({ vault, files: files.slice(-1) }, contents.slice(-1));
    expect(new Set(files.map(({ chunks }) => JSON.stringify(chunks))).size).toBe(1);
  });

  it('frees the memory of aborted streams, and of chunks that are stored already', async () => {
    // One chunk that ends after 1 MiB or more, and one without an end.
    const content = Buffer.concat([noise(2 * MiB), new Uint8Array(4 * MiB).fill(1)]);
    const vault = memoryVault();
    for (let n = 0; n < 60; n++) {
      const writer = openWriter({ ...vault, workers: pool });
      const broken = async function* () {
        yield* sliced(content.subarray(0, 5 * MiB), 700_000);
        throw new Error('connection reset');
      };
      await expect(writer.store(broken())).rejects.toThrow('connection reset');
      await writer.finish();
    }
    expect(vault.records.stored.size).toBeGreaterThan(1);
  });

  it('frees its memory when packs cannot be stored, and continues', async () => {
    const content = noise(20 * MiB);
    for (let n = 0; n < 8; n++) {
      const vault = memoryVault();
      const put = async () => {
        throw new Error('disk full');
      };
      const writer = openWriter({ ...vault, blobs: { ...vault.blobs, put }, workers: pool, packSize: 2 * MiB });
      await writer.store(sliced(content)).catch(() => undefined);
      await expect(writer.finish()).rejects.toThrow('disk full');
    }
    await expectRestored(await stored(pool, [content]), [content]);
  });

  it('reports the error of a worker, and continues', async () => {
    const lock = { ...lockPack(keys, account, 'pak_00000000000000000000000001'), key: new Uint8Array(5) };
    await expect(pool.encrypt(lock, 0, [plain(noise(10))])).rejects.toThrow(/key length/i);
    for (let n = 0; n < 120; n++) {
      const stream = pool.digest(digestKeys);
      const [piece] = [...(await stream.push(noise(100_000))), ...(await stream.end()).pieces];
      if (!piece) throw new Error('missing');
      await expect(pool.encrypt(lock, 0, [piece.content])).rejects.toThrow(/key length/i);
    }
    await expectRestored(await stored(pool, [noise(2 * MiB)]), [noise(2 * MiB)]);
  });
});

describe('a worker that dies', () => {
  const pool = open(1, new URL('./dying-worker.ts', import.meta.url));

  it('fails its jobs, and another worker replaces it', async () => {
    const contents = Array.from({ length: 4 }, (_, n) => noise(3 * MiB, n));
    let failures = 0;
    // Each thread does nine jobs, so it takes many threads to store everything. Durable chunks are not stored again.
    const vault = memoryVault();
    for (const content of contents) {
      for (;;) {
        const writer = openWriter({ ...vault, workers: pool, packSize: MiB });
        try {
          const file = await writer.store(sliced(content, MiB));
          await writer.finish();
          await expectRestored({ vault, files: [file] }, [content]);
          break;
        } catch (error) {
          expect(String(error)).toMatch(/worker .*ended/);
          await writer.finish().catch(() => undefined);
          if (++failures > 40) throw error;
        }
      }
    }
    expect(failures).toBeGreaterThan(0);
  });
});

describe('a closed pool', () => {
  it('rejects new work', async () => {
    const pool = open(1);
    const stream = pool.digest(digestKeys);
    await stream.push(noise(3 * MiB));
    await pool.close();
    await expect(stream.end()).rejects.toThrow(/ended/);
    stream.abort();
    const fresh = pool.digest(digestKeys);
    await expect(fresh.push(noise(3 * MiB)).then(() => fresh.end())).rejects.toThrow(/ended/);
    fresh.abort();
  });
});

describe('memory', () => {
  it('does not grow with the file', async () => {
    const pool = open(2);
    const vault = memoryVault();
    // The packs are counted, not kept.
    const blobs = { ...vault.blobs, put: async () => 'stored' as const };
    const writer = openWriter({ ...vault, blobs, workers: pool });
    const held = () => process.memoryUsage().arrayBuffers / MiB;
    const before = held();
    let most = 0;
    const buffer = new Uint8Array(noise(MiB));
    const length = 384;
    const content = async function* () {
      for (let n = 0; n < length; n++) {
        buffer.set(noise(64, n), (n * 7919) % (MiB - 64));
        most = Math.max(most, held());
        yield buffer;
      }
    };
    const file = await writer.store(content());
    await writer.finish();
    expect(file.size).toBe(length * MiB);
    // The memory shared with the threads, three packs, and garbage that was not collected yet.
    expect(most - before).toBeLessThan(320);
  });
});
