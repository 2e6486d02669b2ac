import { randomBytes } from 'node:crypto';
/** Manifests, packs and lists that decrypt but are wrong, as a bug of ours would leave them. Flipped bytes cannot. */
import { beforeEach, describe, expect, it } from 'vitest';
import { checkVault, type VaultLog } from '../../doctor/check-vault.ts';
import type { Finding } from '../../doctor/finding.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { encryptPieces } from '../../vault/exports.ts';
import { type MetadataRef, metadataKey, openMetadataWriter } from '../../vault/metadata.ts';
import { encodeNames, type Name } from '../../vault/names.ts';
import { encryptFooter, encryptSlot, lockPack, packBlobKey } from '../../vault/pack.ts';
import { type PackRecord, registerPack } from '../../vault/pack-registry.ts';
import { type NodeRef, writeNode, writeRoot } from '../../vault/root.ts';
import { putErrors } from '../../vault/run-errors.ts';
import { type SegmentRef, writeSegment } from '../../vault/segment.ts';
import { chunksOf } from '../../vault/writer.ts';
import {
  account,
  collect,
  flipped,
  found,
  keys,
  memoryVault,
  noise,
  openTestWriter,
  sliced,
} from '../vault/vault-fixture.ts';

const owner = { jobId: 'job_1', sourceId: 'src_1' };

let vault: ReturnType<typeof memoryVault>;
let log: VaultLog;
let file: ManifestEntry;

beforeEach(async () => {
  vault = memoryVault();
  log = { manifests: [], idIndexes: [], errorLists: [], exports: new Map(), mayBeNamed: new Set() };
  file = { ...found('b'), ...(await stored(noise(5000))), version: 1 };
});

async function stored(content: Uint8Array) {
  const writer = openTestWriter(vault);
  const kept = await writer.store(sliced(content));
  await writer.finish();
  return { size: kept.size, sha256: kept.sha256, chunks: chunksOf(kept) };
}

/** `names` replaces the names of each node. `split` puts each segment into a node of its own. */
type Wrong = {
  segment?: Partial<SegmentRef>;
  node?: Partial<NodeRef>;
  names?: Name[] | Uint8Array;
  base?: string;
  totals?: { files: number };
  split?: boolean;
};
type Put = { id: string; nodes: NodeRef[]; names: MetadataRef[]; segments: SegmentRef[] };

/** Stores a manifest of these segments. `wrong` changes its fields before they are encrypted. */
async function store(entries: ManifestEntry[][], wrong: Wrong = {}) {
  const writer = openMetadataWriter(vault, (pack, state, bytes) => register(pack, { state, bytes }));
  const names: MetadataRef[] = [];
  const segments: SegmentRef[] = [];
  const groups = wrong.split ? entries.map((each) => [each]) : [entries].filter((each) => each.length > 0);
  const nodes = groups.map((group): NodeRef => {
    const block = wrong.names instanceof Uint8Array ? wrong.names : encodeNames(wrong.names ?? group.flat());
    const ref = writer.add('names', block);
    const refs = group.map((each) => ({ ...writeSegment(writer, each), ...wrong.segment }));
    names.push(ref);
    segments.push(...refs);
    return { ...writeNode(writer, { names: ref, segments: refs }), ...wrong.node };
  });
  const fields = { runId: 'run_1', at: '2026-02-01T00:00:00.000Z', base: wrong.base ?? null, nodes };
  const root = await writeRoot(writer, fields);
  return { root, id: root.ref.id, nodes, names, segments };
}

/** As `store`, and adds the manifest to the log. */
async function put(entries: ManifestEntry[][], wrong: Wrong = {}): Promise<Put> {
  const { root, ...rest } = await store(entries, wrong);
  log.manifests.push({ ref: root.ref, totals: { ...root.totals, ...wrong.totals }, runId: 'run_1', ...owner });
  return rest;
}

function register(pack: string, record: Pick<PackRecord, 'state' | 'bytes'>): Promise<void> {
  return registerPack(vault, pack, { ...record, epoch: keys.epoch, run: 'run_1' });
}

