import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareEntries,
  compareKeys,
  comparePositions,
  type EntryPosition,
  impliedEntry,
  positionOf,
} from '../../domain/entry.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { type Change, writeManifest } from '../../vault/manifest.ts';
import { entries, entryStates, findEntry, listFolder, listTree } from '../../vault/reader.ts';
import type { ManifestRoot } from '../../vault/root.ts';
import { changesOf, collect, emptied, found, impliedBy, memoryVault } from './vault-fixture.ts';

const run = { runId: 'run_1', at: '2026-02-01T00:00:00.000Z' };

async function vaultWith(present: string[], deleted: string[] = []) {
  const vault = memoryVault();
  const put = (key: string): Change => ({ put: found(key) });
  const all = [...present, ...deleted];
  let { root } = await writeManifest({ ...vault, ...run, changes: changesOf([...all.map(put), ...impliedBy(all)]) });
  if (deleted.length > 0)
    ({ root } = await writeManifest({
      ...vault,
      ...run,
      base: root,
      changes: changesOf(
        [...deleted, ...emptied(present, deleted)].map((key): Change => {
          // A folder exists as long as something below it does.
          const isNeeded = key.endsWith('/') && present.some((other) => other.startsWith(key));
          return isNeeded ? { put: { ...impliedEntry(key), ...run } } : { delete: key };
        }),
      ),
    }));
  return { vault, root };
}

const keysOf = async (items: AsyncIterable<ManifestEntry>) => (await collect(items)).map((entry) => entry.key);

/** The entries of a folder, by a naive model. */
function naive(
  live: string[],
  dead: string[],
  folder: string,
  options: { recursive: boolean; includeDeleted: boolean },
): string[] {
  const shown = options.includeDeleted ? [...live, ...dead] : live;
  const below = shown.filter((key) => key.startsWith(folder) && key !== folder);
  const name = (key: string) => {
    const slash = key.indexOf('/', folder.length);
    return options.recursive || slash < 0 ? key : key.slice(0, slash + 1);
  };
  return [...new Set(below.map(name))].sort(compareKeys);
}

