import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareEntries,
  comparePositions,
  type EntryPosition,
  itemPosition,
  keyOf,
  type ListItem,
  positionOf,
} from '../../../domain/entry.ts';
import { makeComparer } from '../../../processors/backup/compare.ts';
import { emptyList } from '../../../processors/backup/work.ts';
import type { EntryState } from '../../../vault/entry.ts';
import type { BatchList } from '../../../vault/part.ts';
import { lostRevision } from '../../../vault/reader.ts';

type Kind = 'file' | 'folder' | 'link';

function before(key: string, revision: string, kind: Kind): EntryState {
  return { key, kind, revision };
}

function listed(key: string, revision: string, kind: Kind): ListItem {
  return { type: 'entry', entry: { key, kind, size: 3, modifiedAt: null, revision } };
}

function refused(type: 'failed' | 'skipped' | 'unlisted', key: string): ListItem {
  return { type, refusal: { key, code: 'some', message: '' } };
}

/** Compares in pages that end at `cuts`. With `resumed` each page gets a new comparer, as after a crash. */
async function compare(
  old: EntryState[],
  items: ListItem[],
  cuts: number[] = [],
  resumed = false,
  loaded = 3,
  room = 99,
) {
  const work: BatchList = emptyList();
  let added = 0;
  const add = (more: Partial<BatchList>) => {
    added++;
    work.entries.push(...(more.entries ?? []));
    work.deleted.push(...(more.deleted ?? []));
    work.failed.push(...(more.failed ?? []));
    work.skipped.push(...(more.skipped ?? []));
  };
  async function* after(last: EntryPosition | null): AsyncGenerator<EntryState[]> {
    const rest = old.filter(({ key }) => last === null || comparePositions(positionOf(key), last) > 0);
    for (let at = 0; at < rest.length; at += loaded) yield rest.slice(at, at + loaded);
  }
  const total = { filesTotal: 0, filesUnchanged: 0, bytesTotal: 0, filesLost: 0 };
  const bounds = [0, ...cuts.toSorted((a, b) => a - b).map((cut) => Math.min(cut, items.length)), items.length];
  const start = { last: null, unlisted: null };
  const isFull = () => added >= room;
  let comparer = makeComparer(after(null), add, { ...start, isFull });
  for (let i = 1; i < bounds.length; i++) {
    for (let page: ListItem[] | null = items.slice(bounds[i - 1], bounds[i]); page; ) {
      page = await comparer.page(page, i === bounds.length - 1);
      expect(added).toBeLessThanOrEqual(room);
      added = 0;
      if (!resumed && (page || i < bounds.length - 1)) continue;
      for (const field of Object.keys(total) as (keyof typeof total)[]) total[field] += comparer.count[field];
      const last = comparer.last();
      comparer = makeComparer(after(last), add, { last, unlisted: comparer.unlisted(), isFull });
    }
  }
  const { entries, deleted, failed, skipped } = work;
  const keys = (refusals: { key: string }[]) => refusals.map(({ key }) => key);
  return { entries: keys(entries), deleted, failed: keys(failed), skipped: keys(skipped), ...total };
}

/** The same result, by looking up every key. */
function compareByLookup(old: EntryState[], items: ListItem[]) {
  const has = new Map(old.map((entry) => [entry.key, entry]));
  const unlisted = items.filter((item) => item.type === 'unlisted').map(keyOf);
  const lists = new Map(items.filter((item) => item.type !== 'unlisted').map((item) => [keyOf(item), item]));
  const isUnchanged = (item: ListItem) => {
    const was = has.get(keyOf(item));
    if (item.type !== 'entry' || !was || was.deleted) return false;
    const { revision, kind, implied } = item.entry;
    return was.revision === revision && was.kind === kind && was.implied === implied;
  };
  const isDeleted = ({ key, deleted }: EntryState) => {
    const item = lists.get(key);
    if (deleted) return false;
    return item ? item.type === 'skipped' : !unlisted.some((folder) => key !== folder && key.startsWith(folder));
  };
  const found = items.filter((item) => item.type === 'entry' && !isUnchanged(item));
  const isStandIn = (item: ListItem) =>
    item.type === 'failed' && keyOf(item).endsWith('/') && (has.get(keyOf(item))?.deleted ?? !has.has(keyOf(item)));
  // A failed folder is counted as unlisted.
  const isCounted = (item: ListItem) => item.type !== 'failed' || !keyOf(item).endsWith('/');
  const ofTypes = (...types: ListItem['type'][]) => items.filter((item) => types.includes(item.type)).map(keyOf);
  const files = items.filter((item) => (item.type === 'entry' ? item.entry.kind !== 'folder' : isCounted(item)));
  return {
    entries: items.filter((item) => found.includes(item) || isStandIn(item)).map(keyOf),
    deleted: old.filter(isDeleted).map(({ key }) => key),
    failed: items.filter((item) => isCounted(item) && /failed|unlisted/.test(item.type)).map(keyOf),
    skipped: ofTypes('skipped'),
    filesTotal: files.length,
    filesUnchanged: files.filter(isUnchanged).length,
    bytesTotal: 3 * found.length,
    filesLost: found.filter((item) => has.get(keyOf(item))?.revision === lostRevision).length,
  };
}

