/** A store that was cut off goes on at its last checkpoint, also in the middle of a file. */
import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type ReadRequest, SourceProblem, type SourceSession } from '../../../connectors/connector.ts';
import { folder } from '../../../connectors/folder.ts';
import { s3 } from '../../../connectors/s3.ts';
import type { SourceEntry } from '../../../domain/entry.ts';
import type { EngineWork, StoreLimits, StoreResult } from '../../../processors/backup/engine.ts';
import { storePart } from '../../../processors/backup/store-part.ts';
import { encryptList, type Saved } from '../../../processors/backup/work.ts';
import { gearTable } from '../../../vault/chunker.ts';
import { presentPacks, registerPack } from '../../../vault/pack-registry.ts';
import { memoryBody, openPacker } from '../../../vault/packer.ts';
import { decodeList, partAad } from '../../../vault/part.ts';
import { readFile } from '../../../vault/read-file.ts';
import { testFolder } from '../../support/embedded.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { account, chunk, collect, gather, memoryVault, noise, sliced } from '../../vault/vault-fixture.ts';

const MiB = 1024 * 1024;
const limits: StoreLimits = { checkpointBytes: MiB, checkpointMs: 3600_000, resumableBytes: MiB };
/** What an attempt may read again: two checkpoints, the open chunk, and frames in hand. */
const mayReadAgain = 2 * limits.checkpointBytes + 4 * MiB + 5 * MiB;

type Source = { session: SourceSession; put(key: string, content: Uint8Array): Promise<void> };

async function openFolder(): Promise<Source> {
  const path = await testFolder();
  const session = await folder.open({ path } as never, undefined as never, {
    allowHosts: [],
    folders: { roots: 'any', never: [] },
  });
  onTestFinished(() => session.close());
  return {
    session,
    async put(key, content) {
      await mkdir(join(path, key, '..'), { recursive: true });
      await writeFile(join(path, `${key}.new`), content);
      await rename(join(path, `${key}.new`), join(path, key));
    },
  };
}

async function openBucket(): Promise<Source> {
  const server = await startS3Server();
  const config = s3.config.parse({ bucket: server.bucket, endpoint: server.endpoint });
  const session = await s3.open(config, server.credentials, { allowHosts: [server.host] });
  onTestFinished(async () => {
    await session.close();
    await server.close();
  });
  return { session, put: async (key, content) => server.put(key, content) };
}

/** How an attempt ends, after so many bytes of the source. Below 0: before its first frame. */
type Cut = { after: number; how: 'kill' | 'pause' | 'unreachable' };

