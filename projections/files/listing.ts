/** Finds a restore point and lists its files. A listing is a range read over the segments of the manifest. */
import { LRUCache } from 'lru-cache';
import mime from 'mime';
import type { ManifestRef } from '../../domain/backup-chain.ts';
import { displayPath } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import type { Platform } from '../../domain/ports.ts';
import { VaultDamage } from '../../vault/damage.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { fileId } from '../../vault/file-id.ts';
import { deriveVaultKeys } from '../../vault/keys.ts';
import { folderAt, listFolder, listTree, namesake, openManifest, type ReaderContext } from '../../vault/reader.ts';
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

/** Where the next page starts: in this source, after this entry key. */
export type FilesPosition = { sourceId: string; after: string | null };

/** A page of files in path order. Without a source or job it goes through all sources of the account. */
export async function listFiles(
  platform: Platform,
  account: string,
  query: FilesQuery,
  page: { limit: number; position?: FilesPosition },
): Promise<{ items: FileView[]; next: FilesPosition | null }> {
  const ctx = await readerContext(platform, account);
  const items: FileView[] = [];
  const sources =
    query.sourceId || query.jobId ? [query.sourceId ?? ''] : heldSources(platform, account, page.position?.sourceId);
  for await (const sourceId of sources) {
    const restorePoint = await findRestorePoint(platform, account, { ...query, sourceId });
    if (!restorePoint) continue;
    let after = page.position?.sourceId === sourceId ? page.position.after : null;
    const all = entriesOf(ctx, restorePoint, query, after);
    for await (const entry of namingDamage(platform, account, restorePoint, all)) {
      if (items.length === page.limit) return { items, next: { sourceId, after } };
      items.push(fileView(ctx, restorePoint, entry));
      after = entry.key;
    }
  }
  return { items, next: null };
}

async function* entriesOf(
  ctx: ReaderContext,
  restorePoint: RestorePoint,
  query: FilesQuery,
  after: string | null,
): AsyncGenerator<ManifestEntry> {
  const root = await openManifest(ctx, restorePoint.manifest);
  const folder = await folderAt(ctx, root, query.path ?? '');
  const file = after === null ? await namesake(ctx, root, folder) : undefined;
  if (file) yield file;
  // The namesake is not below the folder: nothing of the folder was on the page before.
  const isFirst = after === null || `${after}/` === folder;
  yield* (query.recursive ? listTree : listFolder)(ctx, root, folder, isFirst ? {} : { after });
}

/**
 * Passes the items on. Throws Problem `backup-damaged` if the restore point is damaged. The problem names it, and the
 * restore point before it.
 */
export async function* namingDamage<T>(
  platform: Platform,
  account: string,
  { sourceId, jobId, runId, at }: RestorePoint,
  items: AsyncIterable<T>,
): AsyncGenerator<T> {
  try {
    yield* items;
  } catch (error) {
    if (!(error instanceof VaultDamage)) throw error;
    platform.log.error('a restore point is damaged', { runId }, error);
    const asOf = new Date(Date.parse(at) - 1).toISOString();
    const before = await findRestorePoint(platform, account, { sourceId, jobId, asOf });
    const hint = before ? `Use the one before it with asOf=${before.at}, or run` : 'Run';
    throw new Problem(
      'backup-damaged',
      `The restore point of run ${runId} (${at}) is damaged. ${hint} the job again.`,
      {
        extra: { runId, at, ...(before && { runIdBefore: before.runId, asOf: before.at }) },
      },
    );
  }
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
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await currentRows(platform).query({
      table: 'files',
      pk: account,
      from: `${prefixes.held}${from}`,
      to: `${prefixes.held}~`,
      limit: 1000,
      ...(cursor ? { cursor } : {}),
    });
    for (const row of items) yield String(row.data.sourceId);
    if (!next) return;
    cursor = next;
  }
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
