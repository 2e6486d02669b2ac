/**
 * Lists a source in the order of entries, whatever order its connector lists in, or lists the changes since an earlier
 * listing.
 */
import type { DeltaItem, ListPage, SourceSession } from '../../connectors/connector.ts';
import {
  comparePositions,
  type EntryPosition,
  impliedEntry,
  itemPosition,
  keyOf,
  type ListItem,
  parentOf,
  positionOf,
} from '../../domain/entry.ts';
import { completeDelta, type DeltaBase, type Item, type PathChange, pathChanges, reset } from './delta.ts';
import { mergeSorted, readPiece, type SortTools, storePiece } from './sorter.ts';

/** Where a listing goes on. Plain JSON. */
export type ListPosition = {
  /** The next page of the source, null for the first. */
  page: string | null;
  /** Sorted pieces of the pages before. */
  pieces: string[];
  /** All pages are in `pieces`. */
  isListed: boolean;
  /** The source listed changes only. They are one piece, in the order of the source. */
  isDelta: boolean;
  /** Items up to here are done. */
  after: EntryPosition | null;
  since: string | null;
};

export const listingStart: ListPosition = {
  ...{ page: null, pieces: [], isListed: false, isDelta: false, after: null, since: null },
};

export type ItemPage = { items: ListItem[]; done: boolean; position: ListPosition };
export type ChangePage = { changes: PathChange[]; done: boolean; position: ListPosition };

/** `page`: items of a page. */
export type ListTools = SortTools & { page: number };

/** A source with more changes than this is listed as a whole, because they are held in memory. */
const maxChanges = 100_000;

/** Everything. @throws SourceProblem if the listing fails */
export async function* listInOrder(
  session: Pick<SourceSession, 'list'>,
  order: 'entries' | 'any',
  start: ListPosition,
  tools: ListTools,
): AsyncGenerator<ItemPage> {
  let position = start;
  let open = makeCollector(tools);
  while (!position.isListed) {
    const listed = await session.list(position.page, { limit: tools.page });
    const isLast = listed.page === null;
    position = { ...position, page: listed.page, since: listed.since };
    if (order === 'entries') {
      yield { items: listed.items, done: isLast, position };
      if (isLast) return;
      continue;
    }
    const pieces = await open.add(listed.items);
    position = { ...position, isListed: isLast, pieces: [...position.pieces, ...pieces] };
    const isFull = open.items.length >= tools.sortItems;
    // More than one page is stored: a later attempt must go on with the same listing, with its folders and its cursor.
    if (isLast && position.pieces.length === 0 && open.items.length <= tools.page)
      return yield* itemPages(inMemory(open.items), position, tools);
    if (!isFull && !isLast) continue;
    position = { ...position, pieces: [...position.pieces, await storePiece(open.items.sort(byPosition), tools)] };
    open = makeCollector(tools);
    yield { items: [], done: false, position };
  }
  const pieces = position.pieces.map((name) => readPiece<ListItem>(name, tools));
  yield* itemPages(mergeSorted(pieces, byPosition), position, tools);
}

/**
 * The changes after `since`. The delta is stored before the first change, so that another attempt goes on with it.
 * @throws SourceProblem if the listing fails, `reset` if everything has to be listed
 */
export async function* listChanges(
  session: SourceSession,
  since: string,
  base: DeltaBase,
  start: ListPosition,
  tools: ListTools,
): AsyncGenerator<ChangePage> {
  let position = start;
  if (!position.isDelta) {
    const { items, since: next } = await listDelta(session, since, base, tools);
    const pieces = items.length > 0 ? [await storePiece(items, tools)] : [];
    position = { ...listingStart, pieces, isListed: true, isDelta: true, since: next };
    if (pieces.length > 0) yield { changes: [], done: false, position };
  }
  const items: Item[] = [];
  for (const name of position.pieces) for await (const some of readPiece<Item>(name, tools)) items.push(...some);
  let changes: PathChange[] = [];
  let { after } = position;
  for await (const change of pathChanges(base, items, after)) {
    if (changes.length >= tools.page) {
      yield { changes, done: false, position: { ...position, after } };
      changes = [];
    }
    changes.push(change);
    after = positionOf(change.key);
  }
  yield { changes, done: true, position: { ...position, after } };
}

