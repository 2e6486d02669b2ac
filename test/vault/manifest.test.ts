import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareEntries } from '../../domain/entry.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { type Change, type CommitPosition, writeManifest } from '../../vault/manifest.ts';
import { metadataKey, openMetadataWriter } from '../../vault/metadata.ts';
import { namesIn } from '../../vault/names.ts';
import { entries, findEntry, openManifest, openNames, openNode, versions } from '../../vault/reader.ts';
import { type ManifestRoot, writeRoot } from '../../vault/root.ts';
import { bordersOf, type SegmentRef, segmentCutter } from '../../vault/segment.ts';
import { changesOf, collect, flipped, found, keys, memoryVault, noise } from './vault-fixture.ts';

type Vault = ReturnType<typeof memoryVault>;
let runs = 0;
function write(vault: Vault, base: ManifestRoot | undefined, changes: Change[]) {
  const run = { runId: `run_${++runs}`, at: new Date(1.77e12 + runs).toISOString() };
  return writeManifest({ ...vault, ...run, ...(base ? { base } : {}), changes: changesOf(changes) });
}
const all = (vault: Vault, root: ManifestRoot, includeDeleted = true) =>
  collect(entries({ ...vault }, root, { includeDeleted }));
const many = (count: number) =>
  Array.from({ length: count }, (_, n): Change => ({ put: found(`folder-${n % 97}/file-${n}`, { size: n }) }));
const { endsSegment, endsNode } = bordersOf(keys);

async function segmentsOf(vault: Vault, root: ManifestRoot): Promise<SegmentRef[]> {
  const nodes = await Promise.all(root.nodes.map((node) => openNode({ ...vault }, node)));
  return nodes.flatMap((node) => node.segments);
}

/** The names of each node equal the entries of its segments. */
async function expectNames(vault: Vault, root: ManifestRoot): Promise<void> {
  const context = { ...vault };
  const names: unknown[] = [];
  for (const node of root.nodes) for await (const block of openNames(context, [node])) names.push(...namesIn(block));
  const wanted = (await all(vault, root)).map(({ key, deleted = false }) => ({ key, deleted }));
  expect(names).toEqual(wanted);
}