/** Names that sort before, at and after `/`, beyond ASCII and not UTF-8. */
const segment = fc.constantFrom('a', 'a!', 'a0', 'b', 'é', '😀', '\udcff');
const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const revision = fc.constantFrom('1', '2', lostRevision);
const thing = fc.oneof(
  fc.record({ key: path, revision, kind: fc.constantFrom<Kind>('file', 'link') }),
  fc.record({ key: path.map((key) => `${key}/`), revision, kind: fc.constant<Kind>('folder') }),
);
const fate = fc.constantFrom('there', 'there', 'there', 'gone', 'failed', 'skipped', 'unlisted', 'implied');

const world = fc
  .record({
    old: fc.uniqueArray(thing, { selector: ({ key }) => key, maxLength: 14 }),
    marks: fc.array(fc.constantFrom<Partial<EntryState>>({}, {}, { deleted: true }, { implied: true }), {
      ...{ minLength: 14, maxLength: 14 },
    }),
    now: fc.uniqueArray(fc.record({ thing, fate }), { selector: ({ thing: { key } }) => key, maxLength: 14 }),
    same: fc.array(fc.boolean(), { minLength: 14, maxLength: 14 }),
  })
  .map(({ old, marks, now, same }) => {
    // Half of the old entries still exist.
    const kept = old.filter((_, i) => same[i]).map((each) => ({ thing: each, fate: 'there' }));
    const all = [...now, ...kept.filter(({ thing: { key } }) => !now.some((each) => each.thing.key === key))];
    const unlisted = all
      .filter((each) => ['unlisted', 'failed'].includes(each.fate) && each.thing.kind === 'folder')
      .map((each) => each.thing.key);
    const items = all.flatMap(({ thing: { key, revision: now, kind }, fate: what }): ListItem[] => {
      // Nothing is listed below a folder that cannot be listed.
      if (what === 'gone' || unlisted.some((folder) => key !== folder && key.startsWith(folder))) return [];
      if (what === 'failed' && kind === 'folder') return [refused('failed', key), refused('unlisted', key)];
      if (what === 'failed' || what === 'skipped') return [refused(what, key)];
      const item = listed(key, now, kind);
      if (what === 'implied' && item.type === 'entry') return [{ ...item, entry: { ...item.entry, implied: true } }];
      return what === 'unlisted' && kind === 'folder' ? [item, refused('unlisted', key)] : [item];
    });
    return {
      old: old
        .map((each, i): EntryState => ({ ...before(each.key, each.revision, each.kind), ...marks[i] }))
        .sort((a, b) => compareEntries(a.key, b.key)),
      items: items.sort((a, b) => comparePositions(itemPosition(a), itemPosition(b))),
    };
  });

describe('comparing a listing with the last manifest', () => {
  it('gives the same result as a look-up of every key, in pages and steps of any size, resumed or not', async () => {
    await fc.assert(
      fc.asyncProperty(
        world,
        fc.array(fc.nat(20), { maxLength: 6 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        async ({ old, items }, cuts, resumed, loaded, room) => {
          expect(await compare(old, items, cuts, resumed, loaded, room)).toEqual(compareByLookup(old, items));
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
    const old = ['a', 'b/', 'b0', 'c', 'c/', 'b/x', 'b/y/', 'b/y/z', 'c/x'].map((key) =>
      before(key, '1', key.endsWith('/') ? 'folder' : 'file'),
    );
    const items = [
      ...[listed('a', '1', 'file'), listed('b/', '1', 'folder'), listed('c', '2', 'file'), listed('c/', '1', 'folder')],
      ...[refused('unlisted', 'b/'), listed('c/y', '1', 'file')],
    ];
    for (const cuts of [[], [4], [5], [1, 2, 3, 4, 5]])
      for (const resumed of [false, true])
        expect(await compare(old, items, cuts, resumed)).toMatchObject({
          ...{ deleted: ['b0', 'c/x'], entries: ['c', 'c/y'], failed: ['b/'] },
        });
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
