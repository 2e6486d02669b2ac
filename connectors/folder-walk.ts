/** Lists everything below a folder in the order of entries, starting after any item. One lstat for each entry. */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { type EntryPosition, keyFromBytes, type ListItem, type SourceEntry } from '../domain/entry.ts';
import { toIso } from '../domain/iso-time.ts';
import { temporary } from './connector.ts';
import { namesIn, stepsPerPause } from './folder-names.ts';
import {
  type Directory,
  identityOf,
  nameOf,
  OwnData,
  openBelow,
  openFolder,
  partOf,
  systemCode,
  throwIfExhausted,
} from './folder-tree.ts';

export type WalkOptions = {
  /** Yields only items after this position. */
  after: EntryPosition | null;
  /** `identityOf` of the folders that the walk never enters. */
  never: ReadonlySet<string>;
  /** Whether the settings exclude the key or one of its parent folders. */
  excluded(key: string): boolean;
  pending: Pending;
};

/**
 * `hash`: of the folders whose items were yielded, and which the walk has yet to enter. A walk that goes on must find
 * the `expected` hash. Otherwise it would enter a folder that it has not listed.
 */
export type Pending = { hash: number; expected: number | undefined };

export function pendingFolders(expected?: number): Pending {
  return { hash: 0, expected };
}

/** Adds the folder, or removes it. */
function toggle(pending: Pending, key: string): void {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  pending.hash ^= hash;
}

function requireSameFolders(pending: Pending): void {
  if (pending.expected !== undefined && pending.expected !== pending.hash)
    throw temporary('reset', 'The folders of the source changed while the listing was interrupted. Run the job again.');
  pending.expected = undefined;
}

/**
 * A folder on the path of the walk. `directory` is undefined while closed. A name of `children` ends in `/` for a
 * folder.
 */
type Level = {
  prefix: string;
  directory: Directory | undefined;
  children: Iterable<string>;
  subfolders: string[];
  next: number;
};

/** Maximum of open folder handles. In a deeper tree the outer folders are closed, and reopened on the way back. */
const maxOpenFolders = 64;

/**
 * Yields items in strictly ascending order: the entries of a folder, then the entries of its subfolders. It omits
 * entries that are deleted meanwhile. An entry that cannot be read is a failed item. It yields null now and then while
 * it reads a huge folder or passes entries.
 * @throws SourceProblem, system errors for the root
 */
export function* walk(root: Directory, options: WalkOptions): Generator<ListItem | null, void> {
  const { after, pending } = options;
  const levels = [yield* readLevel(root, '')];
  try {
    yield* listLevel(levels[0] as Level, options);
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const prefix = level.subfolders[level.next++];
      if (prefix === undefined) {
        levels.pop();
        if (level.directory !== root) level.directory?.close();
        continue;
      }
      if (!after?.parent.startsWith(prefix)) requireSameFolders(pending);
      toggle(pending, prefix);
      // The page before ended with the item of this folder that could not be listed.
      if (after?.parent === prefix && after.key === prefix) continue;
      level.directory ??= reopen(root, level.prefix, options);
      const entered = yield* enter(level, level.directory, prefix, options);
      if ('item' in entered) {
        if (entered.item) yield entered.item;
        continue;
      }
      levels.push(entered);
      closeOuter(levels, root);
      yield* listLevel(entered, options);
    }
  } finally {
    for (const level of levels) if (level.directory !== root) level.directory?.close();
  }
}

function* readLevel(directory: Directory, prefix: string): Generator<null, Level> {
  return { prefix, directory, children: yield* namesIn(directory), subfolders: [], next: 0 };
}

/** Yields the entries of the folder that earlier pages did not have, and notes the subfolders to enter. */
function* listLevel(level: Level, { after, never, excluded, pending }: WalkOptions): Generator<ListItem | null, void> {
  const { prefix, directory, children, subfolders } = level;
  level.children = [];
  const rest = after?.parent.startsWith(prefix) ? after.parent.slice(prefix.length) : undefined;
  // Within the folder where the page before ended, the last name. Above it, the folder to go on in.
  const lastName = rest === '' ? latin1(after?.key.slice(prefix.length) ?? '') : undefined;
  const resumed = rest === undefined || rest === '' ? '' : latin1(rest.slice(0, rest.indexOf('/') + 1));
  let passed = 0;
  for (const child of children) {
    if (++passed % stepsPerPause === 0) yield null;
    const isFolder = child.endsWith('/');
    const name = isFolder ? child.slice(0, -1) : child;
    const key = `${prefix}${partOf(name)}${isFolder ? '/' : ''}`;
    if (excluded(key)) continue;
    const isPast = resumed !== '' || (lastName !== undefined && child <= lastName);
    if (isPast && !(isFolder && child >= resumed)) continue;
    if (!isPast) requireSameFolders(pending);
    const item = itemOf(directory as Directory, name, key, isFolder, never);
    // The entries of a failed folder are unknown too, which its own `unlisted` item says.
    if ((item?.type === 'entry' || item?.type === 'failed') && isFolder) {
      subfolders.push(key);
      toggle(pending, key);
    }
    if (item && !isPast) yield item;
  }
}

