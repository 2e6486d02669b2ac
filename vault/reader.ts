/** Queries on manifests. Each reads only the nodes and segments it needs, whatever the number of entries. */

import type { ManifestRef } from '../domain/backup-chain.ts';
import {
  compareEntries,
  comparePositions,
  type EntryPosition,
  folderKeys,
  impliedEntry,
  parentOf,
  positionOf,
} from '../domain/entry.ts';
import { free } from './bytes.ts';
import { type Cache, remembered } from './cache.ts';
import { VaultDamage } from './damage.ts';
import { decodeStates, type EntryState, type ManifestEntry } from './entry.ts';
import { firstIndex } from './first-index.ts';
import { type MetadataRef, type ReaderContext, readMetadata } from './metadata.ts';
import { decodingForSearch, type SearchBlock, sizeOfNames } from './names.ts';
import { decodeNode, type ManifestNode, type ManifestRoot, type NodeRef, readNode, readRoot } from './root.ts';
import { type Extent, readSegments, type SegmentRef } from './segment.ts';
import { inTurns } from './turns.ts';

export type { ReaderContext } from './metadata.ts';
export type { ManifestRoot } from './root.ts';

/** Caches, limited in entries, in references of all manifests together, and in bytes of names. */
const segments = remembered<ManifestEntry[]>(32 * 1024, (entries) => entries.length);
const roots = remembered<ManifestRoot>(32 * 1024, (root) => 1 + root.nodes.length);
const nodes = remembered<ManifestNode>(32 * 1024, (node) => 1 + node.segments.length);
const names = remembered<SearchBlock>(128 * 1024 * 1024, sizeOfNames);

/** @throws VaultDamage when the manifest is missing or damaged, or its hash differs from the log */
export function openManifest(context: ReaderContext, ref: ManifestRef): Promise<ManifestRoot> {
  return roots(context).get(`${ref.id} ${ref.hash}`, () => readRoot(context, ref));
}

/** The content of a node, cached. @throws VaultDamage */
export function openNode(context: ReaderContext, ref: NodeRef): Promise<ManifestNode> {
  return nodes(context).get(ref.sha256, () => readNode(context, ref));
}

/** The names of the nodes, cached, one block after another. Reads adjacent ones at once. @throws VaultDamage */
export async function* openNames(context: ReaderContext, refs: NodeRef[]): AsyncGenerator<SearchBlock> {
  const opened = inOrder(nodes(context), refs, readMetadata.bind(null, context, 'node'), async (bytes) =>
    decodeNode(bytes),
  );
  const blocks: MetadataRef[] = [];
  for await (const node of opened) blocks.push(node.names);
  const decode = (bytes: Uint8Array) => inTurns(decodingForSearch(bytes));
  yield* inOrder(names(context), blocks, readMetadata.bind(null, context, 'names'), decode);
}

/** The objects in order, from the cache or read. */
async function* inOrder<T>(
  cache: Cache<T>,
  refs: MetadataRef[],
  read: (refs: MetadataRef[]) => AsyncGenerator<Uint8Array>,
  decode: (bytes: Uint8Array) => Promise<T>,
): AsyncGenerator<T> {
  let reading: AsyncGenerator<Uint8Array> | undefined;
  let next = 0;
  for (const [i, { sha256 }] of refs.entries()) {
    yield await cache.get(sha256, async () => {
      if (!reading || next !== i) {
        const known = refs.findIndex((ref, at) => at > i && cache.has(ref.sha256));
        reading = read(refs.slice(i, known < 0 ? undefined : known));
      }
      next = i + 1;
      return decode((await reading.next()).value);
    });
  }
}

export type EntryQuery = {
  /** From this position on, inclusive. */
  from?: EntryPosition;
  /** Only entries after this key. */
  after?: string;
  /** Only entries before this position. */
  to?: EntryPosition;
  /** Includes entries of deleted keys. */
  includeDeleted?: boolean;
};

/** The position after all entries in the folder and below it. `0` follows `/` in ASCII. Undefined: the end. */
export function endOf(folder: string): EntryPosition | undefined {
  return folder === '' ? undefined : { parent: `${folder.slice(0, -1)}0`, key: '' };
}

/** The positions of everything below a folder (`''` or a key that ends in `/`), without the folder itself. */
export function below(folder: string): EntryQuery {
  const to = endOf(folder);
  return { from: { parent: folder, key: '' }, ...(to && { to }) };
}

