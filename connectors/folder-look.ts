/** What one key of a folder is now, without listing what is around it. */
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
 * The entry that `walk` would yield for exactly that key; undefined when it would yield none. Every folder on the way is opened anew.
 * @throws SourceProblem when it cannot be told
 */
export async function lookBelow(root: Directory, key: string, options: LookOptions): Promise<SourceEntry | undefined> {
  const item = isKey(key) && !options.excluded(key) ? await find(root, key, options) : undefined;
  if (item?.type !== 'failed') return item?.type === 'entry' ? item.entry : undefined;
  throw new SourceProblem(item.refusal.code === 'changed' ? 'changed' : 'unreadable', item.refusal.message, {
    retryable: true,
  });
}

/** @throws SourceProblem, system errors when that folder is no longer what is at the path: then nothing tells what became of its files */
export async function mustBeAt(path: string, root: Directory): Promise<void> {
  if (identityOf(await stat(path, { bigint: true })) === identityOf(root.stat)) return;
  throw new SourceProblem('not-found', 'Another folder took the place of this source while it was read.', {
    retryable: true,
  });
}

async function find(root: Directory, key: string, { never }: LookOptions): Promise<ListItem | undefined> {
  let parent: Directory | undefined;
  try {
    parent = await openBelow(root, key, never);
    if (key.endsWith('/')) return { type: 'entry', entry: entryOf(key, 'folder', parent.stat) };
    const name = Buffer.from(nameOf(key.slice(key.lastIndexOf('/') + 1)));
    // A folder is listed under another key.
    if ((await lstat(parent.at(name))).isDirectory()) return undefined;
    return await itemOf(parent, name, key);
  } catch (error) {
    throwIfExhausted(error);
    if (error instanceof OwnData) return undefined;
    if (systemCode(error) === '') throw error;
    // A folder on the way that has become a file or a link: nothing is listed below those.
    return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error)) ? undefined : refusedFor(key, error);
  } finally {
    if (parent !== root) await parent?.close();
  }
}

/** Whether a listing could have that key at all. */
function isKey(key: string): boolean {
  const parts = (key.endsWith('/') ? key.slice(0, -1) : key).split('/');
  return parts.every(isName);
}
