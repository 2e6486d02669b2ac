/** Searches files by a scan of the newest manifests. There is no index to maintain, and a page does bounded work. */
import { displayPath } from '../../domain/entry.ts';
import type { Platform } from '../../domain/ports.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { entries, openManifest } from '../../vault/reader.ts';
import {
  type FilesPosition,
  type FileView,
  fileView,
  findRestorePoint,
  heldSources,
  mimeTypeOf,
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
};

/** Maximum number of entries that one page scans. */
const scanLimit = 50_000;
/** Opening a source counts as this many entries, so many empty sources also end a page. */
const sourceCost = 200;

/** A page of matches in key order, source by source. It may have fewer items than `limit`, even none, and a `next`. */
export async function searchFiles(
  platform: Platform,
  account: string,
  search: FilesSearch,
  page: { limit: number; position?: FilesPosition; scan?: number },
): Promise<{ items: FileView[]; next: FilesPosition | null }> {
  const ctx = await readerContext(platform, account);
  const matches = matcher(search);
  const items: FileView[] = [];
  let budget = page.scan ?? scanLimit;
  const sources = search.sourceId ? [search.sourceId] : heldSources(platform, account, page.position?.sourceId);
  for await (const sourceId of sources) {
    let after = page.position?.sourceId === sourceId ? page.position.after : null;
    if (budget <= 0) return { items, next: { sourceId, after } };
    budget -= sourceCost;
    const restorePoint = await findRestorePoint(platform, account, { sourceId });
    if (!restorePoint) continue;
    let scanned = 0;
    for await (const entry of entries(
      ctx,
      await openManifest(ctx, restorePoint.manifest),
      after === null ? {} : { after },
    )) {
      // A page scans at least one entry, else paging would not end.
      if (items.length === page.limit || (budget <= 0 && scanned > 0)) return { items, next: { sourceId, after } };
      if (matches(entry)) items.push(fileView(ctx, restorePoint, entry));
      after = entry.key;
      budget--;
      scanned++;
    }
  }
  return { items, next: null };
}

function matcher(search: FilesSearch): (entry: ManifestEntry) => boolean {
  const { types, minSize = 0, maxSize = Number.POSITIVE_INFINITY, modifiedAfter, modifiedBefore } = search;
  const words = folded(search.query).split(/\s+/).filter(Boolean);
  const after = modifiedAfter === undefined ? Number.NEGATIVE_INFINITY : Date.parse(modifiedAfter);
  const before = modifiedBefore === undefined ? Number.POSITIVE_INFINITY : Date.parse(modifiedBefore);
  const timed = modifiedAfter !== undefined || modifiedBefore !== undefined;
  const sized = search.minSize !== undefined || search.maxSize !== undefined;
  return (entry) => {
    if (sized && (entry.kind !== 'file' || entry.size < minSize || entry.size > maxSize)) return false;
    const at = entry.modifiedAt === null ? Number.NaN : Date.parse(entry.modifiedAt);
    if (timed && !(at >= after && at < before)) return false;
    const { path } = displayPath(entry.key);
    if (types && !types.some((type) => matchesType(entry, path, type.trim().toLowerCase()))) return false;
    const text = words.length > 0 ? folded(path) : '';
    return words.every((word) => text.includes(word));
  };
}

const plain = /^[\x20-\x7e]*$/;

/** Removes accents (Unicode NFKD without marks) and converts to upper case, which maps `ß` to `SS` and `ς` to `Σ`. */
export function folded(text: string): string {
  return plain.test(text) ? text.toUpperCase() : text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toUpperCase();
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
