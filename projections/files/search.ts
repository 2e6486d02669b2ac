/** Searches files by the name blocks of the manifests. There is no index to maintain. */
import { displayPath } from '../../domain/entry.ts';
import type { Platform } from '../../domain/ports.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { findEntry, listTree, openManifest, type ReaderContext } from '../../vault/reader.ts';
import { searchKeys } from '../../vault/search.ts';
import type { RestorePoint } from '../files.ts';
import {
  type FilesPosition,
  type FileView,
  fileView,
  findRestorePoint,
  heldSources,
  mimeTypeOf,
  namingDamage,
  readerContext,
} from './listing.ts';

export type FilesSearch = {
  /** The path must contain every word. Case and accents do not matter. An empty query matches everything. */
  query: string;
  sourceId?: string | undefined;
  /** One must match: a MIME type, a group (`image/*`, `image`), a file name extension (`pdf`, `.pdf`) or a kind. */
  types?: string[] | undefined;
  /** Bytes, inclusive. With either of them, only files match. */
  minSize?: number | undefined;
  maxSize?: number | undefined;
  /** ISO-8601, inclusive `modifiedAfter` and exclusive `modifiedBefore`. Entries without a time do not match. */
  modifiedAfter?: string | undefined;
  modifiedBefore?: string | undefined;
  /** UTC ISO-8601, inclusive: searches the newest restore point up to then. */
  asOf?: string | undefined;
};

/** Maximum number of matches of the words that one page examines, so that a request ends in time. */
const examineLimit = 1_000_000;
/** Opening a source counts as this many matches, so many empty sources also end a page. */
const sourceCost = 200;
/** Matches whose entries are read at once. */
const parallelReads = 16;

/**
 * A page of matches in path order, source by source. Pages are complete, unless the filters refuse more than
 * `examineLimit` matches of the words. Then a page has fewer items than `limit`, and a `next`.
 */
export async function searchFiles(
  platform: Platform,
  account: string,
  search: FilesSearch,
  page: { limit: number; position?: FilesPosition; examine?: number },
): Promise<{ items: FileView[]; next: FilesPosition | null }> {
  const ctx = await readerContext(platform, account);
  const matches = matcher(search);
  const words = search.query.split(/\s+/).filter(Boolean);
  const items: FileView[] = [];
  let budget = page.examine ?? examineLimit;
  const sources = search.sourceId ? [search.sourceId] : heldSources(platform, account, page.position?.sourceId);
  for await (const sourceId of sources) {
    let after = page.position?.sourceId === sourceId ? page.position.after : null;
    if (budget <= 0) return { items, next: { sourceId, after } };
    budget -= sourceCost;
    const restorePoint = await findRestorePoint(platform, account, { sourceId, asOf: search.asOf });
    if (!restorePoint) continue;
    let examined = 0;
    const found = entriesWith(ctx, restorePoint, words, after);
    for await (const entry of namingDamage(platform, account, restorePoint, found)) {
      // A page examines at least one match, else paging would not end.
      if (items.length === page.limit || (budget <= 0 && examined > 0)) return { items, next: { sourceId, after } };
      if (matches(entry)) items.push(fileView(ctx, restorePoint, entry));
      after = entry.key;
      budget--;
      examined++;
    }
  }
  return { items, next: null };
}

/** The entries whose paths contain every word, in path order. */
async function* entriesWith(
  ctx: ReaderContext,
  restorePoint: RestorePoint,
  words: string[],
  after: string | null,
): AsyncGenerator<ManifestEntry> {
  const root = await openManifest(ctx, restorePoint.manifest);
  if (words.length === 0) return yield* listTree(ctx, root, '', after === null ? {} : { after });
  let keys: string[] = [];
  const read = async () => {
    const found = await Promise.all(keys.map((key) => findEntry(ctx, root, key)));
    keys = [];
    return found.filter((entry) => entry !== undefined && !entry.implied && !entry.deleted) as ManifestEntry[];
  };
  for await (const key of searchKeys(ctx, root, words, after ?? undefined)) {
    keys.push(key);
    if (keys.length === parallelReads) yield* await read();
  }
  yield* await read();
}

function matcher(search: FilesSearch): (entry: ManifestEntry) => boolean {
  const { types, minSize = 0, maxSize = Number.POSITIVE_INFINITY, modifiedAfter, modifiedBefore } = search;
  const after = modifiedAfter === undefined ? Number.NEGATIVE_INFINITY : Date.parse(modifiedAfter);
  const before = modifiedBefore === undefined ? Number.POSITIVE_INFINITY : Date.parse(modifiedBefore);
  const timed = modifiedAfter !== undefined || modifiedBefore !== undefined;
  const sized = search.minSize !== undefined || search.maxSize !== undefined;
  return (entry) => {
    if (sized && (entry.kind !== 'file' || entry.size < minSize || entry.size > maxSize)) return false;
    const at = entry.modifiedAt === null ? Number.NaN : Date.parse(entry.modifiedAt);
    if (timed && !(at >= after && at < before)) return false;
    return !types || types.some((type) => matchesType(entry, displayPath(entry.key).path, type.trim().toLowerCase()));
  };
}

const kinds = ['file', 'folder', 'link'];
/** The top-level media types: https://www.iana.org/assignments/media-types */
const groups = ['application', 'audio', 'font', 'image', 'message', 'model', 'multipart', 'text', 'video'];

function matchesType(entry: ManifestEntry, path: string, type: string): boolean {
  if (kinds.includes(type)) return entry.kind === type;
  if (entry.kind !== 'file') return false;
  if (!type.includes('/') && !groups.includes(type))
    return path.toLowerCase().endsWith(type.startsWith('.') ? type : `.${type}`);
  const mimeType = mimeTypeOf(entry, path)?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (groups.includes(type)) return mimeType.startsWith(`${type}/`);
  return type.endsWith('/*') ? mimeType.startsWith(type.slice(0, -1)) : mimeType === type;
}
