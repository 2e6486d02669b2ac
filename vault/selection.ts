/** What people choose by path: a file, or a folder and all below it; the empty path is everything. */
import { compareKeys } from '../domain/entry.ts';
import type { ManifestEntry } from './entry.ts';
import { entries, findEntry } from './reader.ts';
import type { ManifestRoot } from './root.ts';
import type { ReaderContext } from './segment.ts';

/** The path of a folder may end in a slash or not. */
function trimmed(path: string): string {
  return path.replace(/\/+$/, '');
}

/** Whether there is anything at that path. */
export async function holdsPath(context: ReaderContext, root: ManifestRoot, path: string): Promise<boolean> {
  const key = trimmed(path);
  if (key === '') return true;
  const entry = await findEntry(context, root, key);
  return (entry !== undefined && !entry.deleted) || hasBelow(context, root, `${key}/`);
}

/** All that is at those paths and below, each entry once, a folder before what is in it. */
export async function* selectEntries(context: ReaderContext, root: ManifestRoot, paths: string[]): AsyncGenerator<ManifestEntry> {
  for (const key of outermost(paths)) {
    if (key === '') return yield* entries(context, root);
    const entry = await findEntry(context, root, key);
    if (entry && !entry.deleted) yield entry;
    yield* entries(context, root, { prefix: `${key}/` });
  }
}

/** Whether something lies below what is itself no folder, as in S3, where `a` and `a/b` can both be objects. */
export function isFolderToo(context: ReaderContext, root: ManifestRoot, { key }: ManifestEntry): Promise<boolean> {
  return hasBelow(context, root, `${key}/`);
}

async function hasBelow(context: ReaderContext, root: ManifestRoot, prefix: string): Promise<boolean> {
  for await (const _entry of entries(context, root, { prefix, limit: 1 })) return true;
  return false;
}

/** The paths without those that lie below another of them. */
function outermost(paths: string[]): string[] {
  const all = new Set(paths.map(trimmed));
  if (all.has('')) return [''];
  const isCovered = (path: string) => {
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      if (all.has(path.slice(0, slash))) return true;
    }
    return false;
  };
  return [...all].filter((path) => !isCovered(path)).sort(compareKeys);
}
