/** Queries on manifests. Each reads only the segments it needs, whatever the number of entries. */

import type { ManifestRef } from '../domain/backup-chain.ts';
import { compareKeys, folderKeys } from '../domain/entry.ts';
import { remembered } from './cache.ts';
import type { ManifestEntry } from './entry.ts';
import { type ManifestRoot, readRoot } from './root.ts';
import { type ReaderContext, readSegment, type SegmentRef } from './segment.ts';

export type { ReaderContext } from './segment.ts';

export type EntryQuery = {
  /** Only keys that start with it. */
  prefix?: string;
  /** From this key on, inclusive. */
  from?: string;
  /** From this key on, exclusive. */
  after?: string;
  limit?: number;
  /** Includes entries of deleted keys. */
  includeDeleted?: boolean;
};

/** `implied`: a folder without an entry of its own, known only from the keys below it, as in S3. */
export type ListedEntry = ManifestEntry & { implied?: true };

/** Caches, limited in entries and segment references of all manifests together. */
const segments = remembered<ManifestEntry[]>(32 * 1024, (entries) => entries.length);
const roots = remembered<ManifestRoot>(32 * 1024, (root) => 1 + root.segments.length);

/** @throws VaultDamage when the manifest is missing or damaged, or is not the one that the log recorded */
export function openManifest(context: ReaderContext, ref: ManifestRef): Promise<ManifestRoot> {
  return roots(context).get(`${ref.id} ${ref.hash}`, () => readRoot(context, ref));
}

/** Entries in key order. A caller that stops early causes no further reads. */
export async function* entries(
  context: ReaderContext,
  root: ManifestRoot,
  query: EntryQuery = {},
): AsyncGenerator<ManifestEntry> {
  const { prefix = '', limit = Number.POSITIVE_INFINITY, includeDeleted = false, after } = query;
  const from = laterOf(laterOf(query.from ?? '', prefix), after ?? '');
  let left = limit;
  for (let i = segmentAt(root, from); left > 0 && i < root.segments.length; i++) {
    const segment = root.segments[i];
    if (!segment || (compareKeys(segment.first, prefix) > 0 && !segment.first.startsWith(prefix))) return;
    if (!includeDeleted && hasOnlyDeleted(segment)) continue;
    const held = await segmentOf(context, segment);
    for (let at = firstNotBefore(held, from); at < held.length; at++) {
      const entry = held[at];
      if (!entry?.key.startsWith(prefix)) return;
      if (entry.key === after || (entry.deleted && !includeDeleted)) continue;
      yield entry;
      if (--left <= 0) return;
    }
  }
}

/** The entry of exactly that key, even if it is `deleted`. */
export async function findEntry(
  context: ReaderContext,
  root: ManifestRoot,
  key: string,
): Promise<ManifestEntry | undefined> {
  const segment = root.segments[segmentAt(root, key)];
  if (!segment || compareKeys(segment.first, key) > 0) return undefined;
  const held = await segmentOf(context, segment);
  const entry = held[firstNotBefore(held, key)];
  return entry?.key === key ? entry : undefined;
}

/** The key of the folder at that path, as users write paths. `''` is the root. The folder need not exist. */
export async function folderAt(context: ReaderContext, root: ManifestRoot, path: string): Promise<string> {
  const [first = '', usual] = folderKeys(path);
  if (usual === undefined) return first;
  for await (const _entry of entries(context, root, { prefix: first, limit: 1 })) return first;
  return usual;
}

/**
 * The file or link with the name of the folder. In S3 both `a` and `a/b` can be objects. Undefined when there is none,
 * or when it is deleted.
 */
export async function namesake(
  context: ReaderContext,
  root: ManifestRoot,
  folder: string,
): Promise<ManifestEntry | undefined> {
  const key = folder.slice(0, -1);
  if (key === '' || key.endsWith('/')) return undefined;
  const entry = await findEntry(context, root, key);
  return entry?.deleted ? undefined : entry;
}

