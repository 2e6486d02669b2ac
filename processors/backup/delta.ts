/** Turns a delta of a source, which names entries by ids, into changes of the paths in the base. See adr/deltas.md. */
import {
  concernsSource,
  type DeltaItem,
  SourceProblem,
  type SourceSession,
  temporary,
} from '../../connectors/connector.ts';
import {
  compareEntries,
  comparePositions,
  type EntryPosition,
  parentOf,
  positionOf,
  type Refusal,
  type SourceEntry,
} from '../../domain/entry.ts';
import type { FoundEntry, ManifestEntry } from '../../vault/entry.ts';
import { below, endOf, entries, findEntry, type ReaderContext } from '../../vault/reader.ts';
import type { ManifestRoot } from '../../vault/root.ts';
import { failedBefore, pathsOfIds } from './id-index.ts';

/** `again`: an entry that failed in the last run. Its key is its path, and it is read in any case. */
export type Item = DeltaItem & { again?: true };

/** The changes at one key. At least one of the last three fields is set. */
export type PathChange = {
  key: string;
  /** Whether the base has a file or link there. */
  was: boolean;
  /** With `chunks` its content is stored already. */
  put?: SourceEntry | FoundEntry;
  isDeleted?: true;
  refused?: { as: 'failed' | 'skipped'; refusal: Refusal };
};

/** The manifest that a delta is compared with, and its id index. */
export type DeltaBase = { context: ReaderContext; base: ManifestRoot; index: ManifestRoot };

/** Asks for a listing of everything. */
export function reset(reason: string): SourceProblem {
  return temporary('reset', `The changes of the source cannot be used: ${reason}.`);
}

/**
 * Completes a delta: adds the content of folders that the base does not have, and looks at entries that failed in the
 * last run. At most `limit` items.
 * @throws SourceProblem, `reset` when everything has to be listed
 */
export async function completeDelta(
  on: DeltaBase,
  session: Pick<SourceSession, 'look' | 'deltas'>,
  listed: DeltaItem[],
  limit: number,
): Promise<Item[]> {
  const items = new Map<string, Item>(listed.map((item) => [idOf(item), item]));
  const isFolder = (item: Item) => item.type === 'entry' && item.entry.kind === 'folder';
  let folders = [...items].filter(([, item]) => isFolder(item)).map(([id]) => id);
  while (folders.length > 0) {
    const known = await pathsOfIds(on.context, on.index, folders);
    const found: string[] = [];
    for (const id of folders.filter((id) => !known.has(id))) {
      for (let page: string | null | undefined; page !== null; ) {
        const answer = await session.deltas?.listFolder(id, page ?? null, { limit: 1000 });
        if (!answer) throw reset('it has a new folder that cannot be listed');
        for (const item of answer.items.filter((item) => !items.has(idOf(item)))) {
          items.set(idOf(item), item);
          if (isFolder(item)) found.push(idOf(item));
        }
        if (items.size > limit) throw reset('there are too many');
        page = answer.page;
      }
    }
    folders = found;
  }
  const { moved } = (await resolve(on, [...items.values()])).paths;
  for (const { key: path, id } of await failedBefore(on.context, on.index)) {
    const key = moved(path);
    if (key === undefined || items.has(id)) continue;
    const item = await lookAgain(session, { key, id });
    if (item) items.set(id, { ...item, again: true });
  }
  return [...items.values()];
}

async function lookAgain(session: Pick<SourceSession, 'look'>, at: { key: string; id: string }) {
  try {
    const entry = await session.look(at);
    return entry && ({ type: 'entry', entry, parent: null } as const);
  } catch (error) {
    if (!(error instanceof SourceProblem) || concernsSource(error)) throw error;
    const refusal = { ...at, code: error.code, message: error.message };
    return { type: 'failed', refusal, parent: null } as const;
  }
}

/**
 * The changes after a position, in the order of entries, each key once. It reads the index at the ids of the delta, and
 * the base at their paths and below folders that moved or are gone. The same items give the same changes.
 * @throws SourceProblem `reset` when everything has to be listed
 */