const findings = (readData = true, more: { maxRemembered?: number } = {}) =>
  collect(checkVault(vault, log, { readData, count: () => {}, ...more }));

async function failures(readData = true): Promise<Finding[]> {
  return (await findings(readData)).filter(({ severity }) => severity === 'failure');
}

const kinds = async (readData = true) => (await failures(readData)).map(({ what }) => what);

describe('a manifest', () => {
  it('gives no finding when it is correct and has a history', async () => {
    const { id } = await put([[{ ...found('a/'), version: 1 }, file], [{ ...file, key: 'c' }]]);
    const later = { version: 2, previous: id };
    const { sha256: _, chunks: __, ...gone } = { ...file, ...later, deleted: true as const };
    await put([[gone], [{ ...file, key: 'c', ...later }]], { base: id });
    expect(await findings()).toEqual([]);
  });

  it.each<[string, ManifestEntry[][], Wrong]>([
    ['has other totals than the log', [[{ ...found('a/'), version: 1 }]], { totals: { files: 7 } }],
    ['has a base that is not in the log', [], { base: 'man_0' }],
    ['has nodes out of order', [[{ ...found('b/'), version: 1 }], [{ ...found('a/'), version: 1 }]], { split: true }],
    ['has nodes that overlap', [[{ ...found('a/'), version: 1 }], [{ ...found('a/'), version: 1 }]], { split: true }],
  ])('is reported when it %s', async (_what, segments, wrong) => {
    await put(segments, wrong);
    expect(await kinds()).toEqual(['manifest']);
  });

  it.each<[string, Partial<SegmentRef>]>([
    ['a wrong number of entries', { count: 5 }],
    ['a wrong number of live entries', { live: 0 }],
    ['wrong totals', { totals: { files: 9, folders: 0, links: 0, bytes: 0 } }],
    ['a wrong first key', { first: '' }],
    ['a wrong last key', { last: 'z' }],
  ])('is reported when it gives %s for a segment', async (_what, segment) => {
    await put([[file]], { segment });
    expect(await kinds()).toEqual(['segment']);
  });

  it('is reported when the folder of a live entry is missing or deleted', async () => {
    const folder = { ...found('a/'), version: 1 };
    const inside = { ...found('a/b/'), version: 1 };
    await put([[inside]]);
    expect(await kinds()).toEqual(['segment']);
    log.manifests = [];
    await put([[{ ...folder, deleted: true }], [inside]]);
    expect(await kinds()).toEqual(['segment']);
    log.manifests = [];
    await put([[folder], [inside]]);
    expect(await kinds()).toEqual([]);
  });

  it('is reported when it was altered', async () => {
    const { id } = await put([[file]]);
    const size = vault.blobs.stored.get(metadataKey(account, id))?.length ?? 0;
    await alter(id, size - 20);
    expect(await failures()).toEqual([
      expect.objectContaining({ what: 'manifest', where: `${id} of run_1`, detail: expect.stringMatching(/not the/) }),
    ]);
  });

  it('gives an info when no restore point has it', async () => {
    await put([[file]]);
    const { id } = await store([[file]]);
    expect(await findings()).toEqual([
      expect.objectContaining({ severity: 'info', what: 'manifest', detail: expect.stringContaining(id) }),
    ]);
  });

  it('gives no info about metadata packs whose segments a later manifest still uses', async () => {
    const old = await store([[file]]);
    const writer = openMetadataWriter(vault, (pack, state, bytes) => register(pack, { state, bytes }));
    const [names, segments] = [old.names[0] as MetadataRef, old.segments];
    const nodes = [writeNode(writer, { names, segments })];
    const root = await writeRoot(writer, { runId: 'run_1', at: '2026-02-01T00:00:00.000Z', base: null, nodes });
    log.manifests.push({ ref: root.ref, totals: root.totals, runId: 'run_1', ...owner });
    expect(await findings()).toEqual([]);
  });
});

/** Flips a bit of a metadata pack. */
async function alter(pack: string, at: number): Promise<void> {
  const key = metadataKey(account, pack);
  await vault.blobs.put(key, flipped((await vault.blobs.get(key)) as Uint8Array, at));
}

