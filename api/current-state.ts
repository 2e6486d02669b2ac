/**
 * Queries that read the event store, not a read model. A route uses them when it must see a change at once: read models
 * lag behind the event store.
 */
import { decrypt } from '../activity/personal-data.ts';
import { load } from '../activity/store.ts';
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

export type ZipDownload =
  | { status: 'preparing' }
  | { status: 'failed'; reason: DownloadFailure | null }
  /** `until`: when the zip is deleted. `backedUpAt`: time of the restore point. */
  | { status: 'ready'; until: string; paths: string[]; backedUpAt: string };

/** Throws Problem `not-found`, and `gone` once the zip has expired or its source is erased. */
export async function findZipDownload(platform: Platform, account: string, id: string): Promise<ZipDownload> {
  const { state } = await load(platform, download, streamName(account, 'download', id));
  if (state.status === 'none' || state.status === 'file') {
    throw new Problem(
      'not-found',
      `Download ${id} does not exist. Request one with POST /data/download and \`paths\`.`,
    );
  }
  const { until, backedUpAt } = state.request;
  const paths = await plain(platform, account, state.request.paths);
  if (platform.now() >= Date.parse(until) || !paths) {
    throw new Problem('gone', 'The download has expired. Request another with POST /data/download.');
  }
  switch (state.status) {
    case 'preparing':
      return { status: 'preparing' };
    case 'failed':
      return { status: 'failed', reason: await plain(platform, account, state.reason) };
    case 'ready':
      return { status: 'ready', until, paths, backedUpAt };
  }
}

async function plain<T extends Json>(platform: Platform, account: string, value: Personal<T>): Promise<T | null> {
  return isEncrypted(value) ? decrypt<T>(platform, account, value) : value;
}
