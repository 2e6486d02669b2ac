/**
 * Lists a source in the order of entries, whatever order its connector lists in. Items that do not fit in memory are
 * sorted in pieces, which are stored as encrypted blobs and merged.
 */
import { type ListPage, SourceProblem, type SourceSession } from '../../connectors/connector.ts';
import {
  comparePositions,
  type EntryPosition,
  impliedEntry,
  itemPosition,
  keyOf,
  type ListItem,
  parentOf,
} from '../../domain/entry.ts';
import type { Blobs } from '../../domain/ports.ts';
import { decryptBytes, encryptBytes } from '../../vault/encrypted-bytes.ts';
import type { VaultKeys } from '../../vault/keys.ts';

/** Where a listing goes on. Plain JSON. */
export type ListPosition = {
  /** The next page of the source, null for the first. */
  page: string | null;
  /** Sorted pieces of the pages before. */
  pieces: string[];
  /** All pages are in `pieces`. */
  isListed: boolean;
  /** Items up to here are done. */
  after: EntryPosition | null;
  since: string | null;
};

export const listingStart: ListPosition = { page: null, pieces: [], isListed: false, after: null, since: null };

export type ListedPage = { items: ListItem[]; done: boolean; position: ListPosition };

export type ListTools = {
  blobs: Blobs;
  keys: VaultKeys;
  /** Prefix of the blobs. */
  folder: string;
  random(bytes: number): Uint8Array;
  /** Items of a page. */
  page: number;
  /** Items that are sorted in memory. */
  sortItems: number;
};

/** @throws SourceProblem if the listing fails, or if it is a delta */
export async function* listInOrder(
  session: SourceSession,
  order: 'entries' | 'any',
  since: string | null,
  start: ListPosition,
  tools: ListTools,
): AsyncGenerator<ListedPage> {
  if (order === 'any') return yield* sorted(session, since, start, tools);
  for (let position = start; ; ) {
    const listed = await nextPage(session, since, position, tools);
    position = { ...position, page: listed.page, since: listed.since };
    const done = listed.page === null;
    yield { items: listed.items, done, position };
    if (done) return;
  }
}

/** A delta lacks the unchanged entries, so the comparison would take them for deleted ones. */
async function nextPage(
  session: SourceSession,
  since: string | null,
  { page }: ListPosition,
  tools: ListTools,
): Promise<ListPage> {
  const listed = await session.list({ since, page }, { limit: tools.page });
  if (listed.mode === 'full') return listed;
  throw new SourceProblem(
    'unusable',
    'This version cannot back up a source that lists only changes. Update ListBackup.',
  );
}

async function* sorted(
  session: SourceSession,
  since: string | null,
  start: ListPosition,
  tools: ListTools,
): AsyncGenerator<ListedPage> {
  let position = start;
  let open = makeCollector();
  while (!position.isListed) {
    const { items, page, since: next } = await nextPage(session, since, position, tools);
    open.add(items);
    position = { ...position, page, since: next, isListed: page === null };
    const isFull = open.items.length >= tools.sortItems;
    // If everything fits in memory, a later attempt lists the source again.
    if (position.isListed && position.pieces.length === 0 && !isFull)
      return yield* pagesOf(inMemory(open.items), { ...start, since: next }, tools);
    if (!isFull && !position.isListed) continue;
    position = { ...position, pieces: [...position.pieces, await storePiece(open.items, tools)] };
    open = makeCollector();
    yield { items: [], done: false, position };
  }
  const pieces = position.pieces.map((name) => readPiece(name, tools));
  yield* pagesOf(merge(pieces), position, tools);
}

/** Collects items, and the folders that they imply. */
function makeCollector(): { items: ListItem[]; add(items: ListItem[]): void } {
  const items: ListItem[] = [];
  const implied = new Set(['']);
  return {
    items,
    add(more) {
      for (const item of more) {
        items.push(item);
        for (let folder = parentOf(keyOf(item)); !implied.has(folder); folder = parentOf(folder)) {
          implied.add(folder);
          items.push({ type: 'entry', entry: impliedEntry(folder) });
        }
      }
    },
  };
}

function byPosition(a: ListItem, b: ListItem): number {
  return comparePositions(itemPosition(a), itemPosition(b)) || impliedness(a) - impliedness(b);
}

/** An entry that the source lists comes before one that its keys imply. */
function impliedness(item: ListItem): number {
  return item.type === 'entry' && item.entry.implied ? 1 : 0;
}

