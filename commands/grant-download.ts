/** Grants a user access to backed-up content. The event store has the grant before the user gets a link. */
import { createHmac } from 'node:crypto';
import { newId } from '../activity/ids.ts';
import { transact } from '../activity/store.ts';
import type { ManifestRef, RunIds } from '../domain/backup-chain.ts';
import { download, exportKey, grantFile, grantZip, requestZip, zipLifetime } from '../domain/download.ts';
import { Problem } from '../domain/errors.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import type { CommandContext, Written } from './context.ts';
import { listExport } from './export-list.ts';

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

/**
 * Requests an export: a zip of the paths, or with `file` the file at the only path. The event starts the task. A
 * request of the same content joins the export that the account has. `id` is that of the export.
 * @throws Problem `rate-limited` when the account has reached its quota
 */
export async function requestExport(
  platform: Platform,
  context: CommandContext,
  request: RunIds & { manifest: ManifestRef; backedUpAt: string; paths: string[]; file?: { version: number } },
): Promise<{ id: string; written: Written }> {
  const { account } = context;
  const key = await platform.keys.accountKey(account);
  if (!key) throw new Problem('not-found', 'This account was erased. Its files can no longer be read.');
  const { manifest, paths, file } = request;
  const content = createHmac('sha256', key)
    .update(
      JSON.stringify(['listbackup/export-list/1', manifest.hash, [...new Set(paths)].sort(), file ? 'file' : 'zip']),
    )
    .digest('hex');
  const own = { id: newId(context, 'download'), until: new Date(platform.now() + zipLifetime).toISOString() };
  const isThere = async (id: string) => (await platform.blobs.size(exportKey(account, id))) !== undefined;
  const { id, until } = await listExport(platform, account, content, own, isThere);
  // Also for a listed export: the process that listed it may have ended before this.
  const decide = requestZip({ downloadId: id, ...request, until });
  const name = streamName(account, 'download', id);
  const { stream, version } = await transact(platform, download, name, decide, context);
  return { id, written: { stream, version } };
}

/** Grants a zip to the user, once for each user. Appends nothing while the zip is not ready. */
export async function grantZipDownload(platform: Platform, context: CommandContext, id: string): Promise<void> {
  const name = streamName(context.account, 'download', id);
  await transact(platform, download, name, grantZip(context.actor.id), context);
}
