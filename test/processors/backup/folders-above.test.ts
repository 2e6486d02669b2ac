/** Runs of the steps between a listing and a manifest. Listings and restores need the folders of each entry. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SourceProblem, type SourceSession } from '../../../connectors/connector.ts';
import { compareEntries, compareKeys, type ListItem, parentOf, type SourceEntry } from '../../../domain/entry.ts';
import { makeComparer } from '../../../processors/backup/compare.ts';
import { listInOrder, listingStart } from '../../../processors/backup/list-in-order.ts';
import { storeFiles } from '../../../processors/backup/store-files.ts';
import { emptyList } from '../../../processors/backup/work.ts';
import type { FoundEntry } from '../../../vault/entry.ts';
import { type Change, writeManifest } from '../../../vault/manifest.ts';
import { changesOfPart } from '../../../vault/part.ts';
import { entries, entryStates, listTree } from '../../../vault/reader.ts';
import type { ManifestRoot } from '../../../vault/root.ts';
import { collect, memoryVault } from '../../vault/vault-fixture.ts';

/** Objects of a bucket. Those with a slash at the end are folders, or files if they have content. */
type Thing = { size: number; revision: string; fate: 'ok' | 'archived' | 'unreadable' | 'vanished' };
type Bucket = { [key: string]: Thing };

function sessionOf(bucket: Bucket): SourceSession {
  const unexpected = () => Promise.reject(new Error('not expected'));
  const items = Object.entries(bucket).map(([key, { size, revision, fate }]): ListItem => {
    const kind = key.endsWith('/') && size === 0 ? 'folder' : 'file';
    const entry: SourceEntry = { key, kind, size, modifiedAt: null, revision };
    const isRefused = fate === 'archived' && kind === 'file';
    return isRefused ? { type: 'failed', refusal: { key, code: fate, message: '' }, entry } : { type: 'entry', entry };
  });
  return {
    ...{ check: unexpected, close: unexpected },
    list: async () => ({ mode: 'full', items, page: null, since: null }),
    async *read(requests) {
      yield requests.map(({ entry: { key } }, index) => {
        const fate = bucket[key]?.fate;
        return fate === 'unreadable' || fate === 'vanished'
          ? { index, problem: new SourceProblem(fate, fate) }
          : { index, bytes: new Uint8Array(3), end: true };
      });
    },
    look: async () => undefined,
  };
}

const writer = {
  small: async (contents: Uint8Array[]) => contents.map(() => ({ size: 3, sha256: 'ab'.repeat(32), placements: [] })),
  stream: () => {
    throw new Error('no large files');
  },
};

async function backUp(
  vault: ReturnType<typeof memoryVault>,
  base: ManifestRoot | undefined,
  bucket: Bucket,
  n: number,
) {
  const session = sessionOf(bucket);
  const run = { runId: `run_${n}`, at: `2026-02-01T00:00:0${n}.000Z` };
  const list = emptyList();
  async function* nothing() {}
  const comparer = makeComparer(
    base ? entryStates({ ...vault }, base, null, new Set()) : nothing(),
    (work) => {
      for (const field of ['entries', 'deleted', 'failed', 'skipped'] as const)
        (list[field] as unknown[]).push(...(work[field] ?? []));
    },
    { unlisted: null },
  );
  const tools = { ...vault, folder: 'work/', page: 3, sortItems: 100 };
  for await (const { items, done } of listInOrder(session, 'any', listingStart, tools))
    await comparer.page(items, done);
  const fetched = await storeFiles(session, writer, list.entries, () => {});
  const found = fetched.stored.map(({ entry, file }): FoundEntry => ({ ...entry, ...(file && { ...file }), ...run }));
  const part = {
    ...list,
    entries: found as (FoundEntry & { version: number })[],
    deleted: [...list.deleted, ...fetched.vanished].sort(compareEntries),
  };
  async function* changes(): AsyncGenerator<Change[]> {
    yield changesOfPart(part);
  }
  return (await writeManifest({ ...vault, ...run, ...(base && { base }), changes: changes() })).root;
}

const part = fc.constantFrom('a', 'b', '!', '');
const key = fc
  .tuple(fc.array(part, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([parts, isFolder]) => parts.join('/') + (isFolder ? '/' : ''))
  .filter((text) => text !== '');
const thing = fc.record<Thing>({
  size: fc.constantFrom(0, 3),
  revision: fc.constantFrom('1', '2'),
  fate: fc.constantFrom('ok', 'ok', 'archived', 'unreadable', 'vanished'),
});

it('each live entry has live folders above it after any runs, and trees are those of a naive model', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.dictionary(key, thing, { maxKeys: 8 }), { minLength: 1, maxLength: 3 }),
      async (all) => {
        const vault = memoryVault();
        let root: ManifestRoot | undefined;
        for (const [n, bucket] of all.entries()) {
          root = await backUp(vault, root, bucket, n);
          const context = { ...vault };
          const held = await collect(entries(context, root, { includeDeleted: true }));
          const live = new Set(held.filter(({ deleted }) => !deleted).map((entry) => entry.key));
          const above = [...live].map(parentOf).filter((folder) => folder !== '');
          expect(above.filter((folder) => !live.has(folder))).toEqual([]);
          for (const includeDeleted of [false, true]) {
            const shown = held.filter(({ implied, deleted }) => !implied && (includeDeleted || !deleted));
            const tree = await collect(listTree(context, root, '', { includeDeleted }));
            expect(tree.map((entry) => entry.key)).toEqual(shown.map((entry) => entry.key).sort(compareKeys));
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});
