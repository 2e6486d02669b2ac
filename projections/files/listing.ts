/**
 * Finds restore points, lists their files, and fills the pages of lists and searches. A listing is a range read over
 * the segments of the manifest.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import mime from 'mime';
import type { ManifestRef } from '../../domain/backup-chain.ts';
import { displayPath } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import { allOf } from '../../domain/pages.ts';
import type { Platform } from '../../domain/ports.ts';
import { VaultDamage } from '../../vault/damage.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { fileId } from '../../vault/file-id.ts';
import { deriveVaultKeys } from '../../vault/keys.ts';
import {
  folderAt,
  listFolder,
  listTree,
  type ManifestRoot,
  namesake,
  openManifest,
  type ReaderContext,
} from '../../vault/reader.ts';
import { currentRows } from '../engine/generations.ts';
import { prefixes, type RestorePoint } from '../files.ts';

export type FileView = {
  id: string;
  sourceId: string;
  jobId: string;
  path: string;
  pathBytes?: string;
  name: string;
  kind: 'file' | 'folder' | 'link';
  size: number;
  modifiedAt: string | null;
  sha256: string | null;
  mimeType: string | null;
  versions: number;
  runId: string;
};

export type FilesQuery = {
  sourceId?: string | undefined;
  jobId?: string | undefined;
  /** The path of a folder or a file. When both have that path, the listing has the file first. */
  path?: string | undefined;
  recursive: boolean;
  /** UTC ISO-8601, inclusive: lists the newest restore point up to then. */
  asOf?: string | undefined;
};

/** Where the next page starts: in this source, after this key, which need not exist. */
export type FilesPosition = { sourceId: string; after: string | null };

/** `work`: the limit of a page's work, in entries. Default: `pageWork`. */
export type FilesPage = { limit: number; position?: FilesPosition; work?: number };

/** A page of files in path order. Without a source or job it goes through all sources of the account. */
export function listFiles(
  platform: Platform,
  account: string,
  query: FilesQuery,
  page: FilesPage,
): Promise<{ items: FileView[]; next: FilesPosition | null }> {
  return fillPage(platform, account, query, page, async function* (ctx, root, after) {
    for await (const entry of entriesOf(ctx, root, query, after)) yield { passed: entry.key, entry, work: 1 };
  });
}

async function* entriesOf(
  ctx: ReaderContext,
  root: ManifestRoot,
  query: FilesQuery,
  after: string | null,
): AsyncGenerator<ManifestEntry> {
  const folder = await folderAt(ctx, root, query.path ?? '');
  const file = after === null ? await namesake(ctx, root, folder) : undefined;
  if (file) yield file;
  // The namesake is not below the folder: nothing of the folder was on the page before.
  const isFirst = after === null || `${after}/` === folder;
  yield* (query.recursive ? listTree : listFolder)(ctx, root, folder, isFirst ? {} : { after });
}

/** All items up to the key `passed` were yielded. `entry`: the next item. `work`: the cost of the step, in entries. */
export type PageStep = { passed: string; entry?: ManifestEntry; work: number };

/** The work of a page, in entries. It limits the reads of a request. */
const pageWork = 1_000_000;
/** Opening a source counts as this many entries, so many empty sources also end a page. */
const sourceWork = 200;
/** Steps between turns of the event loop, a few ms. With cached blocks and segments nothing else waits. */
const stepsPerTurn = 256;
/** A page ends after this time, ms. A request on AWS has 30 s. */
const pageTime = 10_000;

/**
 * A page of the items of one source or job, or of all sources, source by source. It ends with fewer than `limit` items
 * or none when its work or its time is used up, or before a damaged restore point. `next` is null only at the end.
 * @throws Problem `backup-damaged` if the page starts at the damage
 */
export async function fillPage(
  platform: Platform,
  account: string,
  query: RestorePointQuery,
  { limit, position, work = pageWork }: FilesPage,
  stepsOf: (ctx: ReaderContext, root: ManifestRoot, after: string | null) => AsyncIterable<PageStep>,
): Promise<{ items: FileView[]; next: FilesPosition | null }> {
  const ctx = await readerContext(platform, account);
  const items: FileView[] = [];
  const endsAt = platform.now() + pageTime;
  const isOne = query.sourceId !== undefined || query.jobId !== undefined;
  const sources = isOne ? [query.sourceId ?? ''] : heldSources(platform, account, position?.sourceId);
  let left = work;
  // Each page goes on at least a little, else paging would not end.
  let isOn = false;
  let steps = 0;
  const isOver = () => isOn && (left <= 0 || platform.now() >= endsAt);
  for await (const sourceId of sources) {
    let after = position?.sourceId === sourceId ? position.after : null;
    if (isOver()) return { items, next: { sourceId, after } };
    left -= sourceWork;
    const restorePoint = await findRestorePoint(platform, account, { ...query, sourceId });
    try {
      const root = restorePoint && (await openManifest(ctx, restorePoint.manifest));
      for await (const { passed, entry, work } of root ? stepsOf(ctx, root, after) : []) {
        if (items.length === limit || isOver()) return { items, next: { sourceId, after } };
        if (++steps % stepsPerTurn === 0) await turn();
        if (restorePoint && entry) items.push(fileView(ctx, restorePoint, entry));
        isOn ||= passed !== after;
        after = passed;
        left -= work;
      }
    } catch (error) {
      if (!restorePoint || !(error instanceof VaultDamage)) throw error;
      if (isOn) return { items, next: { sourceId, after } };
      throw await damaged(platform, account, restorePoint, error, isOne);
    }
    isOn = true;
  }
  return { items, next: null };
}

