import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys, type ListItem } from '../../../domain/entry.ts';
import { makeComparer } from '../../../processors/backup/compare.ts';
import { emptyWork, type Work } from '../../../processors/backup/work.ts';
import type { ManifestEntry } from '../../../vault/entry.ts';

type Kind = 'file' | 'folder' | 'link';

function before(key: string, revision: string, kind: Kind): ManifestEntry {
  return { key, kind, size: 1, modifiedAt: null, revision, version: 1, runId: 'run_0', at: '2026-01-01T00:00:00.000Z' };
}

function listed(key: string, revision: string, kind: Kind): ListItem {
  return { type: 'entry', entry: { key, kind, size: 3, modifiedAt: null, revision } };
}

function refused(type: 'failed' | 'skipped', key: string): ListItem {
  return { type, refusal: { key, code: 'some', message: '' } };
}

const keyOf = (item: ListItem) => (item.type === 'entry' ? item.entry.key : item.refusal.key);

/** Compares in pages that end at `cuts`. With `resumed` each page gets a new comparer, as after a crash. */
async function compare(old: ManifestEntry[], items: ListItem[], cuts: number[] = [], resumed = false) {
  const work: Work = emptyWork();
  const add = (more: Partial<Work>) => {
    work.entries.push(...(more.entries ?? []));
    work.deleted.push(...(more.deleted ?? []));
    work.failed.push(...(more.failed ?? []));
    work.skipped.push(...(more.skipped ?? []));
  };
  async function* after(key: string | null): AsyncGenerator<ManifestEntry> {
    yield* old.filter((entry) => key === null || compareKeys(entry.key, key) > 0);
  }
  const total = { filesTotal: 0, filesUnchanged: 0, bytesTotal: 0 };
  const bounds = [0, ...cuts.toSorted((a, b) => a - b).map((cut) => Math.min(cut, items.length)), items.length];
  let comparer = makeComparer(after(null), add, { blind: null });
  let lastKey: string | null = null;
  for (let i = 1; i < bounds.length; i++) {
    const page = items.slice(bounds[i - 1], bounds[i]);
    await comparer.page(page, i === bounds.length - 1);
    const last = page.at(-1);
    lastKey = last ? keyOf(last) : lastKey;
    if (!resumed && i < bounds.length - 1) continue;
    for (const field of Object.keys(total) as (keyof typeof total)[]) total[field] += comparer.count[field];
    comparer = makeComparer(after(lastKey), add, { blind: comparer.blind() });
  }
  const { entries, deleted, failed, skipped } = work;
  const keys = (refusals: { key: string }[]) => refusals.map(({ key }) => key);
  return { entries: keys(entries), deleted, failed: keys(failed), skipped: keys(skipped), ...total };
}

/** The same result, by looking up every key. */
function compareByLookup(old: ManifestEntry[], items: ListItem[]) {
  const has = new Map(old.map((entry) => [entry.key, entry]));
  const lists = new Map(items.map((item) => [keyOf(item), item]));
  const blind = items.filter((item) => item.type === 'failed' && keyOf(item).endsWith('/')).map(keyOf);
  const isUnchanged = (item: ListItem) => {
    const was = has.get(keyOf(item));
    return item.type === 'entry' && was?.revision === item.entry.revision && was.kind === item.entry.kind;
  };
  const isDeleted = (key: string) => {
    const item = lists.get(key);
    return item ? item.type === 'skipped' : !blind.some((folder) => key.startsWith(folder));
  };
  const found = items.filter((item) => item.type === 'entry' && !isUnchanged(item));
  const ofType = (type: ListItem['type']) => items.filter((item) => item.type === type).map(keyOf);
  const files = items.filter((item) => item.type !== 'entry' || item.entry.kind !== 'folder');
  return {
    entries: found.map(keyOf),
    deleted: old.map(({ key }) => key).filter(isDeleted),
    failed: ofType('failed'),
    skipped: ofType('skipped'),
    filesTotal: files.length,
    filesUnchanged: files.filter(isUnchanged).length,
    bytesTotal: 3 * found.length,
  };
}

/** Names that sort before, at and after `/`, beyond ASCII and not UTF-8. */
const segment = fc.constantFrom('a', 'a!', 'a0', 'b', 'é', '😀', '\udcff');
const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const revision = fc.constantFrom('1', '2');
const thing = fc.oneof(
  fc.record({ key: path, revision, kind: fc.constantFrom<Kind>('file', 'link') }),
  fc.record({ key: path.map((key) => `${key}/`), revision, kind: fc.constant<Kind>('folder') }),
);
const fate = fc.constantFrom('there', 'there', 'there', 'gone', 'failed', 'skipped');

