/** Looks up one key of a folder without listing the folder. */
import { lstat, stat } from 'node:fs/promises';
import type { ListItem, SourceEntry } from '../domain/entry.ts';
import { SourceProblem } from './connector.ts';
import {
  type Directory,
  identityOf,
  isName,
  nameOf,
  OwnData,
  openBelow,
  systemCode,
  throwIfExhausted,
} from './folder-tree.ts';
import { entryOf, itemOf, refusedFor, type WalkOptions } from './folder-walk.ts';

type LookOptions = Omit<WalkOptions, 'after'>;

/**
 * The entry that `walk` would yield for exactly that key, undefined if none. Opens every folder of the path anew.
 * @throws SourceProblem if the entry exists but cannot be read
 */
export async function lookBelow(root: Directory, key: string, options: LookOptions): Promise<SourceEntry | undefined> {
  const item = isKey(key) && !options.excluded(key) ? await find(root, key, options) : undefined;
  if (item?.type !== 'failed') return item?.type === 'entry' ? item.entry : undefined;
  throw new SourceProblem(item.refusal.code === 'changed' ? 'changed' : 'unreadable', item.refusal.message, {
    retryable: true,
  });
}

/**
 * Requires that `path` still leads to `root`. Otherwise a missing file is not a deleted file.
 * @throws SourceProblem, system errors
 */
export async function requireSameFolder(path: string, root: Directory): Promise<void> {
  if (identityOf(await stat(path, { bigint: true })) === identityOf(root.stat)) return;
  throw new SourceProblem('not-found', 'Another folder replaced this source while it was read. Run the job again.', {
    retryable: true,
  });
}

async function find(root: Directory, key: string, { never }: LookOptions): Promise<ListItem | undefined> {
  let parent: Directory | undefined;
  try {
    parent = await openBelow(root, key, never);
    if (key.endsWith('/')) return { type: 'entry', entry: entryOf(key, 'folder', parent.stat) };
    const name = Buffer.from(nameOf(key.slice(key.lastIndexOf('/') + 1)));
    // The key of a folder ends in `/`, so a listing has it under another key.
    if ((await lstat(parent.at(name))).isDirectory()) return undefined;
    return await itemOf(parent, name, key);
  } catch (error) {
    throwIfExhausted(error);
    if (error instanceof OwnData) return undefined;
    if (systemCode(error) === '') throw error;
    // A parent folder was deleted, or became a file or a link. A listing has nothing below it.
    return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error)) ? undefined : refusedFor(key, error);
  } finally {
    if (parent !== root) await parent?.close();
  }
}

/** Whether a listing could contain the key. */
function isKey(key: string): boolean {
  const parts = (key.endsWith('/') ? key.slice(0, -1) : key).split('/');
  return parts.every(isName);
}