/**
 * Names the restore point, and the one before it. With more sources to come, `next` is the position behind the damaged
 * one.
 */
async function damaged(
  platform: Platform,
  account: string,
  { sourceId, jobId, runId, at }: RestorePoint,
  error: VaultDamage,
  isOne: boolean,
): Promise<Problem> {
  platform.log.error('a restore point is damaged', { runId }, error);
  const asOf = new Date(Date.parse(at) - 1).toISOString();
  const before = await findRestorePoint(platform, account, { sourceId, jobId, asOf });
  const alone = isOne ? '' : `sourceId=${sourceId} and `;
  const hint = before ? `Use the one before it with ${alone}asOf=${before.at}, or run` : 'Run';
  const others = isOne ? '' : ' To go on with the other sources, send `next` as the cursor.';
  // `~` comes after every id, so no source is skipped.
  const next: FilesPosition = { sourceId: `${sourceId}~`, after: null };
  return new Problem(
    'backup-damaged',
    `The restore point of run ${runId} (${at}) is damaged. ${hint} the job again.${others}`,
    {
      extra: {
        ...{ sourceId, runId, at },
        ...(before && { runIdBefore: before.runId, asOf: before.at }),
        ...(!isOne && { next: JSON.stringify(next) }),
      },
    },
  );
}

/** Selects the newest restore point of a source or a job, optionally as of a time. */
export type RestorePointQuery = Pick<FilesQuery, 'sourceId' | 'jobId' | 'asOf'>;

export async function findRestorePoint(
  platform: Platform,
  account: string,
  query: RestorePointQuery,
): Promise<RestorePoint | undefined> {
  const prefix = query.jobId ? `${prefixes.job}${query.jobId}#` : `${prefixes.source}${query.sourceId}#`;
  const { items } = await currentRows(platform).query({
    table: 'files',
    pk: account,
    from: prefix,
    // '$' is the character after '#', so restore points at exactly `asOf` are included.
    to: query.asOf ? `${prefix}${query.asOf}$` : `${prefix}~`,
    order: 'desc',
    limit: 1,
  });
  const restorePoint = items[0]?.data as RestorePoint | undefined;
  return restorePoint && query.sourceId && restorePoint.sourceId !== query.sourceId ? undefined : restorePoint;
}

/** The ids of the sources that have a restore point, in order, starting at `from`. */
export async function* heldSources(platform: Platform, account: string, from = ''): AsyncGenerator<string> {
  const range = { table: 'files', pk: account, from: `${prefixes.held}${from}`, to: `${prefixes.held}~` } as const;
  for await (const { data } of allOf((page) => currentRows(platform).query({ ...range, ...page })))
    yield String(data.sourceId);
}

/** The reference of a manifest as the log recorded it. Undefined when no restore point has that manifest. */
export async function manifestRef(platform: Platform, account: string, id: string): Promise<ManifestRef | undefined> {
  const row = await currentRows(platform).get({ table: 'files', pk: account, sk: `${prefixes.manifest}${id}` });
  return row?.data as ManifestRef | undefined;
}

/** The keys and caches to read an account's vault. Throws Problem `not-found` after the account is erased. */
export async function readerContext(platform: Platform, account: string): Promise<ReaderContext> {
  const key = await platform.keys.accountKey(account);
  if (!key) throw new Problem('not-found', 'This account was erased. Its files can no longer be read.');
  const recent = contexts.get(platform) ?? new LRUCache<string, ReaderContext>({ max: contextsKept });
  contexts.set(platform, recent);
  const ctx = recent.get(account) ?? { account, keys: deriveVaultKeys(key), blobs: platform.blobs };
  recent.set(account, ctx);
  return ctx;
}

/** A context caches decoded segments, so a client that fetches file after file decodes each segment once. */
const contexts = new WeakMap<Platform, LRUCache<string, ReaderContext>>();
/** Maximum number of contexts per process, to bound memory. */
const contextsKept = 2;

export function fileView(ctx: ReaderContext, restorePoint: RestorePoint, entry: ManifestEntry): FileView {
  const { path, bytes } = displayPath(entry.key);
  const { sourceId, jobId } = restorePoint;
  return {
    id: fileId(ctx.keys, { jobId, sourceId, key: entry.key }),
    sourceId,
    jobId,
    path,
    ...(bytes ? { pathBytes: Buffer.from(bytes).toString('base64') } : {}),
    name: nameIn(path),
    kind: entry.kind,
    size: entry.size,
    modifiedAt: entry.modifiedAt,
    sha256: entry.sha256 ?? null,
    mimeType: mimeTypeOf(entry, path),
    versions: entry.version,
    runId: entry.runId,
  };
}

export function nameIn(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The type from the source, else from the file name. */
export function mimeTypeOf(entry: ManifestEntry, path: string): string | null {
  return entry.kind === 'file' ? (entry.mimeType ?? mime.getType(nameIn(path))) : null;
}
