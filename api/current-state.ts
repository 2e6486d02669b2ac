/**
 * Queries that read the event store, not a read model. A route uses them when it must see a change at once: read models
 * lag behind the event store.
 */
import { decrypt } from '../activity/personal-data.ts';
import { load } from '../activity/store.ts';
import type { ManifestRef } from '../domain/backup-chain.ts';
import { type DownloadFailure, download } from '../domain/download.ts';
import { Problem } from '../domain/errors.ts';
import { isEncrypted, type Personal, streamName } from '../domain/event.ts';
import { job, mustBeActive } from '../domain/job.ts';
import type { Json, Platform } from '../domain/ports.ts';
import { mustBeConnected, source } from '../domain/source.ts';

/** Throws Problem `not-found`. `createdAt` is UTC ISO-8601. */
export async function findJob(
  platform: Platform,
  account: string,
  id: string,
): Promise<{ sourceId: string; createdAt: string }> {
  const { state, createdAt } = await load(platform, job, streamName(account, 'job', id));
  mustBeActive(state, id);
  return { sourceId: state.sourceId, createdAt };
}

/** Throws Problem `not-found`. `createdAt` is UTC ISO-8601. */
export async function findSource(
  platform: Platform,
  account: string,
  id: string,
): Promise<{ type: string; createdAt: string }> {
  const { state, createdAt } = await load(platform, source, streamName(account, 'source', id));
  mustBeConnected(state, id);
  return { type: state.kind, createdAt };
}

export type PreparedDownload =
  | { status: 'preparing' }
  | { status: 'failed'; reason: DownloadFailure | null }
  /** `until`: when the export is deleted. `backedUpAt`: time of the restore point. `file`: the export is no zip. */
  | {
      status: 'ready';
      until: string;
      paths: string[];
      backedUpAt: string;
      size: number;
      file?: { manifest: ManifestRef; key: string };
    };

/** Throws Problem `not-found`, and `gone` once the export has expired or its source is erased. */
export async function findDownload(platform: Platform, account: string, id: string): Promise<PreparedDownload> {
  const { state } = await load(platform, download, streamName(account, 'download', id));
  if (state.status === 'none' || state.status === 'file') {
    throw new Problem('not-found', `Download ${id} does not exist. Request one with POST /data/download.`);
  }
  const { until, backedUpAt, file, manifest } = state.request;
  const paths = await plain(platform, account, state.request.paths);
  if (platform.now() >= Date.parse(until) || !paths) {
    throw new Problem('gone', 'The download has expired. Request another with POST /data/download.');
  }
  const [key = ''] = paths;
  switch (state.status) {
    case 'preparing':
      return { status: 'preparing' };
    case 'failed':
      return { status: 'failed', reason: await plain(platform, account, state.reason) };
    case 'ready':
      return {
        ...{ status: 'ready', until, paths, backedUpAt, size: state.size },
        ...(file && { file: { manifest, key } }),
      };
  }
}

async function plain<T extends Json>(platform: Platform, account: string, value: Personal<T>): Promise<T | null> {
  return isEncrypted(value) ? decrypt<T>(platform, account, value) : value;
}