/** The positions of the entries in the folder, without deeper ones. */
export function within(folder: string): { from: EntryPosition; to: EntryPosition } {
  return { from: { parent: folder, key: '' }, to: { parent: `${folder}\0`, key: '' } };
}

/** Entries in order, with implied folders. A caller that stops early causes no further reads. */
export async function* entries(
  context: ReaderContext,
  root: ManifestRoot,
  query: EntryQuery = {},
): AsyncGenerator<ManifestEntry> {
  const { after, to, includeDeleted = false } = query;
  const from = startOf(query);
  for (const node of extentsFrom(root.nodes, from)) {
    if (to && comparePositions(positionOf(node.first), to) >= 0) return;
    if (!includeDeleted && node.live === 0) continue;
    for (const segment of extentsFrom((await openNode(context, node)).segments, from)) {
      if (to && comparePositions(positionOf(segment.first), to) >= 0) return;
      if (!includeDeleted && segment.live === 0) continue;
      const held = await segmentOf(context, segment);
      for (let at = from ? firstNotBefore(held, from) : 0; at < held.length; at++) {
        const entry = held[at] as ManifestEntry;
        if (to && comparePositions(positionOf(entry.key), to) >= 0) return;
        if (entry.key !== after && (includeDeleted || !entry.deleted)) yield entry;
      }
    }
  }
}

/** The number of segments that `entryStates` reads at once. */
const readAhead = 16;

/**
 * All entries after the position as a comparison needs them, in batches. It does not use the caches. An entry whose
 * content is in a lost pack gets `lostRevision`.
 */
export async function* entryStates(
  context: ReaderContext,
  root: ManifestRoot,
  after: EntryPosition | null,
  lost: ReadonlySet<string>,
): AsyncGenerator<EntryState[]> {
  const from = after ?? undefined;
  for (const node of extentsFrom(root.nodes, from)) {
    const { names, segments: all } = await readNode(context, node);
    // Without its names a node cannot be searched. So the run makes a new manifest.
    if (lost.has(names.pack)) throw new VaultDamage('manifest', `${names.pack}, which holds names, is lost`);
    const refs = [...extentsFrom(all, from)];
    for (let at = 0; at < refs.length; at += readAhead) {
      const ahead = refs.slice(at, at + readAhead);
      for await (const bytes of readMetadata(context, 'segment', ahead)) {
        const { states, names: packs } = decodeStates(bytes);
        free(bytes);
        if (packs.some((name) => lost.has(name))) await markLost(context, ahead, states, lost);
        yield after === null ? states : states.filter(({ key }) => comparePositions(positionOf(key), after) > 0);
      }
    }
  }
}

/** Marks the states whose content is in a lost pack. */
async function markLost(
  context: ReaderContext,
  refs: SegmentRef[],
  states: EntryState[],
  lost: ReadonlySet<string>,
): Promise<void> {
  const ref = refs.find(({ first }) => first === states[0]?.key);
  if (!ref) return;
  for (const [i, { chunks = [] }] of (await segmentOf(context, ref)).entries()) {
    const state = states[i];
    if (state && chunks.some(({ pack }) => lost.has(pack))) state.revision = lostRevision;
  }
}

/** The revision of entries whose content is lost. No connector gives it. */
export const lostRevision = '\0lost';

function startOf({ from, after }: EntryQuery): EntryPosition | undefined {
  const position = after === undefined ? undefined : positionOf(after);
  if (!from || !position) return from ?? position;
  return comparePositions(from, position) > 0 ? from : position;
}

/** The ranges that hold entries at or after the position. */
export function* extentsFrom<T extends Extent>(extents: T[], from: EntryPosition | undefined): Generator<T> {
  for (let i = from ? extentAt(extents, from) : 0; i < extents.length; i++) yield extents[i] as T;
}

/** The index of the first range whose last entry is at or after the position. */
function extentAt(extents: Extent[], from: EntryPosition): number {
  return firstIndex(extents.length, (at) => isKeyBefore((extents[at] as Extent).last, from));
}

function firstNotBefore(held: ManifestEntry[], from: EntryPosition): number {
  return firstIndex(held.length, (at) => isKeyBefore((held[at] as ManifestEntry).key, from));
}

function isKeyBefore(key: string, position: EntryPosition): boolean {
  return comparePositions(positionOf(key), position) < 0;
}

async function segmentOf(context: ReaderContext, ref: SegmentRef): Promise<ManifestEntry[]> {
  return segments(context).get(ref.sha256, async () => {
    for await (const read of readSegments(context, [ref])) return read;
    return [];
  });
}

