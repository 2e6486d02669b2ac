/** The work list of a batch: entries to fetch and deleted keys. It is encrypted, because it holds names. */
import type { Refusal, SourceEntry } from '../../domain/entry.ts';
import type { Platform } from '../../domain/ports.ts';
import { decryptBytes, encryptBytes } from '../../vault/encrypted-bytes.ts';
import type { VaultKeys } from '../../vault/keys.ts';
import type { Limits } from '../deployment.ts';
import type { Origin } from './open-source.ts';
import { expiry, type RunRef, runRecord } from './run.ts';
import { loadBytes, type SavedBytes, saveBytes } from './saved-bytes.ts';

/** Each list is in key order, within a batch and from batch to batch. */
export type Work = { entries: SourceEntry[]; deleted: string[]; failed: Refusal[]; skipped: Refusal[] };

/** A stored work list, with the origin that was listed. */
export type Listed = Work & { origin?: Origin };

/** Encrypts and stores working state that is too large or too private for a message. `where` is its unique name. */
export async function putEncrypted(
  platform: Platform,
  keys: VaultKeys,
  runRef: RunRef,
  where: string,
  value: unknown,
): Promise<void> {
  const bytes = encryptBytes(keys, aad(runRef, where), Buffer.from(JSON.stringify(value)));
  const data = await saveBytes(platform, `work/${runRef.account}/${runRef.runId}/${where}`, bytes);
  await platform.records.write([{ op: 'put', ...runRecord(runRef, where), data, expiresAt: expiry(platform) }]);
}

export async function getEncrypted<T>(platform: Platform, keys: VaultKeys, runRef: RunRef, where: string): Promise<T> {
  const record = await platform.records.get(runRecord(runRef, where));
  const bytes = record && (await loadBytes(platform, record.data as SavedBytes));
  if (!bytes) throw new Error(`${where} of run ${runRef.runId} is missing`);
  return JSON.parse(Buffer.from(decryptBytes(keys, aad(runRef, where), bytes)).toString('utf8'));
}

function aad(runRef: RunRef, where: string): string {
  return `${runRef.account}|${runRef.runId}|${where}`;
}

/** Cuts the plan's work into batches. `rest` is the batch that is not full yet. */
export function makeCutter(
  limits: Pick<Limits, 'batchItems' | 'batchBytes'>,
  open: Work = emptyWork(),
): { add(what: Partial<Work>): void; cut(): Work[]; rest: Work } {
  const full: Work[] = [];
  let bytes = sizeOf(open.entries);
  const cutter = {
    rest: open,
    add(what: Partial<Work>) {
      const { rest } = cutter;
      rest.entries.push(...(what.entries ?? []));
      rest.deleted.push(...(what.deleted ?? []));
      rest.failed.push(...(what.failed ?? []));
      rest.skipped.push(...(what.skipped ?? []));
      bytes += sizeOf(what.entries ?? []);
      if (things(rest) >= limits.batchItems || bytes >= limits.batchBytes) {
        full.push(rest);
        cutter.rest = emptyWork();
        bytes = 0;
      }
    },
    cut: () => full.splice(0),
  };
  return cutter;
}

function sizeOf(entries: SourceEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.size, 0);
}

export function things(work: Work): number {
  return work.entries.length + work.deleted.length + work.failed.length + work.skipped.length;
}

export function emptyWork(): Work {
  return { entries: [], deleted: [], failed: [], skipped: [] };
}