function latin1(text: string): string {
  return text
    .split('/')
    .map((part) => (part === '' ? '' : nameOf(part)))
    .join('/');
}

/** The level of the subfolder. If it cannot be listed, its item. */
function* enter(
  parent: Level,
  opened: Directory,
  prefix: string,
  { after, never }: WalkOptions,
): Generator<null, Level | { item: ListItem | undefined }> {
  let directory: Directory | undefined;
  let level: Level | undefined;
  try {
    directory = openFolder(opened, nameOf(prefix.slice(parent.prefix.length, -1)), never);
    level = yield* readLevel(directory, prefix);
    return level;
  } catch (error) {
    throwIfExhausted(error);
    if (error instanceof OwnData) return { item: undefined };
    if (systemCode(error) === '') throw error;
    if (systemCode(error) === 'ENOENT') return { item: undefined };
    // Some of its entries were on an earlier page. Without an error the others would count as deleted.
    if (after?.parent.startsWith(prefix))
      throw temporary('unreadable', 'A folder became unreadable during the listing. Run the job again.');
    return { item: { type: 'unlisted', refusal: refusalFor(prefix, error) } };
  } finally {
    // The caller may end the walk while the folder is read.
    if (!level) directory?.close();
  }
}

function reopen(root: Directory, prefix: string, options: WalkOptions): Directory {
  try {
    return openBelow(root, prefix, options.never);
  } catch (error) {
    throwIfExhausted(error);
    throw temporary('changed', 'A folder was moved during the listing. Run the job again.');
  }
}

function closeOuter(levels: Level[], root: Directory): void {
  const outer = levels.at(-1 - maxOpenFolders);
  if (outer === undefined || outer.directory === root) return;
  outer.directory?.close();
  outer.directory = undefined;
}

/**
 * The item of one child of the folder, undefined if it was deleted. `isFolder`: according to the listing of the folder.
 */
export function itemOf(
  directory: Directory,
  name: string,
  key: string,
  isFolder: boolean,
  never: ReadonlySet<string>,
): ListItem | undefined {
  try {
    const path = directory.at(name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (!stat) return undefined;
    if (stat.isDirectory() !== isFolder)
      return refused(
        'failed',
        key,
        'changed',
        'The entry changed its type during the listing. The next run backs it up.',
      );
    if (isFolder && never.has(identityOf(stat)))
      return refused('skipped', key, 'own-data', 'This is a data folder of ListBackup, which is not backed up.');
    if (isFolder) return { type: 'entry', entry: entryOf(key, 'folder', stat) };
    if (stat.isFile()) return { type: 'entry', entry: entryOf(key, 'file', stat) };
    if (stat.isSymbolicLink()) {
      const target = keyFromBytes(readlinkSync(path, { encoding: 'buffer' }));
      return { type: 'entry', entry: { ...entryOf(key, 'link', stat), target } };
    }
    const type = stat.isSocket() ? 'socket' : stat.isFIFO() ? 'pipe' : 'device';
    return refused('skipped', key, type, `A ${type} has no content to back up.`);
  } catch (error) {
    throwIfExhausted(error);
    if (systemCode(error) === '') throw error;
    return systemCode(error) === 'ENOENT' ? undefined : { type: 'failed', refusal: refusalFor(key, error) };
  }
}

export function entryOf(key: string, kind: SourceEntry['kind'], stat: Stats): SourceEntry {
  return {
    key,
    kind,
    size: kind === 'file' ? stat.size : 0,
    modifiedAt: timeOf(stat),
    revision: revisionOf(stat),
    mode: stat.mode & 0o7777,
  };
}

/**
 * Changes with every write, replacement, rename or change of permissions, within the precision of file system times.
 * Node gives times as milliseconds in a double, which is precise to a quarter of a microsecond.
 */
export function revisionOf(stat: Stats): string {
  return `${stat.size}-${ticksOf(stat.mtimeMs)}-${ticksOf(stat.ctimeMs)}-${stat.ino}`;
}

/** The time in seconds, and the rest in units of 1/4096 ms. Small integers become text faster than fractions. */
function ticksOf(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${seconds}.${Math.round((ms - seconds * 1000) * 4096)}`;
}

/** Null for times outside the years 0 to 9999, which ISO-8601 cannot express. */
function timeOf({ mtimeMs }: Stats): string | null {
  const time = Math.trunc(mtimeMs);
  return time >= firstTime && time < lastTime ? toIso(time) : null;
}

const firstTime = Date.parse('0000-01-01T00:00:00.000Z');
const lastTime = Date.UTC(10_000, 0);

function refused(type: 'skipped' | 'failed', key: string, code: string, message: string): ListItem {
  return { type, refusal: { key, code, message } };
}

/** Why a system error kept an entry from being listed. */
export function refusalFor(key: string, error: unknown) {
  const code = systemCode(error);
  if (['ENOTDIR', 'ELOOP', 'EINVAL'].includes(code))
    return {
      key,
      code: 'changed',
      message: 'The entry changed its type during the listing. The next run backs it up.',
    };
  const denied = code === 'EACCES' || code === 'EPERM';
  const message = denied
    ? 'ListBackup has no permission to read it. Let its user read and search it.'
    : `It cannot be read (${code}). Check its disk.`;
  return { key, code: 'unreadable', message };
}
