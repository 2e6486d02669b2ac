/**
 * A reader in Python, written from docs/vault-format.md alone, restores backups. It needs no AWS, but it is in this
 * project because `npm test` must not need Python.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import type { ManifestRef } from '../../domain/backup-chain.ts';
import { keyFromBytes } from '../../domain/entry.ts';
import type { ChunkRef, Platform } from '../../domain/ports.ts';
import { defaultLimits } from '../../processors/limits.ts';
import { findRestorePoint, readerContext } from '../../projections/files/listing.ts';
import type { RestorePoint } from '../../projections/files.ts';
import { getRun } from '../../projections/runs.ts';
import { pythonWith } from '../../scripts/venv.ts';
import type { FoundEntry, ManifestEntry } from '../../vault/entry.ts';
import { forwardKey } from '../../vault/forward.ts';
import { type Change, writeManifest } from '../../vault/manifest.ts';
import { packBlobKey } from '../../vault/pack.ts';
import { readFile } from '../../vault/read-file.ts';
import { entries, openManifest, type ReaderContext } from '../../vault/reader.ts';
import { bordersOf } from '../../vault/segment.ts';
import { chunksOf, type StoredFile } from '../../vault/writer.ts';
import { changeCorpus, makeCorpus } from '../faults/corpus.ts';
import { account, makeWorld } from '../faults/world.ts';
import { testFolder } from '../support/embedded.ts';
import { memoryChunks } from '../support/memory-ports.ts';
import { changesOf, collect, encodeForward, found, impliedBy, noise, openTestWriter, sliced } from './vault-fixture.ts';

const program = fileURLToPath(new URL('document-reader.py', import.meta.url));
const MiB = 1024 * 1024;

/** The fields that a source shows, and all fields of an entry but its chunks. */
type Shown = Pick<ManifestEntry, 'key' | 'kind' | 'size' | 'modifiedAt' | 'mode' | 'target' | 'sha256'>;
type Printed = Omit<ManifestEntry, 'chunks'>;

const run = promisify(execFile);

const byKey = <T extends { key: string }>(things: T[]) => new Map(things.map((thing) => [thing.key, thing]));

/** Everything in the folder, as the reader must restore it. */
function shownIn(root: string): Map<string, Shown> {
  const things: Shown[] = [];
  const visit = (folder: Buffer) => {
    for (const name of readdirSync(folder, { encoding: 'buffer' })) {
      const path = Buffer.concat([folder, Buffer.from('/'), name]);
      const stat = lstatSync(path, { bigint: true });
      const key = keyFromBytes(path.subarray(Buffer.byteLength(root) + 1));
      const modifiedAt = new Date(Number(stat.mtimeNs / 1_000_000n)).toISOString();
      const common = { size: 0, modifiedAt, mode: Number(stat.mode) & 0o7777 };
      if (stat.isDirectory()) {
        things.push({ key: `${key}/`, kind: 'folder', ...common });
        visit(path);
      } else if (stat.isSymbolicLink()) {
        const target = keyFromBytes(readlinkSync(path, { encoding: 'buffer' }));
        things.push({ key, kind: 'link', ...common, target });
      } else {
        const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
        things.push({ key, kind: 'file', ...common, size: Number(stat.size), sha256 });
      }
    }
  };
  visit(Buffer.from(root));
  return byKey(things);
}

function shownOf({ key, kind, size, modifiedAt, mode, target, sha256 }: Printed): Shown {
  return {
    ...{ key, kind, size, modifiedAt },
    ...(mode !== undefined && { mode }),
    ...(target !== undefined && { target }),
    ...(sha256 !== undefined && { sha256 }),
  };
}

/** Adds to the corpus what it lacks: files of several chunks, many small files, odd names and targets. */
async function makeSource(root: string): Promise<void> {
  await makeCorpus(root);
  writeFileSync(join(root, 'large'), noise(11 * MiB, 'large'));
  writeFileSync(join(root, 'large and compressible'), 'all the same '.repeat(MiB));
  mkdirSync(join(root, 'many'));
  for (let i = 0; i < 1200; i++) writeFileSync(join(root, 'many', `file ${i}`), `content ${i % 400}`);
  for (const name of [
    'many-',
    'many ',
    'many.txt',
    '\u{1f469}\u200d\u{1f680}',
    '\uffff',
    'e\u0301',
    'new\nline',
    'x'.repeat(255),
  ])
    writeFileSync(join(root, name), name);
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xed, 0xb2, 0x80])]), 'an encoded surrogate');
  symlinkSync(Buffer.from([0xfe, 0xff]), join(root, 'to raw'));
}

