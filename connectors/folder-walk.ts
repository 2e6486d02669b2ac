/** Everything below a folder in the order of keys, from any key on, at the price of one lstat a file. */
import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { keyBytes, keyFromBytes, type ListItem, type SourceEntry } from '../domain/entry.ts';
import { SourceProblem } from './connector.ts';
import { type Directory, OwnData, openBelow, openFolder, systemCode, throwIfExhausted } from './folder-tree.ts';

export type WalkOptions = {
  /** Only what sorts after this key. */
  after: string | null;
  /** Folders never entered, as `identityOf` has them. */
  never: ReadonlySet<string>;
  /** Whether the user left out that key, or a folder that it is in. */
  excluded(key: string): boolean;
};

/** `bytes` is what it sorts by: the name, with a `/` behind it for a folder. */
type Child = { bytes: Buffer; folder: boolean };
/** `directory` is undefined while closed. `seen`: what the next few children turned out to be, by their place. */
type Level = {
  prefix: string;
  directory: Directory | undefined;
  children: Child[];
  next: number;
  seen: Map<number, ListItem | undefined>;
};

const lookedUpTogether = 128;
/** Handles held on the way down; in a deeper tree those further up are closed, and opened again on the way back. */
const heldOpen = 64;

/**
 * Yields items in strictly ascending key order. What is gone when it is looked at (some items ahead) is left out; what cannot be had is a failed item.
 * @throws SourceProblem; system errors for the root
 */
export async function* walk(root: Directory, options: WalkOptions): AsyncGenerator<ListItem, void> {
  const levels: Level[] = [await readLevel(root, '', options.after)];
  try {
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const child = level.children[level.next];
      if (child === undefined) {
        levels.pop();
        if (level.directory !== root) await level.directory?.close();
        continue;
      }
      level.directory ??= await openAgain(root, level.prefix, options);
      const key = level.prefix + keyFromBytes(child.bytes);
      if (!child.folder) {
        const item = await lookUp(level, level.directory, options);
        level.next++;
        if (item !== undefined) yield item;
        continue;
      }
      level.next++;
      if (options.excluded(key)) continue;
      // The page before ended in this folder: it has been listed, and only the rest of what is in it has not.
      const listed = options.after?.startsWith(key) ?? false;
      const entered = await enter(level.directory, child, key, listed, options);
      if (entered.level !== undefined) levels.push(entered.level);
      await closeOuter(levels, root);
      if (entered.item !== undefined && !listed) yield entered.item;
    }
  } finally {
    for (const level of levels) if (level.directory !== root) await level.directory?.close();
  }
}

async function readLevel(directory: Directory, prefix: string, after: string | null): Promise<Level> {
  const found = await readdir(directory.at(new Uint8Array()), { encoding: 'buffer', withFileTypes: true });
  const children = found.map((entry): Child => {
    const folder = entry.isDirectory();
    return { folder, bytes: folder ? Buffer.concat([entry.name, Buffer.from('/')]) : entry.name };
  });
  children.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  const next = after?.startsWith(prefix) ? firstAfter(children, Buffer.from(keyBytes(after.slice(prefix.length)))) : 0;
  return { prefix, directory, children, next, seen: new Map() };
}

/** The first child that sorts after, or the folder that holds what does. */
function firstAfter(children: Child[], after: Buffer): number {
  let low = 0;
  let high = children.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const child = children[middle];
    if (child !== undefined && Buffer.compare(child.bytes, after) <= 0) low = middle + 1;
    else high = middle;
  }
  // No name holds a `/`, so nothing sorts between a folder and what is in it.
  const before = children[low - 1];
  return before?.folder && after.subarray(0, before.bytes.length).equals(before.bytes) ? low - 1 : low;
}

async function enter(
  parent: Directory,
  child: Child,
  key: string,
  listed: boolean,
  options: WalkOptions,
): Promise<{ item?: ListItem; level?: Level }> {
  let directory: Directory | undefined;
  try {
    directory = await openFolder(parent, child.bytes.subarray(0, -1), options.never);
    const level = await readLevel(directory, key, options.after);
    return { item: { type: 'entry', entry: entryOf(key, 'folder', directory.stat) }, level };
  } catch (error) {
    await directory?.close();
    throwIfExhausted(error);
    if (error instanceof OwnData)
      return { item: refused('skipped', key, 'own-data', 'ListBackup keeps its own data in this folder.') };
    if (systemCode(error) === '') throw error;
    if (systemCode(error) === 'ENOENT') return {};
    // Its own item is on a page that is gone: without this the rest of the folder would pass for deleted.
    if (listed)
      throw new SourceProblem('unreadable', 'A folder became unreadable while it was being listed.', {
        retryable: true,
      });
    return { item: refusedFor(key, error) };
  }
}

