/** Lists everything below a folder in key order, starting after any key. Costs one lstat for each file. */
import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { keyBytes, keyFromBytes, type ListItem, type SourceEntry } from '../domain/entry.ts';
import { SourceProblem } from './connector.ts';
import { type Directory, OwnData, openBelow, openFolder, systemCode, throwIfExhausted } from './folder-tree.ts';

export type WalkOptions = {
  /** Yields only keys that sort after this one. */
  after: string | null;
  /** `identityOf` of the folders that the walk never enters. */
  never: ReadonlySet<string>;
  /** Whether the settings exclude the key or one of its parent folders. */
  excluded(key: string): boolean;
};

/** `bytes` is the sort key: the name, plus `/` for a folder. */
type Child = { bytes: Buffer; folder: boolean };
/**
 * One folder on the path of the walk. `directory` is undefined while closed. `prefetched` holds items by the index of
 * their child.
 */
type Level = {
  prefix: string;
  directory: Directory | undefined;
  children: Child[];
  next: number;
  prefetched: Map<number, ListItem | undefined>;
};

/** Number of children that one prefetch reads in parallel. */
const prefetchSize = 128;
/** Maximum of open folder handles. In a deeper tree the outer folders are closed, and reopened on the way back. */
const maxOpenFolders = 64;

/**
 * Yields items in strictly ascending key order. It omits files deleted before their prefetch. A file that cannot be
 * read is a failed item.
 * @throws SourceProblem, system errors for the root
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
      level.directory ??= await reopen(root, level.prefix, options);
      const key = level.prefix + keyFromBytes(child.bytes);
      if (!child.folder) {
        const item = await nextItem(level, level.directory, options);
        level.next++;
        if (item !== undefined) yield item;
        continue;
      }
      level.next++;
      if (options.excluded(key)) continue;
      // The last page ended in this folder. So the folder itself is listed, and some of its children.
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
  return { prefix, directory, children, next, prefetched: new Map() };
}

/** Index of the first child that sorts after `after`, or of the folder that contains `after`. */
function firstAfter(children: Child[], after: Buffer): number {
  let low = 0;
  let high = children.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const child = children[middle];
    if (child !== undefined && Buffer.compare(child.bytes, after) <= 0) low = middle + 1;
    else high = middle;
  }
  // No name contains `/`, so no key sorts between a folder and its content.
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
      return {
        item: refused('skipped', key, 'own-data', 'This is a data folder of ListBackup, which is not backed up.'),
      };
    if (systemCode(error) === '') throw error;
    if (systemCode(error) === 'ENOENT') return {};
    // The item of this folder was on an earlier page. Without an error the rest of the folder would count as deleted.
    if (listed)
      throw new SourceProblem('unreadable', 'A folder became unreadable during the listing. Run the job again.', {
        retryable: true,
      });
    return { item: refusedFor(key, error) };
  }
}

async function reopen(root: Directory, prefix: string, options: WalkOptions): Promise<Directory> {
  try {
    return await openBelow(root, prefix, options.never);
  } catch (error) {
    throwIfExhausted(error);
    throw new SourceProblem('changed', 'A folder was moved during the listing. Run the job again.', {
      retryable: true,
    });
  }
}

async function closeOuter(levels: Level[], root: Directory): Promise<void> {
  const outer = levels.at(-1 - maxOpenFolders);
  if (outer === undefined || outer.directory === root) return;
  await outer.directory?.close();
  outer.directory = undefined;
}

/** The item of the next child, undefined if it was deleted or is excluded. Prefetches the children after it. */
async function nextItem(level: Level, directory: Directory, options: WalkOptions): Promise<ListItem | undefined> {
  if (!level.prefetched.has(level.next)) {
    level.prefetched.clear();
    await Promise.all(
      level.children.slice(level.next, level.next + prefetchSize).map(async (child, index) => {
        const key = level.prefix + keyFromBytes(child.bytes);
        if (child.folder) return;
        level.prefetched.set(
          level.next + index,
          options.excluded(key) ? undefined : await itemOf(directory, child.bytes, key),
        );
      }),
    );
  }
  return level.prefetched.get(level.next);
}

/** The item of one file or link in the folder, undefined if it was deleted. */
export async function itemOf(directory: Directory, name: Buffer, key: string): Promise<ListItem | undefined> {
  try {
    const path = directory.at(name);
    const stat = await lstat(path, { bigint: true });
    if (stat.isFile()) return { type: 'entry', entry: { ...entryOf(key, 'file', stat), size: Number(stat.size) } };
    if (stat.isSymbolicLink()) {
      const target = keyFromBytes(await readlink(path, { encoding: 'buffer' }));
      return { type: 'entry', entry: { ...entryOf(key, 'link', stat), target } };
    }
    if (stat.isDirectory())
      return refused(
        'failed',
        key,
        'changed',
        'The file became a folder during the listing. The next run backs it up.',
      );
    const type = stat.isSocket() ? 'socket' : stat.isFIFO() ? 'pipe' : 'device';
    return refused('skipped', key, type, `A ${type} has no content to back up.`);
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

/**
 * Changes with every write, replacement, rename or change of permissions, within the precision of file system times.
 */
export function revisionOf(stat: BigIntStats): string {
  return `${stat.size}-${stat.mtimeNs}-${stat.ctimeNs}-${stat.ino}`;
}

/** Null for times outside the years 0 to 9999, which ISO-8601 cannot express. */
function timeOf(stat: BigIntStats): string | null {
  const time = new Date(Number(stat.mtimeNs / 1_000_000n));
  return time.getTime() >= Date.UTC(0, 0) && time.getTime() < Date.UTC(10_000, 0) ? time.toISOString() : null;
}

function refused(type: 'skipped' | 'failed', key: string, code: string, message: string): ListItem {
  return { type, refusal: { key, code, message } };
}

/** The item of an entry that a system error kept from being listed. */
export function refusedFor(key: string, error: unknown): ListItem {
  const code = systemCode(error);
  if (['ENOTDIR', 'ELOOP', 'EINVAL'].includes(code)) {
    return refused(
      'failed',
      key,
      'changed',
      'The entry changed its type during the listing. The next run backs it up.',
    );
  }
  const denied = code === 'EACCES' || code === 'EPERM';
  const message = denied
    ? 'ListBackup has no permission to read it. Let its user read and search it.'
    : `It cannot be read (${code}). Check its disk.`;
  return refused('failed', key, 'unreadable', message);
}
