import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Change, writeManifest } from '../../vault/manifest.ts';
import { holdsPath, isFolderToo, selectEntries } from '../../vault/selection.ts';
import { changesOf, collect, emptied, found, impliedBy, memoryVault } from './vault-fixture.ts';

const run = { runId: 'run_1', at: '2026-02-01T00:00:00.000Z' };

async function vaultWith(keys: string[], deleted: string[] = []) {
  const vault = memoryVault();
  const { root: base } = await writeManifest({
    ...vault,
    ...run,
    changes: changesOf([
      ...[...keys, ...deleted].map((key): Change => ({ put: found(key) })),
      ...impliedBy([...keys, ...deleted]),
    ]),
  });
  const { root } = await writeManifest({
    ...vault,
    ...run,
    base,
    changes: changesOf([...deleted, ...emptied(keys, deleted)].map((key) => ({ delete: key }))),
  });
  return { vault, root };
}

describe('selecting by path', () => {
  it('selects the entries at and below the paths, each once, as a naive model does', async () => {
    const part = fc.constantFrom('a', 'b', '!', '', 'a.b', 'é');
    const key = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const path = fc.oneof(
      key,
      key.map((name) => `${name}/`),
      fc.constant(''),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          key.filter((name) => name !== ''),
          { maxLength: 20 },
        ),
        fc.array(path, { minLength: 1, maxLength: 4 }),
        async (names, paths) => {
          const { vault, root } = await vaultWith(names);
          const wanted = paths.map((name) => {
            const isNameless = /(^|\/)\/$/.test(name) && names.some((other) => other.startsWith(name));
            return isNameless ? name.slice(0, -1) : name === '' ? '/all/' : name.replace(/\/+$/, '') || '/all/';
          });
          const isAt = (name: string, chosen: string) =>
            chosen === '/all/' || (name === chosen && !name.endsWith('/')) || name.startsWith(`${chosen}/`);
          const expected = names.filter((name) => wanted.some((chosen) => isAt(name, chosen)));
          const taken = (await collect(selectEntries(vault, root, paths))).map((entry) => entry.key);
          expect(taken.toSorted()).toEqual(expected.toSorted());
          for (const [index, key] of taken.entries()) {
            const rest = await collect(selectEntries(vault, root, paths, key));
            expect(rest.map((entry) => entry.key)).toEqual(taken.slice(index + 1));
          }
          for (const [index, one] of wanted.entries()) {
            const has = one === '/all/' || names.some((name) => isAt(name, one));
            expect(await holdsPath(vault, root, paths[index] ?? '')).toBe(has);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('leaves out deleted entries', async () => {
    const { vault, root } = await vaultWith(['a/x', 'b'], ['a/y', 'gone/z', 'c']);
    expect((await collect(selectEntries(vault, root, ['']))).map(({ key }) => key)).toEqual(['a/x', 'b']);
    expect(await Promise.all(['a', 'a/y', 'gone', 'c', 'b/'].map((path) => holdsPath(vault, root, path)))).toEqual([
      true,
      false,
      false,
      false,
      true,
    ]);
  });

  it('yields a folder before its entries, and knows files with entries below them', async () => {
    const { vault, root } = await vaultWith(['d/', 'd/a', 'd/e/', 'd/e/f', 'o', 'o/p', 'o!']);
    const all = await collect(selectEntries(vault, root, ['d', 'd/e', 'o']));
    expect(all.map(({ key }) => key)).toEqual(['d/', 'd/a', 'd/e/', 'd/e/f', 'o', 'o/p']);
    const both = await Promise.all(all.map(async (entry) => [entry.key, await isFolderToo(vault, root, entry)]));
    expect(both.filter(([, is]) => is).map(([key]) => key)).toEqual(['o']);
  });
});
