/** Manifests, packs and lists that are sealed as they should be and yet wrong: what a mistake of ours would leave, and no flipped byte could. */
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

type Bent = { segment?: Partial<SegmentRef>; base?: string; totals?: { files: number } };

/** A manifest of these segments, put and named by the log; `bent` after it was made, but before it was sealed. */
async function put(id: string, segments: ManifestEntry[][], bent: Bent = {}): Promise<void> {
  const blobs: Uint8Array[] = [];
  const refs: SegmentRef[] = [];
  let offset = 0;
  for (const entries of segments) {
    const { bytes, ref } = encryptSegment(vault, id, offset, entries);
    blobs.push(bytes);
    refs.push({ ...ref, ...bent.segment });
    offset += bytes.length;
  }
  const { bytes, root } = encryptRoot(vault, id, {
    runId: 'run_1',
    at: '2026-02-01T00:00:00.000Z',
    base: bent.base ?? null,
    segments: refs,
  });
  await vault.blobs.put(manifestBlobKey(account, id), Buffer.concat([...blobs, bytes]));
  log.manifests.push({ ref: root.ref, totals: { ...root.totals, ...bent.totals }, runId: 'run_1' });
}

async function failures(readData = true): Promise<Finding[]> {
  return (await collect(checkVault(vault, log, { readData, count: () => {} }))).filter(
    ({ severity }) => severity === 'failure',
  );
}

const kinds = async (readData = true) => (await failures(readData)).map(({ what }) => what);

describe('a manifest', () => {
  it('as it should be, with its history, is none of these', async () => {
    await put('man_1', [[{ ...found('a/'), version: 1 }, file], [{ ...file, key: 'c' }]]);
    const later = { version: 2, previous: 'man_1' };
    const { sha256: _, chunks: __, ...gone } = { ...file, ...later, deleted: true as const };
    await put('man_2', [[gone], [{ ...file, key: 'c', ...later }]], { base: 'man_1' });
    expect(await failures()).toEqual([]);
  });

  it.each<[string, ManifestEntry[][], Bent]>([
    ['holds more than the log says', [[found('a') as ManifestEntry]], { totals: { files: 7 } }],
    ['was made from one that the log does not know', [], { base: 'man_0' }],
    ['has segments out of order', [[{ ...found('b/'), version: 1 }], [{ ...found('a/'), version: 1 }]], {}],
    ['has segments that overlap', [[{ ...found('a/'), version: 1 }], [{ ...found('a/'), version: 1 }]], {}],
  ])('%s', async (_what, segments, bent) => {
    await put('man_1', segments, bent);
    expect(await kinds()).toContain('manifest');
  });

  it.each<[string, Partial<SegmentRef>]>([
    ['more entries', { count: 5 }],
    ['other sums', { totals: { files: 9, folders: 0, links: 0, bytes: 0 } }],
    ['another first key', { first: '' }],
    ['another last key', { last: 'z' }],
  ])('counts on %s than a segment has', async (_what, segment) => {
    await put('man_1', [[file]], { segment });
    expect(await kinds()).toEqual(['segment']);
  });
});

