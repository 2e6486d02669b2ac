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
import { VaultDamage } from '../../vault/damage.ts';
import type { FoundEntry, ManifestEntry } from '../../vault/entry.ts';
import { below, endOf, entries, findEntry, type ReaderContext } from '../../vault/reader.ts';
import type { ManifestRoot } from '../../vault/root.ts';
import { failedBefore, pathsOfIds } from './id-index.ts';
import { mergeSorted } from './sorter.ts';

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
export type DeltaBase = {
  context: ReaderContext;
  base: ManifestRoot;
  index: ManifestRoot;
  /** Called often. It may throw to stop. */
  proceed(): void | Promise<void>;
};

/** A delta with more new folders than this takes longer to complete than a listing of everything. */
const maxNewFolders = 2000;

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
  const items = new Map<string, Item>(listed.map((item) => [idOf(item), withValidName(item)]));
  let folders = [...items].filter(([, item]) => isFolder(item)).map(([id]) => id);
  for (let count = 0; folders.length > 0; ) {
    const known = await pathsIn(on, folders);
    const found: string[] = [];
    for (const id of folders.filter((id) => !known.has(id))) {
      if (++count > maxNewFolders) throw reset('it has too many new folders');
      await on.proceed();
      for (let page: string | null | undefined; page !== null; ) {
        const answer = await session.deltas?.listFolder(id, page ?? null, { limit: 1000 });
        if (!answer) throw reset('it has a new folder that cannot be listed');
        for (const item of answer.items.filter((item) => !items.has(idOf(item)))) {
          items.set(idOf(item), withValidName(item));
          if (isFolder(item)) found.push(idOf(item));
        }
        if (items.size > limit) throw reset('there are too many');
        page = answer.page;
      }
    }
    folders = found;
  }
  const failed = await orReset(failedBefore(on.context, on.index));
  if (failed.length === 0) return [...items.values()];
  const { moved } = (await resolve(on, [...items.values()])).paths;
  for (const { key: path, id } of failed) {
    await on.proceed();
    const key = moved(path);
    if (key === undefined || items.has(id)) continue;
    const item = await lookAgain(session, { key, id });
    if (item) items.set(id, { ...item, again: true });
  }
  return [...items.values()];
}

function isFolder(item: Item): boolean {
  return item.type === 'entry' && item.entry.kind === 'folder';
}

/** An item whose name cannot be part of a path is skipped. */
function withValidName(item: DeltaItem): DeltaItem {
  const name = nameOf(item);
  if (item.type === 'gone' || isName(name)) return item;
  const message = 'The name is empty or has a slash. Rename the entry at the source.';
  return {
    type: 'skipped',
    refusal: { key: name, id: idOf(item), code: 'invalid-name', message },
    parent: item.parent,
  };
}

function nameOf(item: DeltaItem): string {
  return item.type === 'entry' ? item.entry.key : item.type === 'gone' ? '' : item.refusal.key;
}

function isName(name: string): boolean {
  return parentOf(name) === '' && name !== '' && name !== '/';
}

/** Paths by id, from the id index. @throws SourceProblem `reset` if the index is damaged */
function pathsIn({ context, index }: DeltaBase, ids: string[]): Promise<Map<string, string>> {
  return orReset(pathsOfIds(context, index, ids));
}

function orReset<T>(reading: Promise<T>): Promise<T> {
  return reading.catch((error) => {
    throw error instanceof VaultDamage ? reset('the id index is damaged') : error;
  });
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
  const { context, base, proceed } = on;
  const { old, folders, paths, byId } = await resolve(on, items);

  /** Whether the base has a file at the key. The entry of another id must not stay there. */
  async function isFileAt(key: string, id?: string): Promise<boolean> {
    const entry = await findEntry(context, base, key);
    if (!entry || entry.deleted) return false;
    if (entry.id !== undefined && entry.id !== id && !byId.has(entry.id) && paths.moved(key) === key)
      throw reset('two entries have one path');
    return entry.kind !== 'folder';
  }

  /** Moves the entries below a folder of the base to another folder. Without a target they are gone. */
  async function* moveBelow(folder: string, target: string | null, from: EntryPosition): AsyncGenerator<PathChange> {
    for (let start: EntryPosition | undefined = from; start; ) {
      let next: EntryPosition | undefined;
      for await (const entry of entries(context, base, { ...below(folder), from: start })) {
        await proceed();
        const nested = outermost(folders, entry.key, folder);
        // A changed folder has scans of its own.
        if (nested !== undefined) {
          next = endOf(nested);
          break;
        }
        if (entry.id !== undefined && byId.has(entry.id)) continue;
        const key = `${target}${entry.key.slice(folder.length)}`;
        if (target === null) yield deletionOf(entry);
        else yield { key, was: await isFileAt(key), put: { ...foundOf(entry), key } };
      }
      start = next;
    }
  }

  const direct: PathChange[] = [];
  const scans: Scan[] = [];
  for (const [id, item] of byId) {
    await proceed();
    const before = old.get(id);
    const key = paths.of(id);
    if (item.type === 'failed' && key?.endsWith('/')) throw reset('one of its folders cannot be read');
    const leaves = before !== undefined && (before.key !== key || item.type === 'skipped');
    if (leaves) direct.push(deletionOf(before));
    if (leaves && before.kind === 'folder') {
      const targets = isFolder(item) && key !== undefined ? [null, key] : [null];
      for (const target of targets)
        scans.push(scanOf(before.key, target, (from) => moveBelow(before.key, target, from)));
    }
    if (item.type === 'gone' || (item.type !== 'skipped' && key === undefined)) continue;
    if (item.type === 'entry') {
      const isSame = !item.again && before?.revision === item.entry.revision && before.kind === item.entry.kind;
      if (!key || (isSame && before.key === key)) continue;
      const { sha256, chunks, size } = before ?? {};
      const content = isSame && before.kind === 'file' && { sha256, chunks, size, runId: '', at: '' };
      direct.push({ key, was: await isFileAt(key, id), put: { ...item.entry, key, ...content } as SourceEntry });
      continue;
    }
    const at = key ?? item.refusal.key;
    const refused = { as: item.type, refusal: { ...item.refusal, key: at } };
    if (item.type === 'skipped') direct.push({ key: at, was: false, refused });
    // A failed entry may still exist, so its last version stays in the backup, where the entry is now.
    else if (!before || before.key === at) direct.push({ key: at, was: await isFileAt(at, id), refused });
    else direct.push({ key: at, was: await isFileAt(at, id), refused, put: { ...foundOf(before), key: at } });
  }
  direct.sort((a, b) => compareEntries(a.key, b.key));
  yield* joined(inOrder([scanOfAll(direct), ...scans], after));
}