describe('a node', () => {
  const folder = (key: string): ManifestEntry => ({ ...found(key), version: 1 });

  it.each<[string, Partial<NodeRef>]>([
    ['a wrong number of entries', { count: 5 }],
    ['a wrong number of live entries', { live: 0 }],
    ['wrong totals', { totals: { files: 9, folders: 0, links: 0, bytes: 0 } }],
    ['a wrong first key', { first: '' }],
    ['a wrong last key', { last: 'z' }],
  ])('is reported when the manifest gives %s for it', async (_what, node) => {
    await put([[file]], { node });
    expect(await kinds()).toEqual(['node']);
  });

  it.each<[string, ManifestEntry[][]]>([
    ['segments out of order', [[folder('b/')], [folder('a/')]]],
    ['segments that overlap', [[folder('a/')], [folder('a/')]]],
  ])('is reported when it has %s', async (_what, segments) => {
    await put(segments);
    expect(await kinds()).toContain('node');
  });

  it('is reported when it has no segment', async () => {
    const writer = openMetadataWriter(vault, async () => {});
    const names = writer.add('names', encodeNames([]));
    const ref = writer.add(
      'node',
      Buffer.from(
        JSON.stringify({
          format: 2,
          packs: [names.pack],
          names: [0, names.offset, names.length, names.sha256],
          segments: [],
        }),
      ),
    );
    const totals = { files: 0, folders: 0, links: 0, bytes: 0 };
    const nodes = [{ ...ref, first: 'a', last: 'b', count: 1, live: 1, totals }];
    const root = await writeRoot(writer, { runId: 'run_1', at: '2026-02-01T00:00:00.000Z', base: null, nodes });
    log.manifests.push({ ref: root.ref, totals, runId: 'run_1', ...owner });
    expect(await kinds()).toEqual(['node']);
  });

  it('is reported with the number of its files when it was altered', async () => {
    const { id, nodes } = await put([[file]]);
    await alter(id, (nodes[0]?.offset ?? 0) + 20);
    expect(await failures()).toEqual([
      expect.objectContaining({ what: 'node', detail: expect.stringMatching(/was altered; it lists 1 file$/) }),
    ]);
  });

  it.each<[string, Name[] | Uint8Array, RegExp]>([
    ['lack an entry', [{ key: 'a/' }], /searches miss files/],
    ['have another key', [{ key: 'a/' }, { key: 'c' }], /searches miss files/],
    ['have an entry more', [{ key: 'a/' }, { key: 'b' }, { key: 'c' }], /searches miss files/],
    ['have a live entry as deleted', [{ key: 'a/' }, { key: 'b', deleted: true }], /searches miss files/],
    ['have an unknown format', Uint8Array.of(99), /format 1: searches fail/],
    ['are truncated', encodeNames([{ key: 'a/' }]).subarray(0, 3), /searches fail/],
  ])('is reported when its names %s', async (_what, names, detail) => {
    await put([[folder('a/'), file]], { names });
    expect(await failures()).toEqual([
      expect.objectContaining({ what: 'node', detail: expect.stringMatching(detail) }),
    ]);
  });

  it('is reported when its names were altered', async () => {
    const { id, names } = await put([[file]]);
    await alter(id, (names[0]?.offset ?? 0) + 20);
    expect(await failures()).toEqual([
      expect.objectContaining({
        what: 'node',
        detail: expect.stringMatching(/the names at .* altered: searches fail$/),
      }),
    ]);
  });

  it('is reported once when two manifests share it', async () => {
    const { nodes } = await put([[file]], { names: [] });
    const writer = openMetadataWriter(vault, async () => {});
    const root = await writeRoot(writer, { runId: 'run_2', at: '2026-02-02T00:00:00.000Z', base: null, nodes });
    log.manifests.push({ ref: root.ref, totals: root.totals, runId: 'run_2', ...owner });
    expect(await kinds()).toEqual(['node']);
  });

  it('does not hide an altered segment, which lists its files', async () => {
    const { id, segments } = await put([[folder('a/')], [file]]);
    await alter(id, (segments[1]?.offset ?? 0) + 20);
    expect(await failures()).toEqual([
      expect.objectContaining({ what: 'segment', detail: expect.stringMatching(/was altered; it lists 1 file$/) }),
    ]);
  });
});

