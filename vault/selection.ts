/** Selections by path: a file, or a folder with everything below it. The empty path selects everything. */
import { compareKeys } from '../domain/entry.ts';
import type { ManifestEntry } from './entry.ts';
import type { ReaderContext } from './metadata.ts';
import { findEntry, folderAt, hasBelow, listTree, namesake } from './reader.ts';
import type { ManifestRoot } from './root.ts';

/** Whether the path selects at least one entry. */
export async function holdsPath(context: ReaderContext, root: ManifestRoot, path: string): Promise<boolean> {
  const folder = await folderAt(context, root, path);
  if (folder === '' || (await namesake(context, root, folder)) !== undefined) return true;
  const entry = await findEntry(context, root, folder);
  return (entry !== undefined && !entry.deleted) || hasBelow(context, root, folder);
}

/**
 * The entries at and below the paths, each once, without implied folders. A folder comes before its entries. `after` is
 * the key of the last entry that the caller has.
 */
export async function* selectEntries(
  context: ReaderContext,
  root: ManifestRoot,
  paths: string[],
  after?: string,
): AsyncGenerator<ManifestEntry> {
  const folders: string[] = [];
  for (const path of paths) folders.push(await folderAt(context, root, path));
  const all = outermost(folders);
  const isIn = (folder: string) => after?.startsWith(folder) === true;
  const isBeside = (folder: string) => after !== undefined && folder !== '' && after === folder.slice(0, -1);
  const first = after === undefined ? 0 : all.findIndex((folder) => isIn(folder) || isBeside(folder));
  for (const folder of all.slice(first)) {
    if (!isIn(folder)) {
      const file = isBeside(folder) ? undefined : await namesake(context, root, folder);
      if (file) yield file;
      const own = folder === '' ? undefined : await findEntry(context, root, folder);
      if (own?.kind === 'folder' && !own.deleted && !own.implied) yield own;
    }
    yield* listTree(context, root, folder, isIn(folder) && after !== undefined ? { after } : {});
  }
}

/** Whether entries exist below a file or link. In S3 both `a` and `a/b` can be objects. */
export function isFolderToo(context: ReaderContext, root: ManifestRoot, { key }: ManifestEntry): Promise<boolean> {
  return hasBelow(context, root, `${key}/`);
}

/** The folders that are not inside another of them. */
function outermost(folders: string[]): string[] {
  const all = new Set(folders);
  if (all.has('')) return [''];
  const isCovered = (folder: string) => {
    for (let end = folder.indexOf('/') + 1; end < folder.length; end = folder.indexOf('/', end) + 1) {
      if (all.has(folder.slice(0, end))) return true;
    }
    return false;
  };
  return [...all].filter((folder) => !isCovered(folder)).sort(compareKeys);
}
