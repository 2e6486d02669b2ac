import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys } from '../../domain/entry.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { type Change, writeManifest } from '../../vault/manifest.ts';
import { entries, findEntry, listFolder } from '../../vault/reader.ts';
import type { ManifestRoot } from '../../vault/root.ts';
import { changesOf, collect, found, memoryVault } from './vault-fixture.ts';

const run = { runId: 'run_1', at: '2026-02-01T00:00:00.000Z' };

async function vaultWith(present: string[], deleted: string[] = []) {
  const vault = memoryVault();
  const put = (key: string): Change => ({ put: found(key) });
  let { root } = await writeManifest({ ...vault, ...run, changes: changesOf([...present, ...deleted].map(put)) });
  if (deleted.length > 0)
    ({ root } = await writeManifest({
      ...vault,
      ...run,
      base: root,
      changes: changesOf(deleted.map((key) => ({ delete: key }))),
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
          const folders = new Set([
            '',
            ...names.flatMap(([name]) => [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index + 1))),
          ]);
          for (const folder of folders) {
            const expected = naive(live ?? [], dead ?? [], folder, { recursive, includeDeleted });
            expect(await keysOf(listFolder(vault, root, folder, { recursive, includeDeleted }))).toEqual(expected);
            const paged: string[] = [];
            for (;;) {
              const after = paged.at(-1);
              const page = await keysOf(
                listFolder(vault, root, folder, {
                  recursive,
                  includeDeleted,
                  limit,
                  ...(after === undefined ? {} : { after }),
                }),
              );
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
    const deep = Array.from({ length: 20_000 }, (_, n) => `deep/${n % 7}/${n}`);
    const { vault, root } = await vaultWith([...deep, 'a', 'z']);
    expect(root.segments.length).toBeGreaterThan(10);
    vault.blobs.gets.length = 0;
    expect(await keysOf(listFolder({ ...vault }, root, ''))).toEqual(['a', 'deep/', 'z']);
    expect(vault.blobs.gets.length).toBeLessThanOrEqual(3);
    vault.blobs.gets.length = 0;
    expect(
      await keysOf(listFolder({ ...vault }, root, '', { recursive: true, after: 'deep/3/', limit: 5 })),
    ).toHaveLength(5);
    expect(vault.blobs.gets.length).toBeLessThanOrEqual(2);
  });

  it('yields entries by prefix, from, after and limit as a filter would', async () => {
    const names = Array.from({ length: 4000 }, (_, n) => `p${n % 13}/${n}`);
    const { vault, root } = await vaultWith(names, ['p1/gone', 'q']);
    const order = [...names].sort(compareKeys);
    const bound = fc.option(
      fc.oneof(fc.constantFrom(...names, 'p1/gone', '', '~', 'p1'), fc.string({ maxLength: 3 })),
      { nil: undefined },
    );
    const query = fc.record({
      prefix: fc.constantFrom('', 'p1', 'p1/', 'p9/', 'x', 'a'),
      from: bound,
      after: bound,
      limit: fc.option(fc.nat(2000), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(query, async ({ prefix, from, after, limit }) => {
        const given = {
          prefix,
          ...(from === undefined ? {} : { from }),
          ...(after === undefined ? {} : { after }),
          ...(limit === undefined ? {} : { limit }),
        };
        const expected = order
          .filter(
            (name) =>
              name.startsWith(prefix) &&
              compareKeys(name, from ?? '') >= 0 &&
              (after === undefined || compareKeys(name, after) > 0),
          )
          .slice(0, limit ?? Number.POSITIVE_INFINITY);
        expect(await keysOf(entries(vault, root, given))).toEqual(expected);
      }),
      { numRuns: 60 },
    );
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
    expect(vault.blobs.gets.length).toBe(1);
  });
});
