/** Listings of files, page by page. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../../domain/errors.ts';
import { type FilesPosition, fillPage, listFiles, type PageStep } from '../../../projections/files/listing.ts';
import { VaultDamage } from '../../../vault/damage.ts';
import { testPlatform } from '../../support/api.ts';
import { makeBackupChain } from '../../support/backups.ts';
import { found } from '../../vault/vault-fixture.ts';

describe('a listing', () => {
  it.each([false, true])('lists each object of a bucket once in pages of one (recursive: %s)', async (recursive) => {
    const platform = await testPlatform();
    const backupChain = makeBackupChain(platform, 'acc_ada');
    // A bucket may have an object, an object with that name as a folder, and objects below.
    await backupChain.backUp({ a: 'x', 'a/': { kind: 'file', size: 0 }, 'a/b': 'x', 'a!': 'x' });
    const ids = new Set<string>();
    const paths: string[] = [];
    for (let position: FilesPosition | null | undefined; position !== null; ) {
      const query = { path: 'a', recursive };
      const page = await listFiles(platform, 'acc_ada', query, { limit: 1, ...(position && { position }) });
      for (const { id, path } of page.items) {
        ids.add(id);
        paths.push(path);
      }
      position = page.next;
    }
    expect(paths).toEqual(['a', 'a', 'a/b']);
    expect(ids.size).toBe(3);
  });
});

describe('a page over all sources', () => {
  const step = fc.record({ isItem: fc.boolean(), work: fc.integer({ min: 1, max: 300 }), ms: fc.nat(6000) });
  const source = fc.record({ steps: fc.array(step, { maxLength: 6 }), isDamaged: fc.boolean() });

  it('ends when its work or time is used up or before damage, and no item is lost or repeated', async () => {
    const platform = await testPlatform();
    const manifests = await Promise.all([1, 2, 3].map(() => makeBackupChain(platform, 'acc_ada').backUp({ a: '' })));
    await fc.assert(
      fc.asyncProperty(
        fc.array(source, { minLength: 3, maxLength: 3 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 900 }),
        async (sources, limit, work) => {
          const keyOf = (number: number, i: number) => `${number}-${i}`;
          let done = { work: 0, ms: 0, last: 0, steps: 0 };
          const page = (position: FilesPosition | null | undefined) =>
            fillPage(
              platform,
              'acc_ada',
              {},
              { limit, work, ...(position && { position }) },
              async function* (_ctx, root, after): AsyncGenerator<PageStep> {
                const number = manifests.findIndex(({ manifest }) => manifest.id === root.ref.id);
                const { steps = [], isDamaged } = sources[number] ?? {};
                for (const [i, { isItem, work: one, ms }] of steps.entries()) {
                  const key = keyOf(number, i);
                  if (after !== null && key <= after) continue;
                  platform.clock.now += ms;
                  yield { passed: key, work: one, ...(isItem && { entry: { ...found(key), version: 1 } }) };
                  done = { work: done.work + one, ms: done.ms + ms, last: Math.max(one, ms), steps: done.steps + 1 };
                }
                if (isDamaged) throw new VaultDamage('manifest', 'gone');
              },
            );
          const paths: string[] = [];
          const reported: unknown[] = [];
          let pages = 0;
          for (let position: FilesPosition | null | undefined; position !== null; pages++) {
            done = { work: 0, ms: 0, last: 0, steps: 0 };
            try {
              const { items, next } = await page(position);
              paths.push(...items.map(({ path }) => path));
              expect(items.length).toBeLessThanOrEqual(limit);
              // Only the last step may exceed the limits.
              expect(done.steps < 2 || (done.work - done.last <= work && done.ms - done.last <= 10_000)).toBe(true);
              position = next;
            } catch (error) {
              if (!(error instanceof Problem)) throw error;
              reported.push(error.extra.runId);
              position = JSON.parse(String(error.extra.next));
            }
            expect(pages).toBeLessThan(100);
          }
          const expected = sources.flatMap(({ steps }, number) =>
            steps.flatMap(({ isItem }, i) => (isItem ? [keyOf(number, i)] : [])),
          );
          expect(paths.toSorted()).toEqual(expected.toSorted());
          const damaged = manifests.filter((_, number) => sources[number]?.isDamaged).map(({ runId }) => runId);
          expect(reported.toSorted()).toEqual(damaged.toSorted());
        },
      ),
      { numRuns: 100 },
    );
  });
});
