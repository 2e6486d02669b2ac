/** Makes the zip that somebody asked for. Every step repeats harmlessly: one zip counts, the first that was whole. */
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
import { openManifest, type ReaderContext } from '../../vault/reader.ts';
import { isFolderToo, selectEntries } from '../../vault/selection.ts';
import type { Deployment } from '../deployment.ts';
import { DamagedFile, type ZipEntry, zipOf } from './zip.ts';
import { zipName, zipNameBeside } from './zip-names.ts';

export const downloadRequested = 'download.requested.v1';

type Delivery = { readonly deadline: number };
type Preparing = Extract<DownloadState, { status: 'preparing' }>;

/** There is no time left. */
class Stopped extends Error {}
class TooMany extends Error {}

/** Things in one zip: what its directory takes of memory, about 1.2 KB each, has to fit beside everything else. */
const mostThings = 500_000;

/** `event`: the request as the bus told of it. Rejects when the message shall come again; `last`: it will not, so the download fails. */
export async function prepareDownload(
  deployment: Deployment,
  event: JsonObject,
  delivery: Delivery,
  last: boolean,
  most = mostThings,
): Promise<void> {
  const { platform } = deployment;
  const stream = String(event.stream);
  const { account, id } = parseStream(stream);
  const { state } = await load(platform, download, stream);
  if (state.status !== 'preparing') return;
  const again = () => platform.queue.send('data', [{ body: event }]);
  if (platform.now() >= delivery.deadline) return again();
  // A home that has a deadline from the start has the same one next time.
  const bounded = Number.isFinite(delivery.deadline);
  try {
    const size = await makeZip(deployment, account, state, delivery, most);
    if (size === undefined) return;
    await deployment.reached?.('download:put');
    await transact(platform, download, stream, zipPrepared(id, size), cause(account, id));
  } catch (error) {
    if (error instanceof Stopped && !bounded) return again();
    const reason = reasonOf(error, last);
    if (!reason) throw error;
    platform.log.warn('a zip could not be made', { downloadId: id, code: reason.code });
    await transact(platform, download, stream, zipFailed(id, reason), cause(account, id));
  }
}

const cause = (account: string, id: string) => systemContext(account, 'prepare-download', id, id);

/** How large it is; undefined when nobody can have it any more: too late, or its owner was erased. */
async function makeZip(
  deployment: Deployment,
  account: string,
  { request }: Preparing,
  delivery: Delivery,
  most: number,
): Promise<number | undefined> {
  const { platform } = deployment;
  const { downloadId, manifest, until } = request;
  const key = await platform.keys.accountKey(account);
  const paths = await openPaths(platform, account, request.paths);
  if (!key || !paths) return undefined;
  const context = { account, keys: deriveVaultKeys(key), blobs: platform.blobs };
  const blob = exportKey(account, downloadId);
  if (platform.now() >= Date.parse(until)) {
    // Whoever put it after the sweeper had looked, and met a sudden end, has left it to us.
    await deleteExports(platform.blobs, [blob]);
    return undefined;
  }
  await noteExport(platform, blob, until);
  const proceed = () => {
    if (platform.now() >= delivery.deadline) throw new Stopped();
  };
  if ((await exportSize(platform.blobs, blob)) === undefined) {
    await putExport(platform.blobs, blob, zipOf(context, named(context, manifest, paths, most), proceed));
  }
  if (platform.now() < Date.parse(until)) return exportSize(platform.blobs, blob);
  await deleteExports(platform.blobs, [blob]);
  return undefined;
}

async function openPaths(
  platform: Platform,
  account: string,
  paths: Preparing['request']['paths'],
): Promise<string[] | null> {
  return isEncrypted(paths) ? decrypt<string[]>(platform, account, paths) : paths;
}

async function* named(
  context: ReaderContext,
  manifest: Preparing['request']['manifest'],
  paths: string[],
  most: number,
): AsyncGenerator<ZipEntry> {
  let things = 0;
  const root = await openManifest(context, manifest);
  for await (const entry of selectEntries(context, root, paths)) {
    if (++things > most) throw new TooMany();
    const beside = entry.kind !== 'folder' && (entry.key.endsWith('/') || (await isFolderToo(context, root, entry)));
    yield { ...entry, name: beside ? zipNameBeside(entry.key) : zipName(entry.key) };
  }
}

/** Why there will be no zip; undefined when the next try may make it. */
function reasonOf(error: unknown, last: boolean): DownloadFailure | undefined {
  if (error instanceof Stopped || error instanceof TooMany)
    return { code: 'too-large', message: 'It is too much for one zip here. Ask for fewer files at a time.' };
  if (error instanceof DamagedFile) {
    const { path } = displayPath(error.key);
    return {
      code: 'damaged',
      message: `"${path}" cannot be read from the backup as it was stored. Ask for the other files without it.`,
    };
  }
  if (error instanceof VaultDamage)
    return {
      code: 'damaged',
      message: 'This backup cannot be read as it was stored. Ask for an earlier one with `asOf`.',
    };
  if (last && error instanceof Problem && error.code === 'storage-full')
    return { code: error.code, message: error.message };
  return last
    ? { code: 'internal', message: 'Something went wrong on our side, several times. Ask for it again.' }
    : undefined;
}