/** The base's entries by id, and the paths after the delta. `folders`: the ids of changed folders by old path. */
async function resolve(on: DeltaBase, items: Item[]) {
  const byId = new Map(items.map((item) => [idOf(item), item]));
  const parents = items.flatMap((item) => ('parent' in item && item.parent !== null ? [item.parent] : []));
  const known = await pathsIn(on, [...new Set([...byId.keys(), ...parents])]);
  const old = new Map<string, ManifestEntry>();
  const folders = new Map<string, string>();
  for (const [id, path] of [...known].sort(([, a], [, b]) => compareEntries(a, b))) {
    if (!byId.has(id)) continue;
    await on.proceed();
    const entry = await findEntry(on.context, on.base, path);
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

/** The outermost folder above the key, but below `within`, that is in the delta, by its old path. */
function outermost(folders: ReadonlyMap<string, string>, key: string, within: string): string | undefined {
  let found: string | undefined;
  for (let at = parentOf(key); at.length > within.length; at = parentOf(at)) if (folders.has(at)) found = at;
  return found;
}

/** A source with deeper folders is listed as a whole. */
const maxDepth = 1000;

/** The paths after the delta. `known`: the old ones by id. */
function makePaths(byId: Map<string, Item>, known: Map<string, string>, folders: Map<string, string>) {
  const found = new Map<string, string | undefined>();
  const open = new Set<string>();

  /** The path of an id. Undefined if the entry is gone or outside the source. */
  function of(id: string): string | undefined {
    if (found.has(id)) return found.get(id);
    if (open.has(id) || open.size > maxDepth) throw reset('its folders form a cycle or are too deep');
    open.add(id);
    found.set(id, find(id));
    open.delete(id);
    return found.get(id);
  }

  function find(id: string): string | undefined {
    const item = byId.get(id);
    if (!item) return moved(known.get(id));
    const name = nameOf(item);
    if (item.type === 'gone' || item.again) return name || undefined;
    if (!isName(name)) return undefined;
    const parent = item.parent === null ? '' : folder(item.parent);
    return parent === undefined ? undefined : `${parent}${name}`;
  }

  function folder(id: string): string | undefined {
    const item = byId.get(id);
    const path = !item || isFolder(item) || item.type === 'failed' ? of(id) : undefined;
    return path?.endsWith('/') ? path : undefined;
  }

  /** The path of an entry that the delta does not name. Folders above it may have moved. */
  function moved(path: string | undefined): string | undefined {
    const above = path === undefined ? undefined : nearest(folders, path);
    if (path === undefined || above === undefined) return path;
    const target = folder(folders.get(above) as string);
    return target === undefined ? undefined : `${target}${path.slice(above.length)}`;
  }

  return { of, moved: (path: string) => moved(path) };
}

function foundOf({ version: _version, previous: _previous, ...found }: ManifestEntry): FoundEntry {
  return found;
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

/** The changes of all scans after a position, in order. A scan reads nothing before its first position is reached. */
async function* inOrder(scans: Scan[], after: EntryPosition | null): AsyncGenerator<PathChange> {
  async function* stepsOf({ start, from }: Scan): AsyncGenerator<{ at: EntryPosition; change?: PathChange }[]> {
    yield [{ at: start }];
    for await (const change of from(after && comparePositions(after, start) > 0 ? after : start)) {
      const at = positionOf(change.key);
      if (!after || comparePositions(at, after) > 0) yield [{ at, change }];
    }
  }

  const open = scans.filter(({ end }) => !after || !end || comparePositions(end, after) > 0);
  for await (const steps of mergeSorted(open.map(stepsOf), (a, b) => comparePositions(a.at, b.at)))
    for (const { change } of steps) if (change) yield change;
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