/** One batch over a source. `resume` is its last checkpoint. */
async function openBatch({ session }: Source) {
  const vault = memoryVault();
  const { items } = await session.list(null, { limit: 1000 });
  const entries = items.flatMap((item): SourceEntry[] => (item.type === 'entry' ? [item.entry] : []));
  const runRef = { account, runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
  const list = { entries, deleted: ['gone'], failed: [], skipped: [] };
  const origin = { settings: 'hash', sourceIdentity: null };
  const work = encryptList({ ...runRef, keys: vault.keys }, 'batch-1', list, origin);
  const batch = { vault, entries, resume: null as Saved | null, bytesRead: 0, checkpoints: 0, attempt };

  async function attempt(
    cut?: Cut,
    more: { limits?: Partial<StoreLimits>; isCautious?: boolean; crashOn?: string } = {},
  ): Promise<StoreResult | 'cut'> {
    const openPack = openPacker({
      ...vault,
      register: (pack, record) => registerPack(vault, pack, record),
      present: (packs) => presentPacks(vault, packs),
      openBody: () => memoryBody(vault.blobs),
      packSize: 3 * MiB,
    });
    const packer = { ...openPack, leave: openPack.close, release() {} };
    let bytes = 0;
    let isDead = false;
    const read: SourceSession['read'] = async function* (requests) {
      if (cut?.how === 'unreachable' && cut.after < 0) throw unreachable();
      for await (const frame of session.read(requests)) {
        yield frame;
        for (const part of frame) if ('bytes' in part) bytes += part.bytes.length;
        batch.bytesRead += frame.reduce((sum, part) => sum + ('bytes' in part ? part.bytes.length : 0), 0);
        const isCrash = frame.some(({ index }) => requests[index]?.entry.key === more.crashOn);
        if (isCrash || (cut?.how === 'kill' && bytes >= cut.after)) {
          isDead = true;
          throw new Error('killed');
        }
        if (cut?.how === 'unreachable' && bytes >= cut.after) throw unreachable();
      }
    };
    const tools = {
      ...{ blobs: vault.blobs, random: vault.random, now: () => 0 },
      takePacker: () => packer,
      moving: <T>(moved: Promise<T>) => moved,
      withSession: <T>(_run: string, _source: unknown, use: (session: SourceSession) => Promise<T>) =>
        use({ ...session, read }),
      proceed() {},
    };
    const request = {
      ...{ runRef, keys: vault.keys, source: { settings: 'hash' } as never, batch: 1, work, resume: batch.resume },
      ...{ isCautious: more.isCautious ?? false, limits: { ...limits, ...more.limits } },
    };
    try {
      const result = await storePart(tools as unknown as EngineWork, request, {
        reached() {},
        async checkpoint({ where, bytes: saved }) {
          if (isDead) throw new Error('dead');
          batch.resume = { where, bytes: saved };
          batch.checkpoints++;
        },
        isOver: () => cut?.how === 'pause' && bytes >= cut.after,
      });
      return 'paused' in result ? 'cut' : result;
    } catch (error) {
      if (error instanceof Error && error.message === 'killed') return 'cut';
      if (error instanceof SourceProblem && error.code === 'unreachable') return 'cut';
      throw error;
    }
  }

  return batch;
}

const unreachable = () => new SourceProblem('unreachable', 'It is gone.', { retryable: true });

type Batch = Awaited<ReturnType<typeof openBatch>>;

/** The part with the lengths of chunks. Their positions differ from attempt to attempt. Reads all content back. */
async function partOf({ vault }: Batch, result: StoreResult | 'cut') {
  if (result === 'cut') throw new Error('the attempt did not end');
  const { list } = decodeList(vault.keys, partAad(account, 'run_1', 1), result.part);
  const { bytesStored: _, ...counts } = result.counts;
  const entries = await Promise.all(
    list.entries.map(async (entry) => {
      if (entry.kind !== 'file') return entry;
      const { key, sha256 = '', chunks = [] } = entry;
      const content = await gather(readFile(vault, { key, sha256, chunks }));
      expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
      return { ...entry, chunks: chunks.map(({ length }) => length) };
    }),
  );
  return { ...list, entries, counts };
}

const sources = [
  { kind: 'folder', open: openFolder },
  { kind: 'bucket', open: openBucket },
];

async function fill({ put }: Source): Promise<number> {
  const files: [string, Uint8Array][] = [
    ['a/first', noise(20)],
    ['b', new Uint8Array()],
    ['huge', Buffer.concat([noise(5 * MiB, 'huge'), new Uint8Array(5 * MiB), noise(3 * MiB + 17, 'end')])],
    ['large', noise(MiB - 1, 'large')],
    ['zlast', noise(300_000, 'last')],
  ];
  for (const [key, content] of files) await put(key, content);
  return files.reduce((sum, [, { length }]) => sum + length, 0);
}

describe.each(sources)('a batch of a $kind', ({ open }) => {
  test('has the same part, however its attempts were cut off, and reads little again', async () => {
    const source = await open();
    const size = await fill(source);
    const whole = await openBatch(source);
    const expected = await partOf(whole, await whole.attempt());
    expect(whole.checkpoints).toBeGreaterThan(3);
    expect(whole.bytesRead).toBe(size);
    const cut = fc.record({
      after: fc.integer({ min: 0, max: 12 * MiB }),
      how: fc.constantFrom<Cut['how'][]>('kill', 'pause', 'unreachable'),
    });
    const isEager = fc.boolean();
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 6 }), isEager, async (cuts, eager) => {
        const batch = await openBatch(source);
        const more = eager ? { limits: { checkpointMs: 0 } } : {};
        let cutOff = 0;
        let result: StoreResult | 'cut' = 'cut';
        for (const each of cuts) {
          result = await batch.attempt(each, more);
          if (result !== 'cut') break;
          cutOff++;
        }
        if (result === 'cut') result = await batch.attempt();
        expect(await partOf(batch, result)).toEqual(expected);
        expect(batch.bytesRead).toBeLessThanOrEqual(size + cutOff * mayReadAgain);
      }),
      { numRuns: 6 },
    );
  });

  test('starts a file again that changed after a checkpoint in its middle', async () => {
    const source = await open();
    await source.put('huge', noise(12 * MiB, 'before'));
    const batch = await openBatch(source);
    expect(await batch.attempt({ after: 8 * MiB, how: 'kill' })).toBe('cut');
    expect(batch.checkpoints).toBeGreaterThan(0);
    const now = noise(13 * MiB, 'after');
    await source.put('huge', now);
    expect(await batch.attempt({ after: 6 * MiB, how: 'pause' }, { limits: { checkpointMs: 0 } })).toBe('cut');
    const { entries, counts } = await partOf(batch, await batch.attempt());
    const sha256 = createHash('sha256').update(now).digest('hex');
    expect(entries).toMatchObject([{ key: 'huge', size: 13 * MiB, sha256 }]);
    expect(counts).toMatchObject({ filesDone: 1, filesFailed: 0, bytesRead: 13 * MiB });
  });
});