export async function* pathChanges(
  on: DeltaBase,
  items: Item[],
  after: EntryPosition | null,
): AsyncGenerator<PathChange> {
  const { context, base } = on;
  const { old, folders, paths, byId } = await resolve(on, items);

  async function isFileAt(key: string, id?: string): Promise<boolean> {
    const entry = await findEntry(context, base, key);
    if (!entry || entry.deleted) return false;
    if (entry.id !== undefined && entry.id !== id && !byId.has(entry.id) && paths.moved(key) === key)
      throw reset('two entries have one path');
    return entry.kind !== 'folder';
  }

  /** Moves the entries below a folder of the base to another folder. Without a target they are gone. */
  async function* moveBelow(folder: string, target: string | null, from: EntryPosition): AsyncGenerator<PathChange> {
    for await (const entry of entries(context, base, { ...below(folder), from })) {
      const isElsewhere = (entry.id !== undefined && byId.has(entry.id)) || nearest(folders, entry.key) !== folder;
      if (isElsewhere) continue;
      const { version: _version, previous: _previous, ...found } = entry;
      const key = `${target}${entry.key.slice(folder.length)}`;
      if (target === null) yield deletionOf(entry);
      else yield { key, was: await isFileAt(key), put: { ...found, key } };
    }
  }

  const direct: PathChange[] = [];
  const scans: Scan[] = [];
  for (const [id, item] of byId) {
    const before = old.get(id);
    const key = paths.of(id);
    if (item.type === 'failed') {
      // The entry may still exist, so its last version stays in the backup.
      const refused = key !== undefined && { as: item.type, refusal: { ...item.refusal, key } };
      if (refused) direct.push({ key, was: await isFileAt(key, id), refused });
      continue;
    }
    const entry = item.type === 'entry' && key !== undefined ? { ...item.entry, key } : undefined;
    if (before && before.key !== entry?.key) {
      direct.push(deletionOf(before));
      const targets = entry?.kind === 'folder' ? [null, entry.key] : [null];
      if (before.kind === 'folder')
        for (const target of targets)
          scans.push(scanOf(before.key, target, (from) => moveBelow(before.key, target, from)));
    }
    if (item.type === 'skipped' && key !== undefined)
      direct.push({ key, was: false, refused: { as: item.type, refusal: { ...item.refusal, key } } });
    if (!entry) continue;
    const isSame = !item.again && before?.revision === entry.revision && before.kind === entry.kind;
    if (isSame && before.key === entry.key) continue;
    const { sha256, chunks, size } = before ?? {};
    const content = isSame && entry.kind === 'file' && { sha256, chunks, size, runId: '', at: '' };
    direct.push({ key: entry.key, was: await isFileAt(entry.key, id), put: { ...entry, ...content } as SourceEntry });
  }
  direct.sort((a, b) => compareEntries(a.key, b.key));
  yield* joined(inOrder([scanOfAll(direct), ...scans], after));
}

/** The base's entries by id, and the paths after the delta. `folders`: the ids of changed folders by old path. */
async function resolve({ context, base, index }: DeltaBase, items: Item[]) {
  const byId = new Map(items.map((item) => [idOf(item), item]));
  const parents = items.flatMap((item) => ('parent' in item && item.parent !== null ? [item.parent] : []));
  const known = await pathsOfIds(context, index, [...new Set([...byId.keys(), ...parents])]);
  const old = new Map<string, ManifestEntry>();
  const folders = new Map<string, string>();
  for (const [id, path] of [...known].sort(([, a], [, b]) => compareEntries(a, b))) {
    if (!byId.has(id)) continue;
    const entry = await findEntry(context, base, path);
    if (entry?.id !== id || entry.deleted) throw reset('the id index does not match the restore point');
    old.set(id, entry);
    if (entry.kind === 'folder') folders.set(entry.key, id);
  }
  return { byId, old, folders, paths: makePaths(byId, known, folders) };
}

function idOf(item: DeltaItem): string {
  const id = item.type === 'gone' ? item.id : item.type === 'entry' ? item.entry.id : item.refusal.id;
  if (id !== undefined) return id;
  throw new SourceProblem('unusable', 'The source lists a change without an id.');
}

/** The nearest folder above the key that is in the delta, by its old path. */
function nearest(folders: ReadonlyMap<string, string>, key: string): string | undefined {
  for (let at = parentOf(key); at !== ''; at = parentOf(at)) if (folders.has(at)) return at;
  return undefined;
}

/** A deeper path is a cycle. */
const maxDepth = 4_000;