async function* inMemory(items: ListItem[]): AsyncGenerator<ListItem> {
  yield* items.sort(byPosition);
}

/** Pages of sorted items, without those up to `after` and without repeated keys. */
async function* pagesOf(
  items: AsyncIterable<ListItem>,
  position: ListPosition,
  { page }: ListTools,
): AsyncGenerator<ListedPage> {
  let open: ListItem[] = [];
  let last = position.after;
  for await (const item of items) {
    const at = itemPosition(item);
    if (last && comparePositions(at, last) <= 0) continue;
    if (open.length >= page) {
      yield { items: open, done: false, position: { ...position, after: last } };
      open = [];
    }
    open.push(item);
    last = at;
  }
  yield { items: open, done: true, position: { ...position, after: last } };
}

/** Items of one frame of a piece. */
const frameItems = 250;
/** Bytes of a piece that are read at once. */
const readBytes = 256 * 1024;
const lengthBytes = 4;

/** A piece is a sequence of frames: the length (u32 BE), then the encrypted items as JSON. A length of 0 ends it. */
async function storePiece(items: ListItem[], { blobs, keys, folder, random }: ListTools): Promise<string> {
  const name = `${folder}sorted-${Buffer.from(random(8)).toString('hex')}`;
  items.sort(byPosition);
  const frames: Uint8Array[] = [];
  for (let from = 0; from < items.length; from += frameItems) {
    const text = JSON.stringify(items.slice(from, from + frameItems));
    const frame = encryptBytes(keys, `${name}/${frames.length / 2}`, Buffer.from(text));
    const length = Buffer.alloc(lengthBytes);
    length.writeUInt32BE(frame.length);
    frames.push(length, frame);
  }
  await blobs.put(name, Buffer.concat([...frames, Buffer.alloc(lengthBytes)]));
  return name;
}

/** Without its end, a lost piece would look like files that the source no longer has. */
export class TruncatedPiece extends Error {}

/** The items of a piece, frame by frame. @throws TruncatedPiece */
export async function* readPiece(
  name: string,
  { blobs, keys }: Pick<ListTools, 'blobs' | 'keys'>,
): AsyncGenerator<ListItem[]> {
  let bytes = new Uint8Array();
  let offset = 0;
  for (let number = 0; ; number++) {
    const need = async (length: number) => {
      while (bytes.length < length) {
        const more = await blobs.get(name, { offset, length: readBytes });
        if (!more?.length) throw new TruncatedPiece(`the sorted listing ${name} is missing or truncated`);
        offset += more.length;
        bytes = Buffer.concat([bytes, more]);
      }
    };
    await need(lengthBytes);
    const length = Buffer.from(bytes.subarray(0, lengthBytes)).readUInt32BE();
    if (length === 0) return;
    await need(lengthBytes + length);
    const frame = decryptBytes(keys, `${name}/${number}`, bytes.subarray(lengthBytes, lengthBytes + length));
    bytes = bytes.subarray(lengthBytes + length);
    yield JSON.parse(Buffer.from(frame).toString()) as ListItem[];
  }
}

type Head = { items: ListItem[]; at: number; rest: AsyncGenerator<ListItem[]> };

/** Merges sorted pieces. The heads form a binary heap. */
async function* merge(pieces: AsyncGenerator<ListItem[]>[]): AsyncGenerator<ListItem> {
  const heap: Head[] = [];
  const itemOf = (head: Head | undefined) => head?.items[head.at] as ListItem;
  const sink = (from: number) => {
    for (let i = from; ; ) {
      const child = [2 * i + 1, 2 * i + 2]
        .filter((c) => c < heap.length)
        .sort((a, b) => byPosition(itemOf(heap[a]), itemOf(heap[b])))[0];
      if (child === undefined || byPosition(itemOf(heap[i]), itemOf(heap[child])) <= 0) return;
      [heap[i], heap[child]] = [heap[child] as Head, heap[i] as Head];
      i = child;
    }
  };
  for (const rest of pieces) {
    const first = await rest.next();
    if (!first.done) heap.push({ items: first.value, at: 0, rest });
  }
  for (let i = heap.length >>> 1; i >= 0; i--) if (i < heap.length) sink(i);
  for (let top = heap[0]; top; top = heap[0]) {
    yield itemOf(top);
    if (++top.at === top.items.length) {
      const next = await top.rest.next();
      if (next.done) {
        const last = heap.pop() as Head;
        if (last !== top) heap[0] = last;
      } else Object.assign(top, { items: next.value, at: 0 });
    }
    sink(0);
  }
}