const broken = () => Promise.reject(Object.assign(new Error('busy'), { code: 'EIO' }));

describe('the pack registry', () => {
  const [pack, metadata] = ['pak_00000000000000000000000009', 'man_00000000000000000000000009'];

  it.each<[string, string, PackRecord['state'], number | undefined, RegExp]>([
    ['a missing pack', pack, 'live', undefined, /^it is missing$/],
    ['a missing metadata pack', metadata, 'live', undefined, /^it is missing$/],
    ['a pack of another size', pack, 'live', 99, /^it has 99 bytes instead of 100$/],
    ['a metadata pack of another size', metadata, 'live', 101, /^it has 101 bytes instead of 100$/],
    ['a lost pack', pack, 'lost', undefined, /^it is lost: files in it cannot be restored$/],
  ])('reports %s', async (_what, id, state, size, detail) => {
    await register(id, { state, bytes: 100 });
    const key = id === pack ? packBlobKey(account, id) : metadataKey(account, id);
    if (size !== undefined) await vault.blobs.put(key, noise(size));
    const found = async () => (await findings()).filter(({ what, where }) => what === 'pack-registry' && where === id);
    expect(await found()).toEqual([
      expect.objectContaining({ severity: 'info', detail: expect.stringMatching(/, but no backup needs it$/) }),
    ]);
    log.mayBeNamed.add(id);
    expect(await found()).toEqual([
      expect.objectContaining({ severity: 'failure', detail: expect.stringMatching(detail) }),
    ]);
  });

  it('reports a missing pack that a backup needs, and the metadata pack of a restore point', async () => {
    const { id } = await put([[file]]);
    const pack = file.chunks?.[0]?.pack ?? '';
    await vault.blobs.delete([packBlobKey(account, pack), metadataKey(account, id)]);
    const registered = async () => (await failures()).filter(({ what }) => what === 'pack-registry');
    expect((await registered()).map(({ where }) => where)).toEqual([id]);
    await put([[file]]);
    expect((await registered()).map(({ where }) => where)).toEqual([id, pack]);
  });

  it('reports a pack whose size cannot be read as unreadable, in use or not', async () => {
    await register(pack, { state: 'live', bytes: 100 });
    vault.blobs.size = broken;
    expect((await failures()).filter(({ what }) => what === 'pack-registry')).toEqual([
      expect.objectContaining({ where: pack, detail: 'it cannot be read (EIO)' }),
    ]);
  });

  it('asks for the sizes only of packs that the list lacks', async () => {
    const { id } = await put([[file]]);
    await register(pack, { state: 'live', bytes: 100 });
    await register(metadata, { state: 'live', bytes: 100 });
    const asked: string[] = [];
    const { size } = vault.blobs;
    vault.blobs.size = (key) => {
      asked.push(key);
      return size(key);
    };
    await findings();
    // The first two are the sizes of the manifest and of the pack with the file. Readers need them to find the footer.
    const read = [metadataKey(account, id), packBlobKey(account, file.chunks?.[0]?.pack ?? '')];
    expect(asked).toEqual([...read, metadataKey(account, metadata), packBlobKey(account, pack)]);
  });

  it('reports no failure for a lost pack that is stored again', async () => {
    await put([[file]]);
    await register(pack, { state: 'lost', bytes: 100 });
    await vault.blobs.put(packBlobKey(account, pack), noise(100));
    expect((await findings()).filter(({ what }) => what === 'pack-registry')).toEqual([
      expect.objectContaining({ where: pack, detail: 'it was lost and is back' }),
    ]);
  });

  it('reads the content of a damaged pack, and reports no failure if that was restored', async () => {
    await put([[file]]);
    const needed = file.chunks?.[0]?.pack ?? '';
    const key = packBlobKey(account, needed);
    const bytes = (await vault.blobs.get(key)) ?? noise(1);
    await register(needed, { state: 'damaged', bytes: bytes.length });
    expect(await findings(false)).toEqual([
      expect.objectContaining({ severity: 'info', what: 'pack-registry', where: needed }),
    ]);
    await vault.blobs.put(key, flipped(bytes, 60));
    expect(await failures(false)).toEqual([
      expect.objectContaining({ what: 'pack-slot', detail: expect.stringContaining('does not authenticate') }),
    ]);
  });

  it('gives no finding about a pack whose upload did not finish', async () => {
    await put([[file]]);
    await register(pack, { state: 'uploading', bytes: 100 });
    expect(await findings()).toEqual([]);
  });
});

