/** Backed-up content is given out: on record before whoever asked gets an address. */

import { newId } from '../activity/ids.ts';
import { decrypt } from '../activity/personal-data.ts';
import { load, transact } from '../activity/store.ts';
import type { ManifestRef } from '../domain/backup-chain.ts';
import { type DownloadFailure, download, grantFile, grantZip, requestZip, zipLifetime } from '../domain/download.ts';
import { Problem } from '../domain/errors.ts';
import { isEncrypted, type Personal, streamName } from '../domain/event.ts';
import type { Json, Platform } from '../domain/ports.ts';
import type { CommandContext, Written } from './context.ts';

type Backup = { sourceId: string; jobId: string; runId: string };

/** For one version of one file. */
export async function grantFileDownload(
  platform: Platform,
  context: CommandContext,
  file: Backup & { version: number; path: string },
): Promise<Written> {
  // Asked for again after another backup it may be of another version: that is on record by itself.
  const { commandId } = context;
  const downloadId = newId({ commandId: `${commandId}|${file.runId}|${file.version}` }, 'download');
  const decide = grantFile({ downloadId, ...file, userId: context.actor.id });
  const { stream, version } = await transact(
    platform,
    download,
    streamName(context.account, 'download', downloadId),
    decide,
    context,
  );
  return { stream, version };
}

/** A zip is asked for; it is prepared because of the event. */
export async function requestZipDownload(
  platform: Platform,
  context: CommandContext,
  wanted: Backup & { manifest: ManifestRef; backedUpAt: string; paths: string[] },
): Promise<{ id: string; written: Written }> {
  const downloadId = newId(context, 'download');
  const until = new Date(platform.now() + zipLifetime).toISOString();
  const name = streamName(context.account, 'download', downloadId);
  const { stream, version } = await transact(
    platform,
    download,
    name,
    requestZip({ downloadId, ...wanted, until }),
    context,
  );
  return { id: downloadId, written: { stream, version } };
}

export type ZipDownload =
  | { status: 'preparing' }
  | { status: 'failed'; reason: DownloadFailure | null }
  | { status: 'ready'; until: string; paths: string[]; backedUpAt: string };

/** How far the zip is; the answer `ready` is on record, once a person. Throws Problem `not-found`, and `gone` when its day is over. */
export async function openZipDownload(platform: Platform, context: CommandContext, id: string): Promise<ZipDownload> {
  const { account, actor } = context;
  const stream = streamName(account, 'download', id);
  const { state } = await load(platform, download, stream);
  if (state.status === 'none' || state.status === 'file') {
    throw new Problem('not-found', `There is no download ${id}. POST /data/download with \`paths\` makes one.`);
  }
  const { until, backedUpAt } = state.request;
  const paths = await opened(platform, account, state.request.paths);
  if (platform.now() >= Date.parse(until) || !paths) {
    throw new Problem('gone', 'Downloads are kept for less than a day. POST /data/download makes another.');
  }
  if (state.status === 'preparing') return { status: 'preparing' };
  if (state.status === 'failed') return { status: 'failed', reason: await opened(platform, account, state.reason) };
  await transact(platform, download, stream, grantZip(actor.id), context);
  return { status: 'ready', until, paths, backedUpAt };
}

async function opened<T extends Json>(platform: Platform, account: string, value: Personal<T>): Promise<T | null> {
  return isEncrypted(value) ? decrypt<T>(platform, account, value) : value;
}