describe('manifest', () => {
  it('keeps all entries in one blob, in segments of about a thousand', async () => {
    const vault = memoryVault();
    const written = await write(vault, undefined, many(10_000));
    expect(vault.blobs.puts).toEqual([metadataKey(vault.account, written.manifest.id)]);
    expect(written.bytesStored).toBe(vault.blobs.stored.get(vault.blobs.puts[0] ?? '')?.length);
    const segments = await segmentsOf(vault, written.root);
    expect(segments.length).toBeGreaterThan(4);
    expect(segments.length).toBeLessThan(30);
    const root = await openManifest(vault, written.manifest);
    expect(root).toEqual(written.root);
    expect(written.totals).toEqual({ files: 10_000, folders: 0, links: 0, bytes: 49_995_000 });
    const keysRead = (await all(vault, root)).map((entry) => entry.key);
    expect(keysRead).toEqual(
      many(10_000)
        .map((change) => ('put' in change ? change.put.key : ''))
        .sort(compareEntries),
    );
    await expectNames(vault, root);
  });

  it('does not count implied folders', async () => {
    const vault = memoryVault();
    const { root } = await write(vault, undefined, [{ put: found('a/', { implied: true }) }, { put: found('a/b/') }]);
    expect(root.totals).toEqual({ files: 0, folders: 1, links: 0, bytes: 0 });
    expect((await segmentsOf(vault, root))[0]).toMatchObject({ count: 2, live: 2 });
  });

  it('makes an empty manifest without changes', async () => {
    const vault = memoryVault();
    const { manifest, totals } = await write(vault, undefined, []);
    expect(totals).toEqual({ files: 0, folders: 0, links: 0, bytes: 0 });
    const root = await openManifest(vault, manifest);
    expect(await all(vault, root)).toEqual([]);
    expect(await findEntry(vault, root, 'a')).toBeUndefined();
  });

  it('reads and writes only the segment and the node of an edit, and keeps the names', async () => {
    const vault = memoryVault();
    const { root } = await write(vault, undefined, many(40_000));
    const before = await segmentsOf(vault, root);
    expect(root.nodes.length).toBeGreaterThan(1);
    vault.blobs.gets.length = 0;
    const edited = await write(vault, root, [{ put: found('folder-5/file-102', { size: 1, revision: 'r2' }) }]);
    expect(vault.blobs.gets.length).toBe(2);
    const after = await segmentsOf(vault, edited.root);
    expect(after.length).toBe(before.length);
    expect(after.filter((segment) => segment.pack === edited.manifest.id).length).toBe(1);
    expect(edited.root.nodes.filter((node) => node.pack === edited.manifest.id).length).toBe(1);
    const names = async (of: ManifestRoot) =>
      Promise.all(of.nodes.map(async (node) => (await openNode({ ...vault }, node)).names));
    expect(await names(edited.root)).toEqual(await names(root));
    expect(await findEntry(vault, edited.root, 'folder-5/file-102')).toMatchObject({
      version: 2,
      previous: root.ref.id,
      size: 1,
    });
    expect(await findEntry(vault, edited.root, 'folder-5/file-5')).toMatchObject({ version: 1 });
  });

  it('reads the names of a node instead of its segments when a file is added, or the segments if the names are damaged', async () => {
    const vault = memoryVault();
    const { root } = await write(vault, undefined, many(10_000));
    vault.blobs.gets.length = 0;
    const added = await write(vault, root, [{ put: found('folder-5/new') }]);
    expect(vault.blobs.gets.length).toBe(3);
    await expectNames(vault, added.root);
    const node = await openNode({ ...vault }, root.nodes[0] as ManifestRoot['nodes'][number]);
    const key = metadataKey(vault.account, node.names.pack);
    const bytes = vault.blobs.stored.get(key) ?? new Uint8Array();
    vault.blobs.stored.set(key, flipped(bytes, node.names.offset + 30));
    const again = await write(vault, root, [{ put: found('!first') }]);
    await expectNames(vault, again.root);
  });

  it('writes nothing when no change has an effect', async () => {
    const vault = memoryVault();
    const { root } = await write(vault, undefined, many(3000));
    const [first] = many(1);
    for (const changes of [[], many(3000), [{ delete: 'not there' }], first ? [first] : []]) {
      const same = await write(vault, root, changes);
      expect([same.changed, same.manifest, same.bytesStored]).toEqual([false, root.ref, 0]);
    }
    expect(vault.blobs.puts.length).toBe(1);
  });

  it('adds a deleted entry again, also when it is the same', async () => {
    const vault = memoryVault();
    const put = { put: found('empty/') };
    const { root } = await write(vault, undefined, [put]);
    const gone = await write(vault, root, [{ delete: 'empty/' }]);
    expect(gone.totals.folders).toBe(0);
    const back = await write(vault, gone.root, [put]);
    expect(back.totals.folders).toBe(1);
    expect(await findEntry(vault, back.root, 'empty/')).toEqual({ ...put.put, version: 3, previous: gone.root.ref.id });
  });

  it('applies changes at segment borders and beyond both ends', async () => {
    const vault = memoryVault();
    const { root } = await write(vault, undefined, many(5000));
    const before = await segmentsOf(vault, root);
    const ends = [...new Set(before.flatMap(({ first, last }) => [first, last]))];
    const fresh = ends.map((key) => `${key}+`);
    const changes = ['!', '~', ...ends, ...fresh].map((key): Change => ({ put: found(key, { revision: 'edge' }) }));
    const { root: next } = await write(vault, root, changes);
    const read = await all(vault, next);
    expect(read.map((entry) => entry.key)).toEqual([...new Set(read.map((entry) => entry.key))].sort(compareEntries));
    expect(read.length).toBe(5000 + 2 + fresh.length);
    expect(read.filter((entry) => entry.revision === 'edge').length).toBe(changes.length);
    expect(read.filter((entry) => entry.version === 2).map((entry) => entry.key)).toEqual(ends);
    await expectNames(vault, next);
    const last = before[1]?.last ?? '';
    const { root: one } = await write(vault, root, [{ put: found(last, { revision: 'edge' }) }]);
    expect((await segmentsOf(vault, one)).map((segment) => segment.pack === one.ref.id)).toEqual(
      before.map((_, i) => i === 1),
    );
    expect((await findEntry(vault, one, last))?.version).toBe(2);
  });

  it('refuses changes that are out of order, because merging would lose some', async () => {
    const changes = async function* (): AsyncGenerator<Change[]> {
      yield [{ put: found('b') }];
      yield [{ put: found('a') }];
    };
    await expect(writeManifest({ ...memoryVault(), runId: 'r', at: 'now', changes: changes() })).rejects.toThrow(
      /in the order of entries/,
    );
  });

  it('keeps the history of a key through edits and deletions', async () => {
    const vault = memoryVault();
    const sha256 = 'ab'.repeat(32);
    const steps: Change[] = [
      { put: found('a\udc80', { size: 1, revision: 'r1', sha256 }) },
      { put: found('a\udc80', { size: 2, revision: 'r2', sha256 }) },
      { delete: 'a\udc80' },
      { put: found('a\udc80', { size: 4, revision: 'r4', sha256 }) },
    ];
    const roots: ManifestRoot[] = [];
    for (const step of steps) {
      roots.push((await write(vault, roots.at(-1), [step])).root);
      roots.push(
        (await write(vault, roots.at(-1), [{ put: found('other', { revision: String(roots.length) }) }])).root,
      );
    }
    const last = roots.at(-1);
    if (!last) throw new Error('no root');
    const locate = async (id: string) => roots.find((root) => root.ref.id === id)?.ref;
    const history = await collect(versions(vault, last, 'a\udc80', locate));
    expect(
      history.map(({ version, size, deleted, sha256: hash }) => [version, size, deleted ?? false, hash !== undefined]),
    ).toEqual([
      [4, 4, false, true],
      [3, 2, true, false],
      [2, 2, false, true],
      [1, 1, false, true],
    ]);
    expect(history[1]?.runId).toBe(roots[4]?.runId);
    expect(last.totals).toEqual({ files: 2, folders: 0, links: 0, bytes: 4 });
    expect(roots[5]?.totals).toEqual({ files: 1, folders: 0, links: 0, bytes: 0 });
  });

  it('equals a naive model under any sequence of changes', async () => {
    const key = fc.oneof(
      fc.nat(6000).map((n) => `folder-${n % 97}/file-${n}`),
      fc.constantFrom('!first', '~last', 'zz\udcff', '~~/'),
    );
    const change = fc.record({ key, size: fc.nat(3), remove: fc.boolean() });
    const step = fc.uniqueArray(change, { maxLength: 40, selector: (one) => one.key });
    const start = { vault: memoryVault('model'), base: many(6000) };
    const first = await write(start.vault, undefined, start.base);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async (steps) => {
        const { vault } = start;
        const model = new Map((await all(vault, first.root)).map((entry) => [entry.key, entry]));
        let { root } = first;
        for (const changes of steps) {
          const { manifest, root: next } = await write(
            vault,
            root,
            changes.map(({ key: k, size, remove }) =>
              remove ? { delete: k } : { put: found(k, { size, revision: `r${size}` }) },
            ),
          );
          for (const { key: k, size, remove } of changes) {
            const old = model.get(k);
            const history = { version: (old?.version ?? 0) + 1, ...(old ? { previous: root.ref.id } : {}) };
            if (remove && old && !old.deleted)
              model.set(k, { ...old, ...history, runId: next.runId, at: next.at, deleted: true });
            const same = old && !old.deleted && old.size === size && old.revision === `r${size}`;
            if (!remove && !same) model.set(k, { ...found(k, { size, revision: `r${size}` }), ...history });
          }
          const expected = [...model.values()].sort((a, b) => compareEntries(a.key, b.key));
          root = await openManifest(vault, manifest);
          expect(await all(vault, root)).toEqual(expected);
          await expectNames(vault, root);
          const alive = expected.filter((entry) => !entry.deleted);
          expect(root.totals.files + root.totals.folders).toBe(alive.length);
          expect(root.totals.bytes).toBe(alive.reduce((sum, entry) => sum + entry.size, 0));
        }
      }),
      { numRuns: 12 },
    );
  });

  it('is stored in several packs when it is large, and another attempt goes on after the last full pack', async () => {
    const vault = memoryVault();
    const count = 160_000;
    const hashes = Buffer.from(noise(64 * count));
    const hash = (at: number) => hashes.toString('hex', 32 * at, 32 * at + 32);
    let given = 0;
    const changes = async function* (): AsyncGenerator<Change[]> {
      for (given = 0; given < count; given += 1000) {
        yield Array.from({ length: 1000 }, (_, i): Change => {
          const revision = `${given + i}-${hash(count + given + i)}`;
          return {
            put: found(`file-${String(given + i).padStart(7, '0')}`, { size: 1, sha256: hash(given + i), revision }),
          };
        });
      }
    };
    const run = { runId: 'run_big', at: '2026-01-01T00:00:00.000Z' };
    const positions: CommitPosition[] = [];
    const notes: string[] = [];
    const options = { ...vault, ...run, changes: changes() };
    const crashing = writeManifest({
      ...options,
      note: async (pack, state, bytes) =>
        void notes.push(`${state} ${bytes === vault.blobs.stored.get(metadataKey(vault.account, pack))?.length}`),
      checkpoint: async (position) => {
        positions.push(structuredClone(position));
        throw new Error('the function was stopped');
      },
    });
    await expect(crashing).rejects.toThrow('was stopped');
    expect(given).toBeLessThan(count);
    expect(notes).toEqual(['uploading false', 'live true']);
    const [resume] = positions;
    const stored = vault.blobs.puts.length;
    const written = await writeManifest({ ...options, changes: changes(), resume });
    expect(vault.blobs.puts.length).toBeGreaterThan(stored);
    expect(written.root.nodes.slice(0, resume?.nodes.length)).toEqual(resume?.nodes);
    expect(written.totals.files).toBe(count);
    const root = await openManifest({ ...vault }, written.manifest);
    expect((await all(vault, root)).length).toBe(count);
    expect(await findEntry(vault, root, 'file-0123456')).toMatchObject({ revision: expect.stringMatching(/^123456-/) });
    await expectNames(vault, root);
  });

  it('notices each flipped byte, a truncation, a wrong manifest and a missing one', async () => {
    const vault = memoryVault();
    const { root } = await write(vault, undefined, many(5));
    const key = metadataKey(vault.account, root.ref.id);
    const bytes = vault.blobs.stored.get(key) ?? new Uint8Array();
    const readAll = async () => {
      const opened = await openManifest({ ...vault }, root.ref);
      await collect(openNames({ ...vault }, opened.nodes));
      return all(vault, opened);
    };
    for (let at = 0; at < bytes.length; at++) {
      vault.blobs.stored.set(key, flipped(bytes, at));
      await expect(readAll().then((read) => `byte ${at}: ${read.length}`)).rejects.toThrow(VaultDamage);
      vault.blobs.stored.set(key, bytes.subarray(0, at));
      await expect(readAll().then((read) => `cut ${at}: ${read.length}`)).rejects.toThrow(VaultDamage);
    }
    vault.blobs.stored.set(key, bytes);
    await expect(
      openManifest({ ...vault }, { ...root.ref, hash: root.ref.hash.replace(/^./, (c) => (c === '0' ? '1' : '0')) }),
    ).rejects.toThrow(/not the manifest that the log recorded/);
    const other = await write(vault, undefined, many(6));
    vault.blobs.stored.set(
      key,
      vault.blobs.stored.get(metadataKey(vault.account, other.manifest.id)) ?? new Uint8Array(),
    );
    await expect(readAll()).rejects.toThrow(VaultDamage);
    vault.blobs.stored.delete(key);
    await expect(readAll()).rejects.toThrow(VaultDamage);
  });
});