describe('an entry', () => {
  it.each<[string, (id: string) => Partial<ManifestEntry>]>([
    ['has no hash', () => ({ sha256: undefined as never })],
    ['has no chunks', () => ({ chunks: undefined as never })],
    ['has another size than its chunks', () => ({ size: 4999 })],
    ['is a second version without a first', () => ({ version: 2 })],
    ['is a first version after another', (id) => ({ previous: id })],
    ['names an unknown manifest for the version before', () => ({ version: 2, previous: 'man_0' })],
    ['skips a version', (id) => ({ version: 3, previous: id })],
    ['was deleted but has content', () => ({ deleted: true })],
    ['is a folder with content', () => ({ kind: 'folder', key: 'b/' })],
    [
      'is a folder without a slash at the end',
      () => ({ kind: 'folder', sha256: undefined as never, chunks: undefined as never }),
    ],
  ])('is reported when it %s', async (_what, change) => {
    const { id } = await put([[file]]);
    await put([[withoutUndefined({ ...file, ...change(id) })]]);
    expect(await kinds(false)).toEqual(['segment']);
  });

  /** Removes undefined fields, as entries from a source do not have them. */
  function withoutUndefined(entry: ManifestEntry): ManifestEntry {
    return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as ManifestEntry;
  }

  it('is reported when it is out of order', async () => {
    await put([[{ ...file, key: 'c' }, file, { ...file, key: 'd' }]]);
    expect(await kinds()).toContain('segment');
  });

  it('is reported when its pack does not have its chunk', async () => {
    const chunks = file.chunks?.map((chunk) => ({ ...chunk, offset: chunk.offset + 1 })) ?? [];
    await put([[{ ...file, chunks }]]);
    expect(await kinds(false)).toEqual(['file', 'file']);
  });

  it('is reported when its content does not match its hash, but only with readData', async () => {
    await put([[{ ...file, sha256: 'f'.repeat(64) }]]);
    expect(await kinds(false)).toEqual([]);
    expect(await kinds()).toEqual(['file']);
  });

  it('is reported when its chunks are in the wrong order, but only with readData', async () => {
    const [one, two] = [await stored(noise(3000, 1)), await stored(noise(4000, 2))];
    const chunks = [...two.chunks, ...one.chunks];
    await put([[{ ...file, size: 7000, chunks }]]);
    expect(await kinds(false)).toEqual([]);
    expect(await kinds()).toEqual(['file']);
  });
});

describe('content', () => {
  const files = Array.from({ length: 12 }, (_, n) => `f${String(n).padStart(2, '0')}`);
  /** Files whose content is wrong, each in its own way. */
  const wrong = () => files.map((key, n): ManifestEntry => ({ ...file, key, sha256: `${n % 10}`.repeat(64) }));

  it('is checked once however many backups have it, and however little the check remembers', async () => {
    const first = wrong();
    const { id } = await put([first]);
    // A changed file in each segment, so that no segment is shared.
    const second = first.map((entry, n) =>
      n % 6 ? entry : { ...entry, version: 2, previous: id, sha256: file.sha256 },
    );
    const { id: next } = await put([second.slice(0, 6), second.slice(6)] as ManifestEntry[][], { base: id });
    await put([second.slice(0, 6), [...second.slice(6), { ...file, key: 'z' }]] as ManifestEntry[][], { base: next });
    const found = await failures();
    expect(found.map(({ what }) => what)).toEqual(first.slice(0, 10).map(() => 'file'));
    const few = await findings(true, { maxRemembered: 1 });
    expect(few.filter(({ severity }) => severity === 'failure')).toHaveLength(first.length);
    expect(few).toEqual(expect.arrayContaining(found));
  });

  it('is checked although a base that cannot be read has it', async () => {
    const { id, segments } = await put([wrong()]);
    await alter(id, (segments[0]?.offset ?? 0) + 20);
    await put([[...wrong(), { ...file, key: 'z' }]], { base: id });
    expect(await kinds()).toEqual([
      'segment',
      ...wrong()
        .slice(0, 10)
        .map(() => 'file'),
    ]);
  });
});

