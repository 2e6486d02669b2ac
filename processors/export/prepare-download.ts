/** Makes the zip of a download. Every step can repeat: the first complete zip counts. */
import { decrypt } from '../../activity/personal-data.ts';
import { load, transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { type DownloadFailure, type DownloadState, download, zipFailed, zipPrepared } from '../../domain/download.ts';
import { displayPath } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import { isEncrypted, parseStream } from '../../domain/event.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { deleteExports, exportKey, exportSize, noteExport, putExport } from '../../vault/exports.ts';
import { deriveVaultKeys } from '../../vault/keys.ts';
import { recordDamage } from '../../vault/pack-registry.ts';
import { openManifest, type ReaderContext } from '../../vault/reader.ts';
import { isFolderToo, selectEntries } from '../../vault/selection.ts';
import type { Deployment } from '../deployment.ts';
import { DamagedFile, type ZipEntry, zipOf } from './zip.ts';
import { zipName, zipNameBeside } from './zip-names.ts';

export const downloadRequested = 'download.requested.v1';

type Delivery = { readonly deadline: number };
type Preparing = Extract<DownloadState, { status: 'preparing' }>;

/** The deadline has passed. */
class DeadlinePassed extends Error {}
class TooManyEntries extends Error {}

/** Entries of one zip. Each takes about 1.2 KB of memory for the zip's directory. */
const maxZipEntries = 500_000;

/**
 * `event` is the request as the bus delivered it. Rejects when the message should be tried again. `last`: there is no
 * other try, so the download fails.
 */
export async function prepareDownload(
  deployment: Deployment,
  event: JsonObject,
  delivery: Delivery,
  last: boolean,
  maxEntries = maxZipEntries,
): Promise<void> {
  const { platform } = deployment;
  const stream = String(event.stream);
  const { account, id } = parseStream(stream);
  const { state } = await load(platform, download, stream);
  if (state.status !== 'preparing') return;
  const tryAgain = () => platform.queue.send('data', [{ body: event }]);
  if (platform.now() >= delivery.deadline) return tryAgain();
  // With a deadline from the start, another try would have no more time.
  const hasTimeLimit = Number.isFinite(delivery.deadline);
  try {
    const size = await makeZip(deployment, account, state, delivery, maxEntries);
    if (size === undefined) return;
    await deployment.reached?.('download:put');
    await transact(platform, download, stream, zipPrepared(id, size), cause(account, id));
  } catch (error) {
    if (error instanceof DeadlinePassed && !hasTimeLimit) return tryAgain();
    const reason = reasonOf(error, last);
    if (!reason) throw error;
    const pack = error instanceof DamagedFile && error.cause.pack;
    platform.log.warn('download failed', { downloadId: id, code: reason.code, ...(pack && { pack }) });
    // The next run stores the files of the pack again.
    if (pack) await recordDamage({ ...platform, account }, pack, platform.now());
    await transact(platform, download, stream, zipFailed(id, reason), cause(account, id));
  }
}

const cause = (account: string, id: string) => systemContext(account, 'prepare-download', id, id);

/** Returns the size in bytes. Undefined when the download has expired or its account was erased. */
async function makeZip(
  deployment: Deployment,
  account: string,
  { request }: Preparing,
  delivery: Delivery,
  maxEntries: number,
): Promise<number | undefined> {
  const { platform } = deployment;
  const { downloadId, manifest, until } = request;
  const key = await platform.keys.accountKey(account);
  const paths = await decryptPaths(platform, account, request.paths);
  if (!key || !paths) return undefined;
  const context = { account, keys: deriveVaultKeys(key), blobs: platform.blobs };
  const blob = exportKey(account, downloadId);
  if (platform.now() >= Date.parse(until)) {
    // An earlier try may have put the zip after the sweeper ran, and then crashed.
    await deleteExports(platform.blobs, [blob]);
    return undefined;
  }
  await noteExport(platform, blob, until);
  const checkDeadline = () => {
    if (platform.now() >= delivery.deadline) throw new DeadlinePassed();
  };
  if ((await exportSize(platform.blobs, blob)) === undefined) {
    await putExport(
      platform.blobs,
      blob,
      zipOf(context, zipEntries(context, manifest, paths, maxEntries), checkDeadline),
    );
  }
  if (platform.now() < Date.parse(until)) return exportSize(platform.blobs, blob);
  await deleteExports(platform.blobs, [blob]);
  return undefined;
}

async function decryptPaths(
  platform: Platform,
  account: string,
  paths: Preparing['request']['paths'],
): Promise<string[] | null> {
  return isEncrypted(paths) ? decrypt<string[]>(platform, account, paths) : paths;
}

/** The selected entries, with names that are unique in the zip. */
async function* zipEntries(
  context: ReaderContext,
  manifest: Preparing['request']['manifest'],
  paths: string[],
  maxEntries: number,
): AsyncGenerator<ZipEntry> {
  let count = 0;
  const root = await openManifest(context, manifest);
  for await (const entry of selectEntries(context, root, paths)) {
    if (++count > maxEntries) throw new TooManyEntries();
    const nameIsTaken =
      entry.kind !== 'folder' && (entry.key.endsWith('/') || (await isFolderToo(context, root, entry)));
    yield { ...entry, name: nameIsTaken ? zipNameBeside(entry.key) : zipName(entry.key) };
  }
}

/** The reason to fail the download with. Undefined when another try may succeed. */
function reasonOf(error: unknown, last: boolean): DownloadFailure | undefined {
  if (error instanceof DeadlinePassed || error instanceof TooManyEntries)
    return { code: 'too-large', message: 'The selection is too large for one zip. Select fewer files.' };
  if (error instanceof DamagedFile) {
    const { path } = displayPath(error.key);
    return { code: 'damaged', message: `"${path}" is damaged in the backup. Download the other files without it.` };
  }
  if (error instanceof VaultDamage)
    return { code: 'damaged', message: 'This backup is damaged. Download from an earlier one with `asOf`.' };
  if (last && error instanceof Problem && error.code === 'storage-full')
    return { code: error.code, message: error.message };
  return last
    ? { code: 'internal', message: 'An internal error occurred several times. Request the download again.' }
    : undefined;
}