/**
 * All versions of a key, newest first, with deletions. `locate` returns the manifest with the hash that the log
 * recorded. The history ends where `locate` returns undefined, because that backup is no longer kept.
 */
export async function* versions(
  context: ReaderContext,
  root: ManifestRoot,
  key: string,
  locate: (manifest: string) => Promise<ManifestRef | undefined>,
): AsyncGenerator<ManifestEntry> {
  let entry = await findEntry(context, root, key);
  while (entry) {
    yield entry;
    const ref = entry.previous === undefined ? undefined : await locate(entry.previous);
    entry = ref && (await findEntry(context, await openManifest(context, ref), key));
  }
}

/**
 * The entries of a folder (`''` or a key that ends in `/`), in key order. Deeper entries are skipped without reading
 * them. With `recursive`, it yields all entries below the folder and no implied folders. `after` is the key of the last
 * item of the page before. In S3 a file can have the key of the folder. It counts as an entry of the folder, with an
 * empty name.
 */
export async function* listFolder(
  context: ReaderContext,
  root: ManifestRoot,
  folder: string,
  options: { recursive?: boolean; after?: string; limit?: number; includeDeleted?: boolean } = {},
): AsyncGenerator<ListedEntry> {
  const { after, includeDeleted = false, limit = Number.POSITIVE_INFINITY } = options;
  const base = { prefix: folder, includeDeleted };
  let left = limit;
  let next: EntryQuery = after === undefined ? {} : { after };
  if (!options.recursive && after?.endsWith('/') && after !== folder) next = { from: pastFolder(after) };
  while (left > 0) {
    let jump: string | undefined;
    for await (const entry of entries(context, root, { ...base, ...next })) {
      // The folder does not contain its own entry.
      if (entry.key === folder && entry.kind === 'folder') continue;
      const slash = options.recursive ? -1 : entry.key.indexOf('/', folder.length);
      if (slash < 0) yield entry;
      else {
        const key = entry.key.slice(0, slash + 1);
        yield key === entry.key && entry.kind === 'folder' ? entry : await impliedFolder(context, root, key, entry);
        jump = key;
      }
      left--;
      if (jump !== undefined || left <= 0) break;
    }
    if (jump === undefined) return;
    next = { from: pastFolder(jump) };
  }
}

/** An entry for a folder that has none. It is deleted when all entries below it are deleted. */
async function impliedFolder(
  context: ReaderContext,
  root: ManifestRoot,
  key: string,
  below: ManifestEntry,
): Promise<ListedEntry> {
  const { runId, at } = below;
  const folder: ListedEntry = {
    key,
    kind: 'folder',
    size: 0,
    modifiedAt: null,
    revision: '',
    version: 1,
    runId,
    at,
    implied: true,
  };
  if (!below.deleted) return folder;
  for await (const _entry of entries(context, root, { prefix: key, limit: 1 })) return folder;
  return { ...folder, deleted: true };
}

/** The first string after all keys in the folder: `0` follows `/` in ASCII. */
function pastFolder(key: string): string {
  return `${key.slice(0, -1)}0`;
}

function segmentOf(context: ReaderContext, segment: SegmentRef): Promise<ManifestEntry[]> {
  return segments(context).get(`${segment.manifest} ${segment.offset}`, () => readSegment(context, segment));
}

function hasOnlyDeleted({ totals }: SegmentRef): boolean {
  return totals.files + totals.folders + totals.links === 0;
}

/** Index of the first segment that may hold the key or a later one. */
function segmentAt(root: ManifestRoot, key: string): number {
  return firstWhere(root.segments.length, (i) => compareKeys(root.segments[i]?.last ?? '', key) >= 0);
}

function firstNotBefore(held: ManifestEntry[], key: string): number {
  return firstWhere(held.length, (i) => compareKeys(held[i]?.key ?? '', key) >= 0);
}

/** Binary search for the first index where `holds` is true. From there on it must stay true. */
function firstWhere(length: number, holds: (i: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function laterOf(a: string, b: string): string {
  return compareKeys(a, b) >= 0 ? a : b;
}