/** Stores all content again in new packs, twice. Forwards replace the old packs, so they lead to other forwards. */
async function rewritePacks(platform: Platform, manifests: ManifestRef[]): Promise<void> {
  const vault = await readerContext(platform, account);
  const files: FoundEntry[] = [];
  for (const manifest of manifests)
    for await (const entry of entries(vault, await openManifest(vault, manifest))) files.push(entry);
  let chunks = files.map((file) => file.chunks ?? []);
  for (const round of ['second', 'third']) {
    const writer = openTestWriter({ ...vault, records: platform.records, chunks: memoryChunks(), random: randomBytes });
    // A shift by one byte moves the content in its slots.
    await writer.store(sliced(noise(1, round)));
    const stored: StoredFile[] = [];
    for (const file of files) stored.push(await writer.store(readFile(vault, file)));
    await writer.finish();
    const moves = stored.flatMap((file, i) =>
      chunksOf(file).map((to, j) => ({ from: (chunks[i] as ChunkRef[])[j] as ChunkRef, to })),
    );
    for (const [pack, of] of Map.groupBy(moves, ({ from }) => from.pack)) {
      await platform.blobs.put(forwardKey(account, pack), encodeForward(vault.keys, account, pack, of));
      await platform.blobs.delete([packBlobKey(account, pack)]);
    }
    chunks = stored.map(chunksOf);
  }
}

/** A manifest of several nodes, with fields and keys that folders do not have. */
async function addOddManifest(vault: ReaderContext, base: ManifestRef): Promise<ManifestRef> {
  const { endsNode } = bordersOf(vault.keys);
  let endOfNode = 0;
  while (!endsNode(`links/1 ${endOfNode}`)) endOfNode++;
  const nothing = { sha256: createHash('sha256').digest('hex'), chunks: [] };
  const put = (key: string, more: Partial<FoundEntry>): Change => ({ put: found(key, more) });
  const changes = [
    ...impliedBy(['deep/er/x']),
    put('deep/er/x', nothing),
    put('cloud/', { kind: 'file', ...nothing, id: 'id/1', mimeType: 'text/plain', modifiedAt: null }),
    put('cloud//', { modifiedAt: '2026-01-02T03:04:05Z' }),
    put('cloud//x', { ...nothing, modifiedAt: '1960-01-02T03:04:05.678Z', revision: '' }),
    put('/', {}),
    ...Array.from({ length: 3000 }, (_, i) => put(`links/${i}`, { kind: 'link', target: `../${i}` })),
    put(`links/1 ${endOfNode}`, { kind: 'link', target: '' }),
  ];
  const options = { ...vault, random: randomBytes, runId: 'run_odd', at: '2026-02-01T00:00:00.000Z' };
  const root = await openManifest(vault, base);
  const { manifest } = await writeManifest({ ...options, base: root, changes: changesOf(changes) });
  expect((await openManifest(vault, manifest)).nodes.length).toBeGreaterThan(1);
  return manifest;
}

it('restores what was backed up, also after changes and from rewritten packs', async () => {
  const python = await pythonWith('document-reader');
  const data = await testFolder();
  const { platform, source, jobId, request, settle, deployment } = await makeWorld({ data });
  deployment.limits = defaultLimits;
  const key = Buffer.from((await platform.keys.accountKey(account)) ?? []).toString('hex');
  await makeSource(source);

  async function backUp(): Promise<ManifestRef> {
    const runId = await request();
    await settle();
    expect(await getRun(platform, account, runId)).toMatchObject({ status: 'succeeded', progress: { filesFailed: 0 } });
    return ((await findRestorePoint(platform, account, { jobId })) as RestorePoint).manifest;
  }
  async function restored({ id, hash }: ManifestRef): Promise<Printed[]> {
    const args = [program, join(data, 'blobs'), account, key, id, hash];
    const { stdout } = await run(python, args, { maxBuffer: 64 * MiB });
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => {
        const entry = JSON.parse(line);
        const { modifiedAt } = entry;
        return typeof modifiedAt === 'number' ? { ...entry, modifiedAt: new Date(modifiedAt).toISOString() } : entry;
      });
  }

  const first = await backUp();
  const before = shownIn(source);
  await changeCorpus(source);
  const second = await backUp();
  const vault = await readerContext(platform, account);
  const odd = await addOddManifest(vault, second);

  async function expectRestored(): Promise<void> {
    const all = [];
    for (const manifest of [first, second, odd]) {
      const printed = await restored(manifest);
      const stored = await collect(entries(vault, await openManifest(vault, manifest), { includeDeleted: true }));
      expect(printed).toEqual(stored.map(({ chunks: _, ...entry }) => entry));
      all.push(byKey(printed.filter(({ deleted, implied }) => !deleted && !implied).map(shownOf)));
    }
    expect(all[0]).toEqual(before);
    expect(all[1]).toEqual(shownIn(source));
  }
  await expectRestored();
  await rewritePacks(platform, [first, second]);
  await expectRestored();
});
