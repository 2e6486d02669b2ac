/** Grants a user access to backed-up content. The event store has the grant before the user gets a link. */
import { newId } from '../activity/ids.ts';
import { transact } from '../activity/store.ts';
import type { ManifestRef, RunIds } from '../domain/backup-chain.ts';
import { download, grantFile, grantZip, requestZip, zipLifetime } from '../domain/download.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import type { CommandContext, Written } from './context.ts';

/** Grants one version of one file. */
export async function grantFileDownload(
  platform: Platform,
  context: CommandContext,
  file: RunIds & { version: number; path: string },
): Promise<Written> {
  // A repeat after another backup may get another version, which needs a grant of its own.
  const commandId = `${context.commandId}|${file.runId}|${file.version}`;
  const downloadId = newId({ commandId }, 'download');
  const name = streamName(context.account, 'download', downloadId);
  const decide = grantFile({ downloadId, ...file, userId: context.actor.id });
  const { stream, version } = await transact(platform, download, name, decide, context);
  return { stream, version };
}

/** Requests a zip. The event starts the export. */
export async function requestZipDownload(
  platform: Platform,
  context: CommandContext,
  request: RunIds & { manifest: ManifestRef; backedUpAt: string; paths: string[] },
): Promise<{ id: string; written: Written }> {
  const downloadId = newId(context, 'download');
  const until = new Date(platform.now() + zipLifetime).toISOString();
  const name = streamName(context.account, 'download', downloadId);
  const decide = requestZip({ downloadId, ...request, until });
  const { stream, version } = await transact(platform, download, name, decide, context);
  return { id: downloadId, written: { stream, version } };
}

/** Grants a zip to the user, once for each user. Appends nothing while the zip is not ready. */
export async function grantZipDownload(platform: Platform, context: CommandContext, id: string): Promise<void> {
  const name = streamName(context.account, 'download', id);
  await transact(platform, download, name, grantZip(context.actor.id), context);
}