async function listDelta(
  session: SourceSession,
  since: string,
  base: DeltaBase,
  tools: ListTools,
): Promise<{ items: Item[]; since: string | null }> {
  if (!session.deltas) throw reset('the source no longer lists them');
  const listed: DeltaItem[] = [];
  for (let page: string | null = null; ; ) {
    const answer: ListPage<DeltaItem> = await session.deltas.list(since, page, { limit: tools.page });
    await base.proceed();
    for (const item of answer.items) listed.push(item);
    if (listed.length > maxChanges) throw reset('there are too many');
    if (answer.page === null)
      return { items: await completeDelta(base, session, listed, maxChanges), since: answer.since };
    page = answer.page;
  }
}

type Collector = { items: ListItem[]; add(items: ListItem[]): Promise<string[]> };

/**
 * Collects items, and the folders that they imply. A key can imply hundreds of folders, so `add` stores a piece
 * whenever memory is full. It returns the names of these pieces.
 */
function makeCollector(tools: ListTools): Collector {
  let implied = new Set(['']);
  const collector: Collector = {
    items: [],
    async add(more) {
      const pieces: string[] = [];
      for (const item of more) {
        if (collector.items.length >= tools.sortItems) {
          pieces.push(await storePiece(collector.items.sort(byPosition), tools));
          collector.items = [];
          implied = new Set(['']);
        }
        collector.items.push(item);
        for (let folder = parentOf(keyOf(item)); !implied.has(folder); folder = parentOf(folder)) {
          implied.add(folder);
          collector.items.push({ type: 'entry', entry: impliedEntry(folder) });
        }
      }
      return pieces;
    },
  };
  return collector;
}

function byPosition(a: ListItem, b: ListItem): number {
  return comparePositions(itemPosition(a), itemPosition(b)) || impliedness(a) - impliedness(b);
}

/** An entry that the source lists comes before one that its keys imply. */
function impliedness(item: ListItem): number {
  return item.type === 'entry' && item.entry.implied ? 1 : 0;
}

async function* inMemory(items: ListItem[]): AsyncGenerator<ListItem[]> {
  yield items.sort(byPosition);
}

function idOf(item: ListItem): string | undefined {
  return item.type === 'entry' || item.type === 'failed' ? item.entry?.id : item.refusal.id;
}

/** An item whose path another item has. Without an id in a refusal, the next run lists everything. */
function samePath(item: ListItem): ListItem {
  const key = keyOf(item);
  const message = 'Another entry has the same path. Rename one of them at the source.';
  const refusal = { key, code: 'same-path', message };
  const id = idOf(item);
  if (key.endsWith('/') || id === undefined) return { type: 'skipped', refusal };
  return { type: 'failed', refusal: { ...refusal, id } };
}

/** Pages of sorted items, without those up to `after` and without repeated keys. */
async function* itemPages(
  items: AsyncIterable<ListItem[]>,
  position: ListPosition,
  { page }: ListTools,
): AsyncGenerator<ItemPage> {
  let open: ListItem[] = [];
  let last = position.after;
  for await (const some of items) {
    for (const item of some) {
      const at = itemPosition(item);
      const order = last ? comparePositions(at, last) : 1;
      if (order <= 0) {
        const other = open.at(-1);
        if (order === 0 && other && impliedness(item) === 0 && idOf(item) !== idOf(other)) open.push(samePath(item));
        continue;
      }
      if (open.length >= page) {
        yield { items: open, done: false, position: { ...position, after: last } };
        open = [];
      }
      open.push(item);
      last = at;
    }
  }
  yield { items: open, done: true, position: { ...position, after: last } };
}
