/** Manifests, packs and lists that decrypt but are wrong, as a bug of ours would leave them. Flipped bytes cannot. */
import { beforeEach, describe, expect, it } from 'vitest';
import { checkVault, type VaultLog } from '../../doctor/check-vault.ts';
import type { Finding } from '../../doctor/finding.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { putExport } from '../../vault/exports.ts';
import { encryptFooter, encryptSlot, lockPack, packBlobKey } from '../../vault/pack.ts';
import { encryptRoot } from '../../vault/root.ts';
import { putErrors } from '../../vault/run-errors.ts';
import { encryptSegment, manifestBlobKey, type SegmentRef } from '../../vault/segment.ts';
import { openWriter } from '../../vault/writer.ts';
import { account, collect, found, keys, memoryVault, noise, sliced } from '../vault/vault-fixture.ts';

let vault: ReturnType<typeof memoryVault>;
let log: VaultLog;
let file: ManifestEntry;

beforeEach(async () => {
  vault = memoryVault();
  log = { manifests: [], errorLists: [], exports: new Map(), mayBeNamed: new Set() };
  file = { ...found('b'), ...(await stored(noise(5000))), version: 1 };
});

async function stored(content: Uint8Array) {
  const writer = openWriter(vault);
  const kept = await writer.store(sliced(content));
  await writer.finish();
  const { size, sha256, chunks } = kept;
  return { size, sha256, chunks };
}

type Wrong = { segment?: Partial<SegmentRef>; base?: string; totals?: { files: number } };

/** Puts a manifest of these segments and adds it to the log. `wrong` changes its fields before they are encrypted. */
async function put(id: string, segments: ManifestEntry[][], wrong: Wrong = {}): Promise<void> {
  const blobs: Uint8Array[] = [];
  const refs: SegmentRef[] = [];
  let offset = 0;
  for (const entries of segments) {
    const { bytes, ref } = encryptSegment(vault, id, offset, entries);
    blobs.push(bytes);
    refs.push({ ...ref, ...wrong.segment });
    offset += bytes.length;
  }
  const { bytes, root } = encryptRoot(vault, id, {
    runId: 'run_1',
    at: '2026-02-01T00:00:00.000Z',
    base: wrong.base ?? null,
    segments: refs,
  });
  await vault.blobs.put(manifestBlobKey(account, id), Buffer.concat([...blobs, bytes]));
  log.manifests.push({ ref: root.ref, totals: { ...root.totals, ...wrong.totals }, runId: 'run_1' });
}

async function failures(readData = true): Promise<Finding[]> {
  return (await collect(checkVault(vault, log, { readData, count: () => {} }))).filter(
    ({ severity }) => severity === 'failure',
  );
}

const kinds = async (readData = true) => (await failures(readData)).map(({ what }) => what);

describe('a manifest', () => {
  it('gives no failure when it is correct and has a history', async () => {
    await put('man_1', [[{ ...found('a/'), version: 1 }, file], [{ ...file, key: 'c' }]]);
    const later = { version: 2, previous: 'man_1' };
    const { sha256: _, chunks: __, ...gone } = { ...file, ...later, deleted: true as const };
    await put('man_2', [[gone], [{ ...file, key: 'c', ...later }]], { base: 'man_1' });
    expect(await failures()).toEqual([]);
  });

  it.each<[string, ManifestEntry[][], Wrong]>([
    ['has other totals than the log', [[found('a') as ManifestEntry]], { totals: { files: 7 } }],
    ['has a base that is not in the log', [], { base: 'man_0' }],
    ['has segments out of order', [[{ ...found('b/'), version: 1 }], [{ ...found('a/'), version: 1 }]], {}],
    ['has segments that overlap', [[{ ...found('a/'), version: 1 }], [{ ...found('a/'), version: 1 }]], {}],
  ])('is reported when it %s', async (_what, segments, wrong) => {
    await put('man_1', segments, wrong);
    expect(await kinds()).toContain('manifest');
  });

  it.each<[string, Partial<SegmentRef>]>([
    ['a wrong number of entries', { count: 5 }],
    ['wrong totals', { totals: { files: 9, folders: 0, links: 0, bytes: 0 } }],
    ['a wrong first key', { first: '' }],
    ['a wrong last key', { last: 'z' }],
  ])('is reported when it gives %s for a segment', async (_what, segment) => {
    await put('man_1', [[file]], { segment });
    expect(await kinds()).toEqual(['segment']);
  });
});