describe('root', () => {
  it('may be larger than the first read', async () => {
    const vault = memoryVault();
    const totals = { files: 1, folders: 2, links: 3, bytes: 4 };
    const hex = Buffer.from(noise(32 * 3000)).toString('hex');
    const nodes = Array.from({ length: 3000 }, (_, n) => {
      const location = { pack: `man_${n % 9}`, offset: n, length: n + 1, sha256: hex.slice(64 * n, 64 * n + 64) };
      return { first: `a${n}\udc80`, last: `b${n}`, ...location, count: 7, live: 6, totals };
    });
    const writer = openMetadataWriter(vault, async () => {});
    const root = await writeRoot(writer, { runId: 'run_1', at: 'now', base: 'man_0', nodes });
    expect(writer.bytesStored()).toBeGreaterThan(64 * 1024);
    expect(await openManifest(vault, root.ref)).toEqual(root);
    expect(root.totals).toEqual({ files: 3000, folders: 6000, links: 9000, bytes: 12_000 });
  });
});

describe('segments', () => {
  const entry = (n: number) => ({ ...found(`k${String(n).padStart(6, '0')}`), version: 1 });

  it('end at border keys, and are halved without one', () => {
    const lengths = (count: number, border: (key: string) => boolean) => {
      const cutter = segmentCutter(border);
      for (let n = 0; n < count; n++) cutter.add(entry(n));
      return cutter.end().map((part) => part.length);
    };
    expect(lengths(25, (key) => key.endsWith('9'))).toEqual([10, 10, 5]);
    expect(lengths(9000, () => false)).toEqual([2048, 2048, 2048, 2856]);
    expect(lengths(0, () => false)).toEqual([]);
  });

  it('have a border at about one key in a thousand', () => {
    const borders = Array.from({ length: 200_000 }, (_, n) => `some/path/${n}`).filter(endsSegment).length;
    expect(borders).toBeGreaterThan(140);
    expect(borders).toBeLessThan(260);
    const keysOfNodes = Array.from({ length: 2_000_000 }, (_, n) => `some/path/${n}`).filter(endsNode);
    expect(keysOfNodes.length).toBeGreaterThan(70);
    expect(keysOfNodes.length).toBeLessThan(180);
    expect(keysOfNodes.every(endsSegment)).toBe(true);
  });

  it('stay as they are when entries are added after the last border', async () => {
    const names = Array.from({ length: 9000 }, (_, n) => `n${String(n).padStart(6, '0')}`);
    const put = (name: string): Change => ({ put: found(name) });
    const border = names.findLastIndex(endsSegment);
    for (const [count, rewritten] of [
      [border + 1, 0],
      [border, 1],
    ] as const) {
      const vault = memoryVault();
      const { root } = await write(vault, undefined, names.slice(0, count).map(put));
      const grown = await write(vault, root, [put('z')]);
      const kept = (await segmentsOf(vault, grown.root)).filter((segment) => segment.pack === root.ref.id);
      expect(kept.length).toBe((await segmentsOf(vault, root)).length - rewritten);
      expect((await all(vault, grown.root)).length).toBe(count + 1);
    }
  });

  it('stay halved when entries are added without a border', async () => {
    const vault = memoryVault();
    const names = Array.from({ length: 7000 }, (_, n) => `n${String(n).padStart(6, '0')}`).filter(
      (name) => !endsSegment(name),
    );
    const put = (name: string): Change => ({ put: found(name) });
    const { root } = await write(vault, undefined, names.map(put));
    const grown = await write(vault, root, [put(`${names.find((name) => !endsSegment(`${name}x`))}x`)]);
    const segments = await segmentsOf(vault, grown.root);
    expect(segments.filter((segment) => segment.pack === grown.manifest.id).length).toBe(1);
    expect((await all(vault, grown.root)).length).toBe(names.length + 1);
  });
});
