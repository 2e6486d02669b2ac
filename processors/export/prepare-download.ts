/** The task `export`: makes the zip of a download. Every step can repeat: the first complete zip counts. */
import { decrypt } from '../../activity/personal-data.ts';
import { load, transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { type DownloadFailure, type DownloadState, download, zipFailed, zipPrepared } from '../../domain/download.ts';
import { displayPath } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import { isEncrypted, streamName } from '../../domain/event.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import type { Cause, Outcome, Retry, Task, TaskKind } from '../../tasks/task.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { deleteExports, exportKey, exportSize, noteExport, putExport } from '../../vault/exports.ts';
import { deriveVaultKeys } from '../../vault/keys.ts';
import { recordDamage } from '../../vault/pack-registry.ts';
import { openManifest, type ReaderContext } from '../../vault/reader.ts';
import { isFolderToo, selectEntries } from '../../vault/selection.ts';
import type { Deployment } from '../deployment.ts';
import { DamagedFile, type ZipEntry, zipOf } from './zip.ts';
import { zipName, zipNameBeside } from './zip-names.ts';

type Preparing = Extract<DownloadState, { status: 'preparing' }>;

/** The deadline has passed. */
class DeadlinePassed extends Error {}
class TooManyEntries extends Error {}

/** Entries of one zip. Each takes about 1.2 KB of memory for the zip's directory. */
const maxZipEntries = 500_000;

export const exportKind: TaskKind<Deployment, JsonObject> = {
  name: 'export',
  v: 1,
  queue: 'data',
  step: (deployment, task) => prepareDownload(deployment, task),
  onError: retryOf,
  fail: (deployment, { ref }, reason) => failDownload(deployment, ref, reason),
};

/** Resolves when the zip is ready, or was not needed any more. */
export async function prepareDownload(
  deployment: Deployment,
  task: Pick<Task<JsonObject>, 'ref' | 'isOver' | 'stop'>,
  maxEntries = maxZipEntries,
): Promise<Outcome<JsonObject>> {
  const { platform } = deployment;
  const { account, group: id } = task.ref;
  const stream = streamName(account, 'download', id);
  const { state } = await load(platform, download, stream);
  const noteDamage = async (error: unknown): Promise<never> => {
    // The next run stores the files of the pack again.
    if (error instanceof DamagedFile && error.cause.pack)
      await recordDamage({ ...platform, account }, error.cause.pack, platform.now());
    throw error;
  };
  if (state.status === 'preparing') {
    const size = await makeZip(deployment, account, state, task, maxEntries).catch(noteDamage);
    if (size !== undefined) {
      await deployment.reached?.('download:put');
      await transact(platform, download, stream, zipPrepared(id, size), cause(account, id));
    }
  }
  return { type: 'done', endsGroup: true };
}

/** What follows an error. The damage of a file is final. */
function retryOf(error: unknown, attempt: number, isLast: boolean): Retry {
  if (error instanceof Problem && error.code === 'unavailable') return { afterMs: 0, isCounted: false };
  const reason = reasonOf(error, isLast);
  return reason ? { cause: reason } : { afterMs: 1000 * Math.min(2 ** attempt, 60) };
}

async function failDownload(
  { platform }: Deployment,
  { account, group: id }: Task<JsonObject>['ref'],
  { code, message }: Cause,
): Promise<void> {
  const reason = { code: code as DownloadFailure['code'], message };
  await transact(platform, download, streamName(account, 'download', id), zipFailed(id, reason), cause(account, id));
}

const cause = (account: string, id: string) => systemContext(account, 'prepare-download', id, id);

/** Returns the size in bytes. Undefined when the download has expired or its account was erased. */
async function makeZip(
  deployment: Deployment,
  account: string,
  { request }: Preparing,
  { isOver, stop }: Pick<Task<JsonObject>, 'isOver' | 'stop'>,
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
    stop.throwIfAborted();
    if (isOver()) throw new DeadlinePassed();
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
