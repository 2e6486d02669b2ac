/** Searches files by the name blocks of the manifests. There is no index to maintain. */
import { displayPath } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import type { Platform } from '../../domain/ports.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { findEntry, listTree, type ManifestRoot, type ReaderContext } from '../../vault/reader.ts';
import { distinctWords, searchKeys } from '../../vault/search.ts';
import { type FilesPage, type FilesPosition, type FileView, fillPage, mimeTypeOf, type PageStep } from './listing.ts';

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

/** Matches whose entries are read at once. */
const parallelReads = 16;
/** The work of a search step that finds nothing, in entries. It reads up to 16 blocks, each like a segment. */
const passedWork = 16 * 1024;

/** Bounds the work for each name. */
const maxWords = 20;

/** A page of matches in path order, source by source. @throws Problem `invalid-input` for too many words */
export async function searchFiles(
  platform: Platform,
  account: string,
  search: FilesSearch,
  page: FilesPage,
): Promise<{ items: FileView[]; next: FilesPosition | null }> {
  const matches = matcher(search);
  const words = search.query.split(/\s+/).filter(Boolean);
  if (distinctWords(words).length > maxWords) {
    const message = `The query has more than ${maxWords} different words. Remove some words.`;
    throw new Problem('invalid-input', message, { errors: [{ path: 'query', message }] });
  }
  const { sourceId, asOf } = search;
  return fillPage(platform, account, { sourceId, asOf }, page, async function* (ctx, root, after) {
    for await (const { entry, ...step } of stepsWith(ctx, root, words, after))
      yield entry && matches(entry) ? { ...step, entry } : step;
  });
}

/** The entries whose paths contain every word, in path order. */
async function* stepsWith(
  ctx: ReaderContext,
  root: ManifestRoot,
  words: string[],
  after: string | null,
): AsyncGenerator<PageStep> {
  if (words.length === 0) {
    const entries = listTree(ctx, root, '', after === null ? {} : { after });
    for await (const entry of entries) yield { passed: entry.key, entry, work: 1 };
    return;
  }
  let keys: string[] = [];
  async function* read(): AsyncGenerator<PageStep> {
    const found = await Promise.allSettled(keys.map((key) => findEntry(ctx, root, key)));
    keys = [];
    for (const one of found) {
      if (one.status === 'rejected') throw one.reason;
      if (one.value) yield { passed: one.value.key, work: 1, ...(!one.value.implied && { entry: one.value }) };
    }
  }
  try {
    for await (const step of searchKeys(ctx, root, words, after ?? undefined)) {
      if ('key' in step) keys.push(step.key);
      if ('passed' in step || keys.length === parallelReads) yield* read();
      if ('passed' in step) yield { ...step, work: passedWork };
    }
  } catch (error) {
    // The matches before a damaged name block.
    yield* read();
    throw error;
  }
  yield* read();
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
