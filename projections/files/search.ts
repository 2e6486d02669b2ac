/** Search by walking the newest manifests: no index to keep, and each page does a bounded piece of work. */
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
  /** Words that all have to be in the path, each somewhere; none: everything. Neither case nor accents count. */
  query: string;
  sourceId?: string | undefined;
  /** One of them has to fit: a MIME type, a group of them (`image/*`, `image`), the ending of a name (`pdf`, `.pdf`), or a kind. */
  types?: string[] | undefined;
  /** Bytes, inclusive. Either of them leaves only files. */
  minSize?: number | undefined;
  maxSize?: number | undefined;
  /** ISO-8601; from `modifiedAfter` on, and before `modifiedBefore`. Either of them leaves out what has no time. */
  modifiedAfter?: string | undefined;
  modifiedBefore?: string | undefined;
};

/** Entries looked at for one page. */
const scanLimit = 50_000;
/** What opening a source counts as, so that many empty ones end a page too. */
const sourceCost = 200;

/** A page in key order, source after source. It may hold fewer items than asked for, even none, and still have a `next`. */
export async function searchFiles(
  platform: Platform,
  account: string,
  search: FilesSearch,
  page: { limit: number; position?: FilesPosition; scan?: number },
): Promise<{ items: FileView[]; next: FilesPosition | null }> {
  const ctx = await readerContext(platform, account);
  const fits = matcher(search);
  const items: FileView[] = [];
  let left = page.scan ?? scanLimit;
  const sources = search.sourceId ? [search.sourceId] : heldSources(platform, account, page.position?.sourceId);
  for await (const sourceId of sources) {
    let after = page.position?.sourceId === sourceId ? page.position.after : null;
    if (left <= 0) return { items, next: { sourceId, after } };
    left -= sourceCost;
    const restorePoint = await findRestorePoint(platform, account, { sourceId });
    if (!restorePoint) continue;
    let seen = 0;
    for await (const entry of entries(
      ctx,
      await openManifest(ctx, restorePoint.manifest),
      after === null ? {} : { after },
    )) {
      // At least one entry a page, or it would never end.
      if (items.length === page.limit || (left <= 0 && seen > 0)) return { items, next: { sourceId, after } };
      if (fits(entry)) items.push(fileView(ctx, restorePoint, entry));
      after = entry.key;
      left--;
      seen++;
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
    if (types && !types.some((type) => fitsType(entry, path, type.trim().toLowerCase()))) return false;
    const text = words.length > 0 ? folded(path) : '';
    return words.every((word) => text.includes(word));
  };
}

const plain = /^[\x20-\x7e]*$/;

/** Without accents (Unicode NFKD, marks left out) and in capitals, which `ß` and `ς` have in common with `ss` and `σ`. */
export function folded(text: string): string {
  return plain.test(text) ? text.toUpperCase() : text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toUpperCase();
}

const kinds = ['file', 'folder', 'link'];
/** The top-level media types of IANA's registry. */
const groups = ['application', 'audio', 'font', 'image', 'message', 'model', 'multipart', 'text', 'video'];

function fitsType(entry: ManifestEntry, path: string, type: string): boolean {
  if (kinds.includes(type)) return entry.kind === type;
  if (entry.kind !== 'file') return false;
  if (!type.includes('/') && !groups.includes(type))
    return path.toLowerCase().endsWith(type.startsWith('.') ? type : `.${type}`);
  const mimeType = mimeTypeOf(entry, path)?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (groups.includes(type)) return mimeType.startsWith(`${type}/`);
  return type.endsWith('/*') ? mimeType.startsWith(type.slice(0, -1)) : mimeType === type;
}