/** The entry of exactly that key, even if it is `deleted` or implied. */
export async function findEntry(
  context: ReaderContext,
  root: ManifestRoot,
  key: string,
): Promise<ManifestEntry | undefined> {
  const position = positionOf(key);
  const node = root.nodes[extentAt(root.nodes, position)];
  if (!node || compareEntries(node.first, key) > 0) return undefined;
  const { segments: refs } = await openNode(context, node);
  const segment = refs[extentAt(refs, position)];
  if (!segment || compareEntries(segment.first, key) > 0) return undefined;
  const held = await segmentOf(context, segment);
  const entry = held[firstNotBefore(held, position)];
  return entry?.key === key ? entry : undefined;
}

/** Whether something exists below the folder. */
export async function hasBelow(context: ReaderContext, root: ManifestRoot, folder: string): Promise<boolean> {
  for await (const _entry of entries(context, root, below(folder))) return true;
  return false;
}

/** The key of the folder at that path, as users write paths. `''` is the root. The folder need not exist. */
export async function folderAt(context: ReaderContext, root: ManifestRoot, path: string): Promise<string> {
  const [first = '', usual] = folderKeys(path);
  if (usual === undefined || (await hasBelow(context, root, first))) return first;
  const own = await findEntry(context, root, first);
  return own && !own.deleted ? first : usual;
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

export type ListOptions = { after?: string; includeDeleted?: boolean };

/**
 * The entries of a folder (`''` or a key that ends in `/`), in the order of their keys. Deeper entries are not read.
 * `after` is the key of the last item of the page before. In S3 a file can have the key of the folder. It counts as an
 * entry of the folder, with an empty name, and the folder above shows an implied folder for it.
 */
export async function* listFolder(
  context: ReaderContext,
  root: ManifestRoot,
  folder: string,
  { after, includeDeleted = false }: ListOptions = {},
): AsyncGenerator<ManifestEntry> {
  if (after === undefined) yield* fileOfFolder(context, root, folder, includeDeleted);
  const last = after === undefined || after === folder ? undefined : after;
  const query = { ...within(folder), ...(last !== undefined && { after: last }) };
  for await (const entry of entries(context, root, { ...query, includeDeleted }))
    yield entry.kind === 'folder' || !entry.key.endsWith('/') ? entry : folderOf(entry);
}

/** The file that has the key of the folder. */
async function* fileOfFolder(
  context: ReaderContext,
  root: ManifestRoot,
  folder: string,
  includeDeleted: boolean,
): AsyncGenerator<ManifestEntry> {
  const entry = folder === '' ? undefined : await findEntry(context, root, folder);
  if (entry && entry.kind !== 'folder' && (includeDeleted || !entry.deleted)) yield entry;
}

/** The folder that has the key of a file. */
function folderOf({ key, runId, at, deleted }: ManifestEntry): ManifestEntry {
  return { ...impliedEntry(key), runId, at, version: 1, ...(deleted && { deleted }) };
}

/**
 * Everything below a folder in path order, without the folder itself and without implied folders. `after` is the key of
 * the last item of the page before. It holds one position for each level of folders.
 */
export async function* listTree(
  context: ReaderContext,
  root: ManifestRoot,
  folder: string,
  { after, includeDeleted = false }: ListOptions = {},
): AsyncGenerator<ManifestEntry> {
  const list = (of: string, from?: string) => {
    const options = { includeDeleted, ...(from !== undefined && { after: from }) };
    return listFolder(context, root, of, options);
  };
  const levels =
    after === undefined ? [list(folder)] : foldersTo(after, folder).map((of, i, all) => list(of, all[i + 1] ?? after));
  // The page before may have ended with a folder. Its entries follow.
  if (after?.endsWith('/') && after !== folder) levels.push(list(after, after));
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    const next = await level.next();
    if (next.done) {
      levels.pop();
      continue;
    }
    const entry = next.value;
    if (!entry.implied) yield entry;
    // The first entry of a level may be the file that has the key of the folder.
    if (entry.kind === 'folder' && entry.key.endsWith('/')) levels.push(list(entry.key));
  }
}

/** The folders from `from` down to the parent folder of the key. Only `from` if the key is not below it. */
export function foldersTo(key: string, from = ''): string[] {
  const folders: string[] = [];
  for (let folder = parentOf(key); folder !== from && folder.startsWith(from); folder = parentOf(folder))
    folders.unshift(folder);
  return [from, ...folders];
}
