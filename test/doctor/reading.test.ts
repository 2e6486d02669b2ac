import fc from 'fast-check';
import { expect, it } from 'vitest';
import { countUnused, pairs } from '../../doctor/reading.ts';
import { compareKeys } from '../../domain/entry.ts';
import { collect } from '../vault/vault-fixture.ts';

it('pairs the items of two ordered streams that have the same key, and holds one item of each', async () => {
  const keys = fc.uniqueArray(fc.constantFrom('a', 'a/', 'a/b', 'a0', 'b', 'é', '\uffee', '\u{1f389}'));
  await fc.assert(
    fc.asyncProperty(keys, keys, async (lefts, rights) => {
      let taken = 0;
      async function* stream(of: string[]) {
        for (const key of of.toSorted(compareKeys)) {
          taken++;
          yield { key };
        }
      }
      let seen = 0;
      const found: (string | undefined)[][] = [];
      for await (const pair of pairs(stream(lefts), stream(rights))) {
        seen += pair.filter((item) => item !== undefined).length;
        expect(taken).toBeLessThanOrEqual(seen + 1);
        found.push(pair.map((item) => item?.key));
      }
      const all = [...new Set([...lefts, ...rights])].sort(compareKeys);
      const has = (side: string[], key: string) => (side.includes(key) ? key : undefined);
      expect(found).toEqual(all.map((key) => [has(lefts, key), has(rights, key)]));
    }),
  );
  expect(await collect(pairs((async function* () {})(), (async function* () {})()))).toEqual([]);
});

it('names the first five unused blobs, and counts all', () => {
  const unused = countUnused('pack');
  expect(unused.text()).toBeUndefined();
  for (const name of ['a', 'b', 'c', 'd', 'e']) unused.add(name, 2);
  expect(unused.text()).toBe('5 packs (10 bytes) belong to no backup: a, b, c, d, e');
  unused.add('f', 3);
  expect(unused.text()).toBe('6 packs (13 bytes) belong to no backup: a, b, c, d, e …');
});