test('keeps the chunk lengths that a huge file started with', async () => {
  const entry = { key: 'huge', kind: 'file', size: 16 * 1024 * MiB, modifiedAt: null, revision: 'r1' } as SourceEntry;
  const content = noise(40 * MiB, 'huge');
  const reads: number[] = [];
  // The source lists a huge size and gives less, so that the test stays fast.
  const session = {
    list: async () => ({ items: [{ type: 'entry', entry }], next: null }),
    async *read([request]: ReadRequest[]) {
      const start = request?.range?.offset ?? 0;
      reads.push(start);
      for (let at = start; at < content.length; at += MiB)
        yield [{ index: 0, bytes: content.subarray(at, at + MiB), end: at + MiB >= content.length }];
    },
  };
  const batch = await openBatch({ session: session as unknown as SourceSession, put: async () => {} });
  expect(await batch.attempt({ after: 25 * MiB, how: 'kill' })).toBe('cut');
  const { entries } = await partOf(batch, await batch.attempt());
  const chunks = await collect(chunk(sliced(content), gearTable(batch.vault.keys.gear), entry.size));
  expect(entries).toMatchObject([{ size: content.length, chunks: chunks.map(({ length }) => length) }]);
  expect(reads).toEqual([0, expect.any(Number)]);
  expect(reads[1]).toBeGreaterThan(0);
});

test('makes no checkpoint and no more packs for a batch below the limits', async () => {
  const source = await openFolder();
  await fill(source);
  const batch = await openBatch(source);
  await batch.attempt(undefined, { limits: { checkpointBytes: 120 * MiB, resumableBytes: 256 * MiB } });
  expect(batch.checkpoints).toBe(0);
});

test('keeps checkpoints small, and each piece as large as its news', async () => {
  const source = await openFolder();
  await source.put('huge', noise(40 * MiB));
  const batch = await openBatch(source);
  await batch.attempt({ after: 10 * MiB, how: 'kill' });
  const before = batch.resume?.bytes.length ?? 0;
  await batch.attempt({ after: 25 * MiB, how: 'kill' });
  expect(batch.checkpoints).toBeGreaterThan(10);
  expect(batch.resume?.bytes.length).toBeLessThan(before + 100);
  const { items } = await batch.vault.blobs.list('work/', { limit: 1000 });
  // A killed attempt may leave a piece that no checkpoint names.
  expect(items.length).toBeLessThanOrEqual(batch.checkpoints + 2);
  for (const { size } of items) expect(size).toBeLessThan(1000);
});

test('fails a file that was in hand at two deaths of cautious attempts, and stores the others', async () => {
  const source = await openFolder();
  for (const key of ['a', 'b', 'c']) await source.put(key, Buffer.from(key));
  const batch = await openBatch(source);
  const crash = { isCautious: true, crashOn: 'b' };
  expect(await batch.attempt(undefined, crash)).toBe('cut');
  expect(await batch.attempt(undefined, crash)).toBe('cut');
  const { entries, failed } = await partOf(batch, await batch.attempt(undefined, crash));
  expect(entries.map(({ key }) => key)).toEqual(['a', 'c']);
  expect(failed).toMatchObject([{ key: 'b', code: 'crashed' }]);
});

test('does not blame a file for a source that is unreachable', async () => {
  const source = await openFolder();
  for (const key of ['a', 'b']) await source.put(key, Buffer.from(key));
  const batch = await openBatch(source);
  for (let i = 0; i < 3; i++)
    expect(await batch.attempt({ after: -1, how: 'unreachable' }, { isCautious: true })).toBe('cut');
  const { entries, failed } = await partOf(batch, await batch.attempt());
  expect(entries.map(({ key }) => key)).toEqual(['a', 'b']);
  expect(failed).toEqual([]);
});
