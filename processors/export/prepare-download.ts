/** The task `export`: writes a zip or a large file for download. Each slice goes on after the last one. */
import { decrypt } from '../../activity/personal-data.ts';
import { load, transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { settleExport } from '../../commands/export-list.ts';
import {
  type DownloadFailure,
  type DownloadState,
  download,
  exportKey,
  zipFailed,
  zipPrepared,
} from '../../domain/download.ts';
import { displayPath } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import { isEncrypted, streamName } from '../../domain/event.ts';
import type { JsonObject } from '../../domain/ports.ts';
import type { Cause, Outcome, Retry, Task, TaskKind } from '../../tasks/task.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { deleteExport, deleteWork, noteExport, sizeOfExport } from '../../vault/exports.ts';
import { deriveVaultKeys } from '../../vault/keys.ts';
import { recordDamage } from '../../vault/pack-registry.ts';
import type { Deployment } from '../deployment.ts';
import { type Export, PartWriter, startExport, type Written } from './export-parts.ts';
import { type Atom, DamagedFile, fileContent, type Selection, selected, zipDirectory, zipEntries } from './zip.ts';

type Request = Extract<DownloadState, { status: 'preparing' }>['request'];

/** What the first pass over the selection has counted. */
type Counted = { entries: number; bytes: number; at: string | null };
/** First `counted` grows, then `written`. */
type ExportState = { counted?: Counted; written?: Written };
type Step = Pick<Task<JsonObject>, 'ref' | 'state' | 'fence' | 'isOver' | 'stop' | 'checkpoint'>;

class TooManyEntries extends Error {}

/** Entries of one zip. Programs that open zips hold its directory in memory. */
const maxZipEntries = 500_000;
/** Bytes of an entry's records beside its name, at most. */
const recordBytes = 250;

export const exportKind: TaskKind<Deployment, JsonObject> = {
  name: 'export',
  v: 1,
  queue: 'data',
  step: (deployment, task) => prepareDownload(deployment, task),
  onError: retryOf,
  fail: failDownload,
};

/** A slice of the export. */
export async function prepareDownload(
  deployment: Deployment,
  task: Step,
  maxEntries = maxZipEntries,
): Promise<Outcome<JsonObject>> {
  const { platform } = deployment;
  const { account, group: id } = task.ref;
  const stream = streamName(account, 'download', id);
  const { state } = await load(platform, download, stream);
  const done: Outcome<JsonObject> = { type: 'done', endsGroup: true };
  if (state.status !== 'preparing') return done;
  const { request } = state;
  const blob = exportKey(account, id);
  const opened = await openExport(deployment, account, request);
  const isExpired = () => platform.now() >= Date.parse(request.until);
  if (!opened || isExpired()) {
    await abandon(deployment, task);
    return done;
  }
  await noteExport(platform, blob, request.until);
  try {
    if ((await platform.blobs.size(blob)) === undefined) {
      const next = await writeSlice(opened, task, maxEntries);
      if (next) return { type: 'again', state: next };
    }
  } catch (error) {
    // The next run stores the files of the pack again.
    if (error instanceof DamagedFile && error.cause.pack)
      await recordDamage({ ...platform, account }, error.cause.pack, platform.now());
    throw error;
  }
  await deleteWork(platform.blobs, blob);
  const size = await sizeOfExport(platform.blobs, blob, opened.to.isEncrypted);
  if (size === undefined || isExpired()) {
    await abandon(deployment, task);
    return done;
  }
  await deployment.reached?.('download:put');
  await settleExport(platform, account, id, size);
  await transact(platform, download, stream, zipPrepared(id, size), cause(account, id));
  return done;
}

type Opened = { to: Export; selection: Selection; isFile: boolean };

/** Undefined when the account or the source was erased. */
async function openExport(
  { platform, plainExports = false }: Deployment,
  account: string,
  { downloadId, manifest, paths, file }: Request,
): Promise<Opened | undefined> {
  const key = await platform.keys.accountKey(account);
  const plain = isEncrypted(paths) ? await decrypt<string[]>(platform, account, paths) : paths;
  if (!key || !plain) return undefined;
  const keys = deriveVaultKeys(key);
  return {
    to: { platform, blob: exportKey(account, downloadId), key: keys.exports, isEncrypted: !plainExports },
    selection: { context: { account, keys, blobs: platform.blobs }, manifest, paths: plain },
    isFile: file !== undefined,
  };
}

/** Returns the state for the next slice. Undefined when the export is complete. */
async function writeSlice(
  { to, selection, isFile }: Opened,
  task: Step,
  maxEntries: number,
): Promise<JsonObject | undefined> {
  const { counted, written } = task.state as ExportState;
  let state = written;
  if (!state) {
    const total = await count(selection, task, counted, maxEntries);
    if (total.isPartial) return { counted: total };
    state = await startExport(to, total.bytes);
    await task.checkpoint({ written: state });
  }
  const writer = new PartWriter(to, task, state);
  await writer.open();
  const addAll = async (atoms: AsyncIterable<Atom>): Promise<boolean> => {
    for await (const atom of atoms) {
      task.stop.throwIfAborted();
      await writer.add(atom);
      if (task.isOver()) return false;
    }
    return true;
  };
  const { position } = state;
  const suspended = async () => ({ written: await writer.suspend() });
  if (isFile) {
    if (!(await addAll(fileContent(selection, position)))) return suspended();
  } else {
    if (!position.directory && !(await addAll(zipEntries(selection, position)))) return suspended();
    await writer.saveRecords();
    const directory = zipDirectory(writer.state.position, writer.pieces, (piece) => writer.readPiece(piece));
    if (!(await addAll(directory))) return suspended();
  }
  await writer.complete();
  return undefined;
}

/** Counts the entries and estimates the bytes of the export, from the metadata. */
async function count(
  selection: Selection,
  { isOver, stop }: Step,
  from: Counted | undefined,
  maxEntries: number,
): Promise<Counted & { isPartial: boolean }> {
  let { entries, bytes, at } = from ?? { entries: 0, bytes: 0, at: null };
  for await (const entry of selected(selection, at ?? undefined)) {
    stop.throwIfAborted();
    if (++entries > maxEntries) throw new TooManyEntries();
    // A byte of a name takes three when it is escaped. It is in the header and in the directory.
    bytes += entry.size + 6 * Buffer.byteLength(entry.key) + recordBytes;
    at = entry.key;
    if (isOver()) return { entries, bytes, at, isPartial: true };
  }
  return { entries, bytes, at, isPartial: false };
}

/** What follows an error. The damage of a file is final. */
function retryOf(error: unknown, attempt: number, isLast: boolean): Retry {
  if (error instanceof Problem && error.code === 'unavailable') return { afterMs: 0, isCounted: false };
  const reason = reasonOf(error, isLast);
  return reason ? { cause: reason } : { afterMs: 1000 * Math.min(2 ** attempt, 60) };
}

async function failDownload(
  deployment: Deployment,
  task: Pick<Task<JsonObject>, 'ref' | 'state'>,
  { code, message }: Cause,
): Promise<void> {
  const { account, group: id } = task.ref;
  await abandon(deployment, task);
  const reason = { code: code as DownloadFailure['code'], message };
  const stream = streamName(account, 'download', id);
  await transact(deployment.platform, download, stream, zipFailed(id, reason), cause(account, id));
}

/** Leaves nothing of the export. */
async function abandon(
  { platform }: Deployment,
  { ref, state }: Pick<Task<JsonObject>, 'ref' | 'state'>,
): Promise<void> {
  const { account, group: id } = ref;
  const blob = exportKey(account, id);
  const { written } = state as ExportState;
  if (written) await platform.blobs.abortUpload(blob, written.upload);
  await deleteExport(platform.blobs, blob);
  await settleExport(platform, account, id, null);
}

const cause = (account: string, id: string) => systemContext(account, 'prepare-download', id, id);

/** The reason to fail the download with. Undefined when another try may succeed. */
function reasonOf(error: unknown, last: boolean): DownloadFailure | undefined {
  if (error instanceof TooManyEntries)
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