/** The paths after the delta. `known`: the old ones by id. */
function makePaths(byId: Map<string, Item>, known: Map<string, string>, folders: Map<string, string>) {
  const found = new Map<string, string | undefined>();

  /** The path of an id. Undefined if the entry is gone or outside the source. */
  function of(id: string, depth = 0): string | undefined {
    if (depth > maxDepth) throw reset('its folders form a cycle');
    if (!found.has(id)) found.set(id, find(id, depth));
    return found.get(id);
  }

  function find(id: string, depth: number): string | undefined {
    const item = byId.get(id);
    if (!item) return moved(known.get(id), depth);
    if (item.type === 'gone') return undefined;
    const name = item.type === 'entry' ? item.entry.key : item.refusal.key;
    if (item.again) return name;
    if (parentOf(name) !== '' || name === '' || name === '/')
      throw new SourceProblem('unusable', 'The source lists a change whose name is empty or has a slash.');
    const parent = item.parent === null ? '' : of(item.parent, depth + 1);
    return parent === undefined ? undefined : `${parent}${name}`;
  }

  /** The path of an entry that the delta does not name. Folders above it may have moved. */
  function moved(path: string | undefined, depth = 0): string | undefined {
    const folder = path === undefined ? undefined : nearest(folders, path);
    if (path === undefined || folder === undefined) return path;
    const target = of(folders.get(folder) as string, depth + 1);
    return target?.endsWith('/') ? `${target}${path.slice(folder.length)}` : undefined;
  }

  return { of, moved: (path: string) => moved(path) };
}

function deletionOf({ key, kind }: ManifestEntry): PathChange {
  return { key, was: kind !== 'folder', isDeleted: true };
}

/** Changes in order from a position on. All of them are between the positions `start` and `end`. */
type Scan = {
  start: EntryPosition;
  end: EntryPosition | undefined;
  from(position: EntryPosition): AsyncIterable<PathChange>;
};

function scanOfAll(changes: PathChange[]): Scan {
  async function* from() {
    yield* changes;
  }
  return { start: { parent: '', key: '' }, end: undefined, from };
}

/** `rows` reads the base from a position on. A prefix that is replaced in all paths does not change their order. */
function scanOf(folder: string, target: string | null, rows: (from: EntryPosition) => AsyncIterable<PathChange>): Scan {
  const into = target ?? folder;
  const back = (path: string) => `${folder}${path.slice(into.length)}`;
  return {
    start: { parent: into, key: '' },
    end: endOf(into),
    from: ({ parent, key }) => rows({ parent: back(parent), key: key === '' ? '' : back(key) }),
  };
}

/** The changes of all scans after a position, in order. A scan starts when its first position is reached. */
async function* inOrder(scans: Scan[], after: EntryPosition | null): AsyncGenerator<PathChange> {
  const waiting = scans
    .filter(({ end }) => !after || !end || comparePositions(end, after) > 0)
    .sort((a, b) => comparePositions(a.start, b.start));
  const active: { head: PathChange; rest: AsyncIterator<PathChange> }[] = [];
  const isAfter = ({ key }: PathChange) => !after || comparePositions(positionOf(key), after) > 0;

  async function advance(rest: AsyncIterator<PathChange>): Promise<void> {
    let next = await rest.next();
    while (!next.done && !isAfter(next.value)) next = await rest.next();
    if (!next.done) active.push({ head: next.value, rest });
  }

  for (;;) {
    active.sort((a, b) => compareEntries(b.head.key, a.head.key));
    const least = active.at(-1);
    const next = waiting[0];
    if (next && (!least || comparePositions(next.start, positionOf(least.head.key)) <= 0)) {
      waiting.shift();
      const from = after && comparePositions(after, next.start) > 0 ? after : next.start;
      await advance(next.from(from)[Symbol.asyncIterator]());
    } else if (least) {
      active.pop();
      yield least.head;
      await advance(least.rest);
    } else return;
  }
}

/** Joins the changes of one key. A new entry replaces a deletion. */
async function* joined(changes: AsyncIterable<PathChange>): AsyncGenerator<PathChange> {
  let last: PathChange | undefined;
  for await (const change of changes) {
    if (last?.key !== change.key) {
      if (last) yield last;
      last = change;
      continue;
    }
    if (last.put && change.put) throw reset('two entries have one path');
    last = { ...last, ...change, was: last.was || change.was };
  }
  if (last) yield last;
}
