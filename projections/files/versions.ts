/** Finds the versions of a file in the manifests of its backup chain. */
import type { ManifestRef } from '../../domain/backup-chain.ts';
import { Problem } from '../../domain/errors.ts';
import type { Page, Platform } from '../../domain/ports.ts';
import { VaultDamage } from '../../vault/damage.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { parseFileId } from '../../vault/file-id.ts';
import { openManifest, type ReaderContext, versions } from '../../vault/reader.ts';
import { findRestorePoint, manifestRef, readerContext } from './listing.ts';

export type VersionView = {
  version: number;
  runId: string;
  at: string;
  size: number;
  sha256: string | null;
  deleted: boolean;
};

/** A version with content, and a manifest that contains it. */
export type FoundVersion = {
  entry: ManifestEntry & { sha256: string };
  manifest: ManifestRef;
  sourceId: string;
  jobId: string;
};

type FileRef = { ctx: ReaderContext; key: string; sourceId: string; jobId: string; newest: ManifestRef };

/**
 * A page of versions, newest first. A deletion is a version without content. The cursor is the manifest where the next
 * page starts, so later runs do not shift the pages. Throws Problem `not-found` for an id of no file of the account.
 */
export async function listVersions(
  platform: Platform,
  account: string,
  id: string,
  page: { limit: number; cursor?: string },
): Promise<Page<VersionView>> {
  const fileRef = await fileRefOf(platform, account, id);
  const start = page.cursor === undefined ? fileRef.newest : await manifestRef(platform, account, page.cursor);
  const items: VersionView[] = [];
  if (!start) return { items, next: null };
  for await (const { entry } of history(platform, fileRef, start)) {
    items.push(view(entry));
    if (items.length < page.limit || entry.previous === undefined) continue;
    return { items, next: (await manifestRef(platform, account, entry.previous)) ? entry.previous : null };
  }
  return { items, next: null };
}

/**
 * The version with that number, or the newest version with content. Also finds files that the source no longer has.
 * Throws Problem `not-found`, or `invalid-input` when the entry is a folder or a link.
 */
export async function findVersion(
  platform: Platform,
  account: string,
  id: string,
  version?: number,
): Promise<FoundVersion> {
  const fileRef = await fileRefOf(platform, account, id);
  const { key, sourceId, jobId } = fileRef;
  for await (const { entry, manifest } of history(platform, fileRef, fileRef.newest)) {
    if (version === undefined ? entry.deleted : entry.version > version) continue;
    if (version !== undefined && entry.version !== version) break;
    if (entry.deleted) throw noVersion(`Version ${version} is a deletion and has no content.`);
    if (entry.kind !== 'file' || entry.sha256 === undefined) throw noContent(entry.kind);
    return { entry: { ...entry, sha256: entry.sha256 }, manifest, sourceId, jobId };
  }
  if (key.endsWith('/')) throw noContent('folder');
  throw noVersion(
    version === undefined ? 'No restore point has a version of this file.' : `This file has no version ${version}.`,
  );
}

function noVersion(detail: string): Problem {
  return new Problem('not-found', `${detail} List its versions with GET /data/files/{id}/versions.`);
}

function noContent(kind: string): Problem {
  const message = `This id belongs to a ${kind}. Only files have content to download.`;
  return new Problem('invalid-input', message, { errors: [{ path: 'fileId', message }] });
}

async function fileRefOf(platform: Platform, account: string, id: string): Promise<FileRef> {
  const ctx = await readerContext(platform, account);
  const parts = parseFileId(ctx.keys, id);
  if (parts) {
    const { jobId, sourceId } = parts;
    let asOf: string | undefined;
    for (let tried = 1; ; tried++) {
      const restorePoint = await findRestorePoint(platform, account, { jobId, sourceId, asOf });
      if (!restorePoint) break;
      const opened = await openManifest(ctx, restorePoint.manifest).catch((error: unknown) => {
        if (!(error instanceof VaultDamage) || tried === maxTries) throw error;
      });
      if (opened) return { ctx, ...parts, newest: restorePoint.manifest };
      // The versions before a damaged restore point are still there.
      asOf = new Date(Date.parse(restorePoint.at) - 1).toISOString();
    }
  }
  throw new Problem('not-found', 'This file does not exist. List files with GET /data/files.');
}

const maxTries = 10;

async function* history(platform: Platform, { ctx, key }: FileRef, start: ManifestRef) {
  let manifest = start;
  const locate = async (id: string) => {
    const ref = await manifestRef(platform, ctx.account, id);
    if (ref) manifest = ref;
    return ref;
  };
  for await (const entry of versions(ctx, await openManifest(ctx, start), key, locate)) yield { entry, manifest };
}

function view({ version, runId, at, size, sha256, deleted }: ManifestEntry): VersionView {
  return { version, runId, at, size: deleted ? 0 : size, sha256: sha256 ?? null, deleted: deleted ?? false };
}