describe('an entry', () => {
  it.each<[string, () => Partial<ManifestEntry>]>([
    ['of a file without a hash', () => ({ sha256: undefined as never })],
    ['of a file without its chunks', () => ({ chunks: undefined as never })],
    ['of another size than its chunks', () => ({ size: 4999 })],
    ['that is a second version of nothing', () => ({ version: 2 })],
    ['that is the first version after another', () => ({ previous: 'man_1' })],
    ['whose version before is nowhere', () => ({ version: 2, previous: 'man_0' })],
    ['whose version before is another one', () => ({ version: 3, previous: 'man_1' })],
    ['that was deleted and has content', () => ({ deleted: true })],
    ['of a folder with content', () => ({ kind: 'folder', key: 'b/' })],
    [
      'of a folder that is named as a file',
      () => ({ kind: 'folder', sha256: undefined as never, chunks: undefined as never }),
    ],
  ])('%s', async (_what, change) => {
    await put('man_1', [[file]]);
    await put('man_2', [[without({ ...file, ...change() })]]);
    expect(await kinds(false)).toEqual(['segment']);
  });

  /** Absent, and not merely undefined, as in what comes from a source. */
  function without(entry: ManifestEntry): ManifestEntry {
    return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as ManifestEntry;
  }

  it('out of order', async () => {
    await put('man_1', [[{ ...file, key: 'c' }, file, { ...file, key: 'd' }]]);
    expect(await kinds()).toContain('segment');
  });

  it('whose chunk is not in the pack that it names', async () => {
    const chunks = file.chunks?.map((chunk) => ({ ...chunk, offset: chunk.offset + 1 })) ?? [];
    await put('man_1', [[{ ...file, chunks }]]);
    expect(await kinds(false)).toEqual(['file', 'file']);
  });

  it('whose content is another than its hash says: only with all data read', async () => {
    await put('man_1', [[{ ...file, sha256: 'f'.repeat(64) }]]);
    expect(await kinds(false)).toEqual([]);
    expect(await kinds()).toEqual(['file']);
  });

  it('whose chunks are in another order: only with all data read', async () => {
    const [one, two] = [await stored(noise(3000, 1)), await stored(noise(4000, 2))];
    const chunks = [...two.chunks, ...one.chunks];
    await put('man_1', [[{ ...file, size: 7000, chunks }]]);
    expect(await kinds(false)).toEqual([]);
    expect(await kinds()).toEqual(['file']);
  });
});

describe('a pack', () => {
  /** One chunk by another's name. */
  async function mislabelled(): Promise<void> {
    const pack = 'pak_00000000000000000000000009';
    const lock = lockPack(keys, account, pack);
    const slot = encryptSlot(lock, 0, [noise(100)]);
    const footer = encryptFooter(lock, [{ stored: slot.length, chunks: [{ id: '0'.repeat(32), length: 100 }] }]);
    await vault.blobs.put(packBlobKey(account, pack), Buffer.concat([slot, footer]));
  }

  it('with a chunk by another name: only with all data read', async () => {
    await mislabelled();
    expect(await kinds(false)).toEqual([]);
    expect(await kinds()).toEqual(['pack-slot']);
  });

  it('that nobody needs yet is none of these, and told of unless a run may still name it', async () => {
    const notes = () => collect(checkVault(vault, log, { readData: true, count: () => {} }));
    expect(await notes()).toEqual([expect.objectContaining({ severity: 'info', what: 'pack-footer' })]);
    const [pack = ''] = file.chunks?.map((chunk) => chunk.pack) ?? [];
    log.mayBeNamed.add(pack);
    expect(await notes()).toEqual([]);
  });
});

describe('a list of errors', () => {
  const error = { path: 'a', code: 'x', message: 'y' };

  it('whole is none of these', async () => {
    await putErrors(vault, 'run_1', 0, [error, error]);
    await putErrors(vault, 'run_1', 1, [error]);
    log.errorLists.push({ runId: 'run_1', pages: 2, errors: 3 });
    expect(await failures()).toEqual([]);
  });

  it.each([
    ['that lacks a page', 2, 2],
    ['that lacks an error', 1, 3],
  ])('%s', async (_what, pages, errors) => {
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

  it('whole is none of these', async () => expect(await failures()).toEqual([]));

  it.each([
    ['gone', 0],
    ['cut short', 5],
  ])('%s', async (_what, length) => {
    await vault.blobs.delete([blob]);
    if (length > 0) await vault.blobs.put(blob, content.subarray(0, length));
    expect(await kinds(false)).toEqual(['export']);
  });

  it('without its hashes', async () => {
    await vault.blobs.delete([`${blob}.hashes`]);
    expect(await kinds(false)).toEqual(['export']);
  });
});
