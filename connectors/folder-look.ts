/** Looks up one key of a folder without listing the folder. */
import { lstatSync, statSync } from 'node:fs';
import type { ListItem, SourceEntry } from '../domain/entry.ts';
import { temporary } from './connector.ts';
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
import { entryOf, itemOf, refusalFor, type WalkOptions } from './folder-walk.ts';

type LookOptions = Omit<WalkOptions, 'after' | 'pending'>;

/**
 * The entry that `walk` would yield for exactly that key, undefined if none. Opens every folder of the path anew.
 * @throws SourceProblem if the entry exists but cannot be read
 */
export function lookBelow(root: Directory, key: string, options: LookOptions): SourceEntry | undefined {
  const item = isKey(key) && !options.excluded(key) ? find(root, key, options) : undefined;
  if (item?.type !== 'failed') return item?.type === 'entry' ? item.entry : undefined;
  throw temporary(item.refusal.code === 'changed' ? 'changed' : 'unreadable', item.refusal.message);
}

/**
 * Requires that `path` still leads to `root`. Otherwise a missing file is not a deleted file.
 * @throws SourceProblem, system errors
 */
export function requireSameFolder(path: string, root: Directory): void {
  if (identityOf(statSync(path)) === identityOf(root.stat)) return;
  throw temporary('not-found', 'Another folder replaced this source while it was read. Run the job again.');
}

function find(root: Directory, key: string, { never }: LookOptions): ListItem | undefined {
  let parent: Directory | undefined;
  try {
    parent = openBelow(root, key, never);
    if (key.endsWith('/')) return { type: 'entry', entry: entryOf(key, 'folder', parent.stat) };
    const name = nameOf(key.slice(key.lastIndexOf('/') + 1));
    // The key of a folder ends in `/`, so a listing has it under another key.
    if (lstatSync(parent.at(name)).isDirectory()) return undefined;
    return itemOf(parent, name, key, false, never);
  } catch (error) {
    throwIfExhausted(error);
    if (error instanceof OwnData) return undefined;
    if (systemCode(error) === '') throw error;
    // A parent folder was deleted, or became a file or a link. A listing has nothing below it.
    const isGone = ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error));
    return isGone ? undefined : { type: 'failed', refusal: refusalFor(key, error) };
  } finally {
    if (parent !== root) parent?.close();
  }
}

/** Whether a listing could contain the key. */
function isKey(key: string): boolean {
  const parts = (key.endsWith('/') ? key.slice(0, -1) : key).split('/');
  return parts.every(isName);
}