describe('an entry', () => {
  it.each<[string, () => Partial<ManifestEntry>]>([
    ['has no hash', () => ({ sha256: undefined as never })],
    ['has no chunks', () => ({ chunks: undefined as never })],
    ['has another size than its chunks', () => ({ size: 4999 })],
    ['is a second version without a first', () => ({ version: 2 })],
    ['is a first version after another', () => ({ previous: 'man_1' })],
    ['names an unknown manifest for the version before', () => ({ version: 2, previous: 'man_0' })],
    ['skips a version', () => ({ version: 3, previous: 'man_1' })],
    ['was deleted but has content', () => ({ deleted: true })],
    ['is a folder with content', () => ({ kind: 'folder', key: 'b/' })],
    [
      'is a folder without a slash at the end',
      () => ({ kind: 'folder', sha256: undefined as never, chunks: undefined as never }),
    ],
  ])('is reported when it %s', async (_what, change) => {
    await put('man_1', [[file]]);
    await put('man_2', [[withoutUndefined({ ...file, ...change() })]]);
    expect(await kinds(false)).toEqual(['segment']);
  });

  /** Removes undefined fields, as entries from a source do not have them. */
  function withoutUndefined(entry: ManifestEntry): ManifestEntry {
    return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as ManifestEntry;
  }

  it('is reported when it is out of order', async () => {
    await put('man_1', [[{ ...file, key: 'c' }, file, { ...file, key: 'd' }]]);
    expect(await kinds()).toContain('segment');
  });

  it('is reported when its pack does not have its chunk', async () => {
    const chunks = file.chunks?.map((chunk) => ({ ...chunk, offset: chunk.offset + 1 })) ?? [];
    await put('man_1', [[{ ...file, chunks }]]);
    expect(await kinds(false)).toEqual(['file', 'file']);
  });

  it('is reported when its content does not match its hash, but only with readData', async () => {
    await put('man_1', [[{ ...file, sha256: 'f'.repeat(64) }]]);
    expect(await kinds(false)).toEqual([]);
    expect(await kinds()).toEqual(['file']);
  });

  it('is reported when its chunks are in the wrong order, but only with readData', async () => {
    const [one, two] = [await stored(noise(3000, 1)), await stored(noise(4000, 2))];
    const chunks = [...two.chunks, ...one.chunks];
    await put('man_1', [[{ ...file, size: 7000, chunks }]]);
    expect(await kinds(false)).toEqual([]);
    expect(await kinds()).toEqual(['file']);
  });
});

describe('a pack', () => {
  /** Puts a pack whose footer gives its chunk a wrong id. */
  async function putMislabelled(): Promise<void> {
    const pack = 'pak_00000000000000000000000009';
    const lock = lockPack(keys, account, pack);
    const slot = encryptSlot(lock, 0, [noise(100)]);
    const footer = encryptFooter(lock, [{ stored: slot.length, chunks: [{ id: '0'.repeat(32), length: 100 }] }]);
    await vault.blobs.put(packBlobKey(account, pack), Buffer.concat([slot, footer]));
  }

  it('is reported when a chunk has a wrong id, but only with readData', async () => {
    await putMislabelled();
    expect(await kinds(false)).toEqual([]);
    expect(await kinds()).toEqual(['pack-slot']);
  });

  it('gives an info when it is unused, unless an open run may still name it', async () => {
    const findings = () => collect(checkVault(vault, log, { readData: true, count: () => {} }));
    expect(await findings()).toEqual([expect.objectContaining({ severity: 'info', what: 'pack-footer' })]);
    const [pack = ''] = file.chunks?.map((chunk) => chunk.pack) ?? [];
    log.mayBeNamed.add(pack);
    expect(await findings()).toEqual([]);
  });
});

describe('a list of errors', () => {
  const error = { path: 'a', code: 'x', message: 'y' };

  it('gives no failure when it is complete', async () => {
    await putErrors(vault, 'run_1', 0, [error, error]);
    await putErrors(vault, 'run_1', 1, [error]);
    log.errorLists.push({ runId: 'run_1', pages: 2, errors: 3 });
    expect(await failures()).toEqual([]);
  });

  it.each([
    ['page', 2, 2],
    ['error', 1, 3],
  ])('is reported when it lacks one %s', async (_what, pages, errors) => {
    await putErrors(vault, 'run_1', 0, [error, error]);
    log.errorLists.push({ runId: 'run_1', pages, errors });
    expect(await kinds()).toEqual(['error-page']);
  });
});

describe('a zip', () => {
  const blob = `exports/${account}/dow_1`;
  const content = noise(3 * 1024 * 1024 + 17);

  beforeEach(async () => {
    log.exports.set(blob, content.length);
    await putExport(vault.blobs, blob, sliced(content));
  });

  it('gives no failure when it is complete', async () => expect(await failures()).toEqual([]));

  it.each([
    ['missing', 0],
    ['truncated', 5],
  ])('is reported when it is %s', async (_what, length) => {
    await vault.blobs.delete([blob]);
    if (length > 0) await vault.blobs.put(blob, content.subarray(0, length));
    expect(await kinds(false)).toEqual(['export']);
  });

  it('is reported when its hashes are missing', async () => {
    await vault.blobs.delete([`${blob}.hashes`]);
    expect(await kinds(false)).toEqual(['export']);
  });
});
