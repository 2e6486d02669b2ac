/** Manifests as people browse them: range reads of segments, whatever the number of entries. */

import type { ManifestRef } from '../domain/backup-chain.ts';
import { compareKeys, folderKeys } from '../domain/entry.ts';
import { remembered } from './cache.ts';
import type { ManifestEntry } from './entry.ts';
import { type ManifestRoot, readRoot } from './root.ts';
import { type ReaderContext, readSegment, type SegmentRef } from './segment.ts';

export type { ReaderContext } from './segment.ts';

export type EntryQuery = {
  /** Only keys that begin so. */
  prefix?: string;
  /** From this key on. */
  from?: string;
  /** After this key. */
  after?: string;
  limit?: number;
  /** Entries of deleted keys too. */
  includeDeleted?: boolean;
};

/** What a folder holds. `implied`: a folder that has no entry and only shows in the names of what is below it, as in S3. */
export type ListedEntry = ManifestEntry & { implied?: true };

/** Entries and root rows held at most, of all manifests together. */
const segments = remembered<ManifestEntry[]>(32 * 1024, (entries) => entries.length);
const roots = remembered<ManifestRoot>(32 * 1024, (root) => 1 + root.segments.length);

/** VaultDamage when it is gone, damaged, or another one than the log recorded. */
export function openManifest(context: ReaderContext, ref: ManifestRef): Promise<ManifestRoot> {
  return roots(context).get(`${ref.id} ${ref.hash}`, () => readRoot(context, ref));
}

/** Entries in key order. A caller that stops early has read few segments more than it needed. */
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
    if (!includeDeleted && isDead(segment)) continue;
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

/** The entry of exactly that key, also when it is `deleted`. */
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

/** The key of the folder at that path as people write it, which may be there or not; `''` for the root. */
export async function folderAt(context: ReaderContext, root: ManifestRoot, path: string): Promise<string> {
  const [first = '', usual] = folderKeys(path);
  if (usual === undefined) return first;
  for await (const _entry of entries(context, root, { prefix: first, limit: 1 })) return first;
  return usual;
}

/** The file or link whose name is that of the folder, as in S3, where `a` and `a/b` can both be objects; undefined when it is none, or deleted. */
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
 * The versions of a key, newest first, deletions included, through the manifests that hold them. `locate` gives the hash that the log
 * recorded for a manifest; the history ends where it knows none, as that manifest's backup is no longer kept.
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
 * What lies in a folder (`''` or a key that ends in `/`), in key order; what is deeper is jumped over, not read. With `recursive`, every
 * entry below it, and no implied folders. `after` is the key of the last item seen. A file whose key is that of the folder, as S3 has them,
 * lies in it and has no name there.
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
      // The folder's own entry is not in it.
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

/** Stands in for the entry that the source does not have; it is deleted when all below it is. */
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
  for await (const _alive of entries(context, root, { prefix: key, limit: 1 })) return folder;
  return { ...folder, deleted: true };
}

/** The least string after all keys in the folder: `0` follows `/` in ASCII. */
function pastFolder(key: string): string {
  return `${key.slice(0, -1)}0`;
}

function segmentOf(context: ReaderContext, segment: SegmentRef): Promise<ManifestEntry[]> {
  return segments(context).get(`${segment.manifest} ${segment.offset}`, () => readSegment(context, segment));
}

function isDead({ totals }: SegmentRef): boolean {
  return totals.files + totals.folders + totals.links === 0;
}

/** Number of the first segment that may hold the key or a later one. */
function segmentAt(root: ManifestRoot, key: string): number {
  return firstWhere(root.segments.length, (i) => compareKeys(root.segments[i]?.last ?? '', key) >= 0);
}

function firstNotBefore(held: ManifestEntry[], key: string): number {
  return firstWhere(held.length, (i) => compareKeys(held[i]?.key ?? '', key) >= 0);
}

/** Binary search: `holds` is false up to some number and true from there on. */
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
