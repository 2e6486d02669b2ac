/** The working state of a run: encrypted records and blobs, because they hold names. */
import type { SourceEntry } from '../../domain/entry.ts';
import type { Platform } from '../../domain/ports.ts';
import { decryptBytes, encryptBytes } from '../../vault/encrypted-bytes.ts';
import type { VaultKeys } from '../../vault/keys.ts';
import { type BatchList, decodeList, encodeList } from '../../vault/part.ts';
import type { Limits } from '../limits.ts';
import { expiry, type RunRef, runRecord } from './run.ts';
import { loadBytes, type SavedBytes, saveBytes } from './saved-bytes.ts';

/** Working state of a run. `where` is its unique name. */
export type Saved = { where: string; bytes: Uint8Array };

/** The folder of a run's working blobs. */
export function workFolder({ account, runId }: Pick<RunRef, 'account' | 'runId'>): string {
  return `work/${account}/${runId}/`;
}

/** Stores encrypted working state that is too large or too private for a message. */
export async function saveWork(platform: Platform, runRef: RunRef, { where, bytes }: Saved): Promise<void> {
  const data = await saveBytes(platform, `${workFolder(runRef)}${where}`, bytes);
  await platform.records.write([{ op: 'put', ...runRecord(runRef, where), data, expiresAt: expiry(platform) }]);
}

export async function loadWork(platform: Platform, runRef: RunRef, where: string): Promise<Uint8Array> {
  const saved = await findWork(platform, runRef, where);
  if (!saved) throw new Error(`${where} of run ${runRef.runId} is missing`);
  return saved.bytes;
}

/** As `loadWork`. Null if it was never saved. */
export async function findWork(platform: Platform, runRef: RunRef, where: string): Promise<Saved | null> {
  const record = await platform.records.get(runRecord(runRef, where));
  const bytes = record && (await loadBytes(platform, record.data as SavedBytes));
  return bytes ? { where, bytes } : null;
}

/** Deletes the blobs of a run that has ended. Records expire. */
export async function removeWork(platform: Platform, runRef: RunRef): Promise<void> {
  for (;;) {
    const { items } = await platform.blobs.list(workFolder(runRef), { limit: 1000 });
    if (items.length === 0) return;
    await platform.blobs.delete(items.map(({ key }) => key));
  }
}

type Context = { account: string; runId: string; keys: VaultKeys };

function aad({ account, runId }: Context, where: string): string {
  return `${account}|${runId}|${where}`;
}

export function encryptWork(context: Context, where: string, value: unknown): Saved {
  return { where, bytes: encryptBytes(context.keys, aad(context, where), Buffer.from(JSON.stringify(value))) };
}

export function decryptWork<T>(context: Context, { where, bytes }: Saved): T {
  return JSON.parse(Buffer.from(decryptBytes(context.keys, aad(context, where), bytes)).toString('utf8'));
}

export function encryptList(context: Context, where: string, list: BatchList, more?: unknown): Saved {
  return { where, bytes: encodeList(context.keys, aad(context, where), list, more) };
}

export function decryptList<T>(context: Context, { where, bytes }: Saved): { list: BatchList; more: T } {
  const { list, more } = decodeList(context.keys, aad(context, where), bytes);
  return { list, more: more as T };
}

/** Cuts the plan's work into batches. `rest` is the batch that is not full yet. */
export function makeCutter(limits: Pick<Limits, 'batchItems' | 'batchBytes'>, open = emptyList()) {
  const full: BatchList[] = [];
  /** Bytes to read. The content of an entry that moved is stored already. */
  const bytesOf = (entry: SourceEntry) => ('chunks' in entry ? 0 : entry.size);
  let bytes = open.entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
  const cutter = {
    rest: open,
    add({ entries = [], deleted = [], failed = [], skipped = [] }: Partial<BatchList>) {
      const { rest } = cutter;
      rest.entries.push(...entries);
      rest.deleted.push(...deleted);
      rest.failed.push(...failed);
      rest.skipped.push(...skipped);
      for (const entry of entries) bytes += bytesOf(entry);
      if (lengthOf(rest) < limits.batchItems && bytes < limits.batchBytes) return;
      full.push(rest);
      cutter.rest = emptyList();
      bytes = 0;
    },
    count: () => full.length,
    cut: () => full.splice(0),
  };
  return cutter;
}

export function lengthOf({ entries, deleted, failed, skipped }: BatchList): number {
  return entries.length + deleted.length + failed.length + skipped.length;
}

export function emptyList(): BatchList {
  return { entries: [], deleted: [], failed: [], skipped: [] };
}