async function openAgain(root: Directory, prefix: string, options: WalkOptions): Promise<Directory> {
  try {
    return await openBelow(root, prefix, options.never);
  } catch (error) {
    throwIfExhausted(error);
    throw new SourceProblem('changed', 'A folder was moved while it was being listed.', { retryable: true });
  }
}

async function closeOuter(levels: Level[], root: Directory): Promise<void> {
  const outer = levels.at(-1 - heldOpen);
  if (outer === undefined || outer.directory === root) return;
  await outer.directory?.close();
  outer.directory = undefined;
}

/** What the next child is, looking at some of those behind it at the same time; undefined when it is gone or excluded. */
async function lookUp(level: Level, directory: Directory, options: WalkOptions): Promise<ListItem | undefined> {
  if (!level.seen.has(level.next)) {
    level.seen.clear();
    await Promise.all(
      level.children.slice(level.next, level.next + lookedUpTogether).map(async (child, index) => {
        const key = level.prefix + keyFromBytes(child.bytes);
        if (child.folder) return;
        level.seen.set(
          level.next + index,
          options.excluded(key) ? undefined : await itemOf(directory, child.bytes, key),
        );
      }),
    );
  }
  return level.seen.get(level.next);
}

/** What is listed of that name in the folder; undefined when it is gone. */
export async function itemOf(directory: Directory, name: Buffer, key: string): Promise<ListItem | undefined> {
  try {
    const path = directory.at(name);
    const stat = await lstat(path, { bigint: true });
    if (stat.isFile()) return { type: 'entry', entry: { ...entryOf(key, 'file', stat), size: Number(stat.size) } };
    if (stat.isSymbolicLink()) {
      const target = keyFromBytes(await readlink(path, { encoding: 'buffer' }));
      return { type: 'entry', entry: { ...entryOf(key, 'link', stat), target } };
    }
    if (stat.isDirectory()) return refused('failed', key, 'changed', 'It became a folder while it was being listed.');
    const nature = stat.isSocket() ? 'socket' : stat.isFIFO() ? 'pipe' : 'device';
    return refused('skipped', key, nature, `A ${nature} holds nothing that could be backed up.`);
  } catch (error) {
    throwIfExhausted(error);
    if (systemCode(error) === '') throw error;
    return systemCode(error) === 'ENOENT' ? undefined : refusedFor(key, error);
  }
}

export function entryOf(key: string, kind: SourceEntry['kind'], stat: BigIntStats): SourceEntry {
  return {
    key,
    kind,
    size: 0,
    modifiedAt: timeOf(stat),
    revision: revisionOf(stat),
    mode: Number(stat.mode & 0o7777n),
  };
}

/** Changes with every write, replacement, rename or change of permissions, as far as the file system's clock can tell. */
export function revisionOf(stat: BigIntStats): string {
  return `${stat.size}-${stat.mtimeNs}-${stat.ctimeNs}-${stat.ino}`;
}

/** File systems hold times that no calendar does; those are as good as none. */
function timeOf(stat: BigIntStats): string | null {
  const time = new Date(Number(stat.mtimeNs / 1_000_000n));
  return time.getTime() >= Date.UTC(0, 0) && time.getTime() < Date.UTC(10_000, 0) ? time.toISOString() : null;
}

function refused(type: 'skipped' | 'failed', key: string, code: string, message: string): ListItem {
  return { type, refusal: { key, code, message } };
}

/** The item for what a system error kept from being listed. */
export function refusedFor(key: string, error: unknown): ListItem {
  const code = systemCode(error);
  if (['ENOTDIR', 'ELOOP', 'EINVAL'].includes(code)) {
    return refused('failed', key, 'changed', 'It became something else while it was being listed.');
  }
  const denied = code === 'EACCES' || code === 'EPERM';
  const message = denied
    ? 'ListBackup is not permitted to read it: let its user read and search it.'
    : `It cannot be read (${code}).`;
  return refused('failed', key, 'unreadable', message);
}