const part = fc.constantFrom('a', 'b', 'ab', '', '!', '0', 'é', '\udcff', '.', 'a.b');
const key = fc
  .tuple(fc.array(part, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([parts, folder]) => parts.join('/') + (folder ? '/' : ''))
  .filter((text) => text !== '');

describe('reader', () => {
  it('lists folders as a naive model does, page by page', async () => {
    const tree = fc.uniqueArray(fc.tuple(key, fc.boolean()), { maxLength: 25, selector: ([name]) => name });
    await fc.assert(
      fc.asyncProperty(
        tree,
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 1, max: 4 }),
        async (names, recursive, includeDeleted, limit) => {
          const [live, dead] = [true, false].map((alive) =>
            names.filter(([, is]) => is === alive).map(([name]) => name),
          );
          const { vault, root } = await vaultWith(live ?? [], dead ?? []);
          // A deleted folder with live entries is an implied one.
          const gone = (dead ?? []).filter(
            (name) => !name.endsWith('/') || !live?.some((other) => other.startsWith(name)),
          );
          const folders = new Set([
            '',
            ...names.flatMap(([name]) => [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index + 1))),
          ]);
          for (const folder of folders) {
            const expected = naive(live ?? [], gone, folder, { recursive, includeDeleted });
            const list = recursive ? listTree : listFolder;
            expect(await keysOf(list(vault, root, folder, { includeDeleted }))).toEqual(expected);
            const paged: string[] = [];
            for (;;) {
              const after = paged.at(-1);
              const options = { includeDeleted, ...(after === undefined ? {} : { after }) };
              const page: string[] = [];
              for await (const { key } of list(vault, root, folder, options)) if (page.push(key) >= limit) break;
              paged.push(...page);
              if (page.length < limit) break;
            }
            expect(paged).toEqual(expected);
          }
        },
      ),
      { numRuns: 80 },
    );
  });

  it('marks implied folders, and those that are deleted', async () => {
    const { vault, root } = await vaultWith(['here/', 'here/a', 's3/a/b', 's3/c', 'mixed/z'], ['gone/x/y', 'mixed/a']);
    const items = await collect(listFolder(vault, root, '', { includeDeleted: true }));
    expect(
      items.map(({ key: name, implied, deleted, kind }) => [name, kind, implied ?? false, deleted ?? false]),
    ).toEqual([
      ['gone/', 'folder', true, true],
      ['here/', 'folder', false, false],
      ['mixed/', 'folder', true, false],
      ['s3/', 'folder', true, false],
    ]);
  });

  it('skips deeper entries without reading them', async () => {
    const deep = Array.from({ length: 60_000 }, (_, n) => `deep/${n % 7}/${n}`);
    const { vault, root } = await vaultWith([...deep, 'a', 'z']);
    expect(root.nodes.length).toBeGreaterThan(1);
    vault.blobs.gets.length = 0;
    expect(await keysOf(listFolder({ ...vault }, root, ''))).toEqual(['a', 'deep/', 'z']);
    expect(vault.blobs.gets.length).toBeLessThanOrEqual(4);
    vault.blobs.gets.length = 0;
    const page: string[] = [];
    for await (const { key } of listTree({ ...vault }, root, '', { after: 'deep/3/' })) if (page.push(key) >= 5) break;
    expect(page[0]).toMatch(/^deep\/3\//);
    expect(vault.blobs.gets.length).toBeLessThanOrEqual(6);
  });

  it('reads no ranges of deleted entries alone, unless they are wanted', async () => {
    const gone = Array.from({ length: 30_000 }, (_, n) => `gone/${n % 7}/${n}`);
    const { vault, root } = await vaultWith(['a', 'z/b'], gone);
    for (const list of [listFolder, listTree]) {
      vault.blobs.gets.length = 0;
      expect(await keysOf(list({ ...vault }, root, ''))).toEqual(list === listTree ? ['a', 'z/b'] : ['a', 'z/']);
      expect(vault.blobs.gets.length).toBeLessThanOrEqual(4);
    }
    expect(await keysOf(listTree({ ...vault }, root, '', { includeDeleted: true }))).toHaveLength(30_002);
    expect(vault.blobs.gets.length).toBeGreaterThan(20);
  });

  it('yields entries between positions and after a key as a filter would', async () => {
    const names = Array.from({ length: 4000 }, (_, n) => `p${n % 13}/${n}`);
    const { vault, root } = await vaultWith(names, ['p1/gone', 'q']);
    const order = [...names, ...Array.from({ length: 13 }, (_, n) => `p${n}/`)].sort(compareEntries);
    const key = fc.oneof(fc.constantFrom(...names, 'p1/gone', 'p1/', 'p1'), fc.string({ maxLength: 3 }));
    const bound = fc.option(
      fc.oneof(
        key.map(positionOf),
        fc.constantFrom('p1/', 'p9/', 'x/').map((parent): EntryPosition => ({ parent, key: '' })),
      ),
      { nil: undefined },
    );
    const query = fc.record({ from: bound, to: bound, after: fc.option(key, { nil: undefined }) });
    await fc.assert(
      fc.asyncProperty(query, async ({ from, to, after }) => {
        const given = { ...(from && { from }), ...(to && { to }), ...(after !== undefined && { after }) };
        const expected = order.filter(
          (name) =>
            (!from || comparePositions(positionOf(name), from) >= 0) &&
            (!to || comparePositions(positionOf(name), to) < 0) &&
            (after === undefined || compareEntries(name, after) > 0),
        );
        expect(await keysOf(entries(vault, root, given))).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('gives the states of all entries after a position, and another revision to those in a lost pack', async () => {
    const vault = memoryVault();
    const chunk = (pack: string) => ({ pack, slot: 0, slotOffset: 0, slotLength: 9, offset: 0, length: 1 });
    const names = Array.from({ length: 3000 }, (_, n) => `f${String(n).padStart(5, '0')}`);
    const put = (key: string, n: number): Change => ({
      put: found(key, { size: 1, sha256: 'ab'.repeat(32), chunks: [chunk(n % 1000 === 7 ? 'pak_lost' : 'pak_live')] }),
    });
    const { root } = await writeManifest({ ...vault, ...run, changes: changesOf(names.map(put)) });
    const states = (await collect(entryStates(vault, root, positionOf('f00003'), new Set(['pak_lost'])))).flat();
    expect(states.map(({ key }) => key)).toEqual(names.slice(4));
    const changed = states.filter(({ revision }) => revision !== 'r1').map(({ key }) => key);
    expect(changed).toEqual(['f00007', 'f01007', 'f02007']);
  });

  it('finds exactly the requested key', async () => {
    const { vault, root } = await vaultWith(['a', 'b/', 'b/c', 'é', '\udc80'], ['x']);
    for (const name of ['a', 'b/', 'b/c', 'é', '\udc80']) expect((await findEntry(vault, root, name))?.key).toBe(name);
    expect(await findEntry(vault, root, 'x')).toMatchObject({ key: 'x', deleted: true });
    for (const name of ['', 'b', 'b/cc', 'zzz', '\udc81']) expect(await findEntry(vault, root, name)).toBeUndefined();
  });

  it('caches segments', async () => {
    const { vault, root } = await vaultWith(['a', 'b']);
    const again = async (context: typeof vault, from: ManifestRoot) =>
      Promise.all([findEntry(context, from, 'a'), findEntry(context, from, 'b')]);
    vault.blobs.gets.length = 0;
    await again(vault, root);
    await again(vault, root);
    // The node, then the segment.
    expect(vault.blobs.gets.length).toBe(2);
  });
});