const world = fc
  .record({
    old: fc.uniqueArray(thing, { selector: ({ key }) => key, maxLength: 14 }),
    now: fc.uniqueArray(fc.record({ thing, fate }), { selector: ({ thing: { key } }) => key, maxLength: 14 }),
    same: fc.array(fc.boolean(), { minLength: 14, maxLength: 14 }),
  })
  .map(({ old, now, same }) => {
    // Half of the old entries still exist.
    const kept = old.filter((_, i) => same[i]).map((each) => ({ thing: each, fate: 'there' }));
    const all = [...now, ...kept.filter(({ thing: { key } }) => !now.some((each) => each.thing.key === key))];
    const unreadable = all
      .filter((each) => each.fate === 'failed' && each.thing.kind === 'folder')
      .map((each) => each.thing.key);
    const items = all.flatMap(({ thing: { key, revision: now, kind }, fate: what }): ListItem[] => {
      // Nothing is listed below a folder that cannot be listed.
      if (what === 'gone' || unreadable.some((folder) => key !== folder && key.startsWith(folder))) return [];
      return [what === 'there' ? listed(key, now, kind) : refused(what === 'failed' ? 'failed' : 'skipped', key)];
    });
    return {
      old: old.map((each) => before(each.key, each.revision, each.kind)).sort((a, b) => compareKeys(a.key, b.key)),
      items: items.sort((a, b) => compareKeys(keyOf(a), keyOf(b))),
    };
  });

describe('comparing a listing with the last manifest', () => {
  it('gives the same result as a look-up of every key, in pages of any size, resumed or not', async () => {
    await fc.assert(
      fc.asyncProperty(
        world,
        fc.array(fc.nat(20), { maxLength: 6 }),
        fc.boolean(),
        async ({ old, items }, cuts, resumed) => {
          expect(await compare(old, items, cuts, resumed)).toEqual(compareByLookup(old, items));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('fetches everything without a manifest, and nothing when nothing has changed', async () => {
    const items = [listed('a', '1', 'file'), listed('b/', '1', 'folder'), listed('b/c', '1', 'link')];
    expect(await compare([], items)).toMatchObject({
      entries: ['a', 'b/', 'b/c'],
      filesTotal: 2,
      filesUnchanged: 0,
      bytesTotal: 9,
    });
    const old = [before('a', '1', 'file'), before('b/', '1', 'folder'), before('b/c', '1', 'link')];
    expect(await compare(old, items)).toMatchObject({
      entries: [],
      deleted: [],
      filesTotal: 2,
      filesUnchanged: 2,
      bytesTotal: 0,
    });
  });

  it('keeps everything below a folder that cannot be listed, and continues after it', async () => {
    const old = ['a', 'b/', 'b/x', 'b/y/', 'b/y/z', 'b0', 'c'].map((key) =>
      before(key, '1', key.endsWith('/') ? 'folder' : 'file'),
    );
    const seen = await compare(
      old,
      [listed('a', '1', 'file'), refused('failed', 'b/'), listed('c', '2', 'file')],
      [2],
      true,
    );
    expect(seen).toMatchObject({ deleted: ['b0'], entries: ['c'], failed: ['b/'] });
  });

  it('keeps a file that cannot be read, and deletes one that became a socket', async () => {
    const old = [before('a', '1', 'file'), before('b', '1', 'file')];
    expect(await compare(old, [refused('failed', 'a'), refused('skipped', 'b')])).toMatchObject({
      deleted: ['b'],
      failed: ['a'],
      skipped: ['b'],
    });
  });

  it('counts an unreadable file as unchanged when the backup already has its revision', async () => {
    const old = ['a', 'b', 'c/', 'c/x'].map((key) => before(key, '1', 'file'));
    const cold = (key: string, revision: string): ListItem => ({
      type: 'failed',
      refusal: { key, code: 'archived', message: '' },
      entry: { key, kind: 'file', size: 3, modifiedAt: null, revision },
    });
    const seen = await compare(old, [cold('a', '1'), cold('b', '2'), cold('c/', '1')]);
    expect(seen).toMatchObject({ failed: ['b'], entries: [], deleted: ['c/x'], filesTotal: 3, filesUnchanged: 2 });
    expect(await compare([{ ...before('a', '1', 'file'), deleted: true }], [cold('a', '1')])).toMatchObject({
      failed: ['a'],
    });
  });

  it('notices a file that became a folder, and a link that became a file', async () => {
    const old = [before('a', '1', 'file'), before('b', '1', 'link')];
    const seen = await compare(old, [listed('a/', '1', 'folder'), listed('b', '1', 'file')]);
    expect(seen).toMatchObject({ deleted: ['a'], entries: ['a/', 'b'] });
  });
});