describe('a pack that cannot be read', () => {
  const read = async (isBroken: (key: string) => boolean, readData = true) => {
    const { get } = vault.blobs;
    vault.blobs.get = (key, range) => (isBroken(key) ? broken() : get(key, range));
    const found = await failures(readData);
    return found.map(({ what, detail }) => `${what}: ${detail}`);
  };

  it('is reported as unreadable, with its files, not as damaged', async () => {
    await put([[file]]);
    const pack = file.chunks?.[0]?.pack;
    expect(await read((key) => key.startsWith('packs/'))).toEqual([
      `file: its content was not checked: ${pack} cannot be read`,
      'pack-footer: it cannot be read (EIO); backed-up files need 1 chunk of it',
    ]);
  });

  it('is reported as unreadable when only its slots cannot be read', async () => {
    await put([[file]]);
    let reads = 0;
    // The trailer and the footer come first.
    expect(await read((key) => key.startsWith('packs/') && ++reads > 2)).toEqual([
      'file: it cannot be read (EIO)',
      'pack-slot: it cannot be read (EIO)',
    ]);
  });

  it('is reported when the records of its chunks cannot be found', async () => {
    await put([[file]]);
    vault.chunks.find = broken;
    expect(await read(() => false)).toEqual(['chunk-index: the records of its chunks: it cannot be read (EIO)']);
  });

  it('is reported when the version before an entry cannot be read', async () => {
    const { id } = await put([[file]]);
    await put([[{ ...file, version: 2, previous: id }]], { base: id });
    const { get } = vault.blobs;
    let reads = 0;
    // The first reads check that manifest itself.
    vault.blobs.get = (key, range) => (key === metadataKey(account, id) && ++reads > 5 ? broken() : get(key, range));
    expect((await failures(false)).map(({ detail }) => detail)).toEqual([
      `the version before it, in ${id}: it cannot be read (EIO)`,
    ]);
  });

  it('is reported as unreadable when it is a zip', async () => {
    log.exports.set(`exports/${account}/dow_1`, 100);
    vault.blobs.size = broken;
    expect((await failures()).filter(({ what }) => what === 'export')).toEqual([
      expect.objectContaining({ detail: 'it cannot be read (EIO)' }),
    ]);
  });
});

describe('a pack', () => {
  /** Puts a pack whose footer gives its chunk a wrong id. */
  async function putMislabelled(): Promise<void> {
    const pack = 'pak_00000000000000000000000009';
    const lock = lockPack(keys, account, pack);
    const slot = Buffer.concat(encryptSlot(lock, 0, noise(100)));
    const footer = encryptFooter(lock, [{ stored: slot.length, chunks: [{ id: '0'.repeat(40), length: 100 }] }]);
    await vault.blobs.put(packBlobKey(account, pack), Buffer.concat([slot, footer]));
  }

  it('is reported when a chunk has a wrong id, but only with readData', async () => {
    await putMislabelled();
    expect(await kinds(false)).toEqual([]);
    expect(await kinds()).toEqual(['pack-slot']);
  });

  it('gives an info when it is unused, unless an open run may still name it', async () => {
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
    await vault.blobs.put(blob, encryptPieces(keys.exports, blob, 0, content, randomBytes));
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

  it('is reported when a byte has changed, but only with readData', async () => {
    const stored = (await vault.blobs.get(blob)) ?? new Uint8Array();
    await vault.blobs.put(blob, flipped(stored, 2_000_000));
    expect(await kinds(false)).toEqual([]);
    expect(await kinds()).toEqual(['export']);
  });

  it('gives no failure on AWS, where it is not encrypted', async () => {
    await vault.blobs.put(blob, content);
    expect(await failures()).toEqual([]);
  });
});
