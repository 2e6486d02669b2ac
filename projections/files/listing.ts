/** Which backup is meant, and the files in it. Listing is a range read of a manifest's segments. */
import mime from 'mime';
import type { ManifestRef } from '../../domain/backup-chain.ts';
import { displayPath } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import type { Platform } from '../../domain/ports.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { fileId } from '../../vault/file-id.ts';
import { deriveVaultKeys } from '../../vault/keys.ts';
import { folderAt, listFolder, namesake, openManifest, type ReaderContext } from '../../vault/reader.ts';
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
  /** Of a folder, or of one file; of both where one is named like the other. */
  path?: string | undefined;
  recursive: boolean;
  /** UTC ISO-8601: the newest good backup not after it. */
  asOf?: string | undefined;
};

/** Where a page ended. */
export type FilesPosition = { sourceId: string; after: string | null };

/** A page of files in key order, source after source when none is named. */
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
    for await (const entry of entriesOf(ctx, restorePoint, query, after)) {
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
  yield* listFolder(ctx, root, folder, { recursive: query.recursive, ...(after === null ? {} : { after }) });
}

/** The newest good backup of a source or a job, or as of a time. */
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
    // '$' follows '#': whatever was at that very moment is still in.
    to: query.asOf ? `${prefix}${query.asOf}$` : `${prefix}~`,
    order: 'desc',
    limit: 1,
  });
  const restorePoint = items[0]?.data as RestorePoint | undefined;
  return restorePoint && query.sourceId && restorePoint.sourceId !== query.sourceId ? undefined : restorePoint;
}

/** The sources that have a backup, by id, from that one on. */
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

/** The manifest of that id as the log recorded it; undefined when its backup is no longer kept. */
export async function manifestRef(platform: Platform, account: string, id: string): Promise<ManifestRef | undefined> {
  const row = await currentRows(platform).get({ table: 'files', pk: account, sk: `${prefixes.manifest}${id}` });
  return row?.data as ManifestRef | undefined;
}

/** What it takes to read an account's vault. Throws Problem `not-found` once the account is erased. */
export async function readerContext(platform: Platform, account: string): Promise<ReaderContext> {
  const key = await platform.keys.accountKey(account);
  if (!key) throw new Problem('not-found', 'This account has been erased.');
  const recent = contexts.get(platform) ?? new Map<string, ReaderContext>();
  contexts.set(platform, recent);
  const ctx = recent.get(account) ?? { account, keys: deriveVaultKeys(key), blobs: platform.blobs };
  recent.delete(account);
  recent.set(account, ctx);
  for (const oldest of [...recent.keys()].slice(0, -contextsKept)) recent.delete(oldest);
  return ctx;
}

/** What was read last is kept with its context, so whoever fetches file after file decodes a segment once. An erased account gets none. */
const contexts = new WeakMap<Platform, Map<string, ReaderContext>>();
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

/** What the source said, else what the name says. */
export function mimeTypeOf(entry: ManifestEntry, path: string): string | null {
  return entry.kind === 'file' ? (entry.mimeType ?? mime.getType(nameIn(path))) : null;
}
