/**
 * Lists of a batch: the work to do, and the part that results from it. A part holds the changes that the batch adds to
 * the manifest, until the run is committed.
 */
import { compareEntries, type Refusal, type SourceEntry } from '../domain/entry.ts';
import { ByteReader, ByteWriter, free } from './bytes.ts';
import { VaultDamage } from './damage.ts';
import { decryptBytes, encryptBytes } from './encrypted-bytes.ts';
import { decodeEntries, encodeEntries, type FoundEntry, type ManifestEntry } from './entry.ts';
import type { VaultKeys } from './keys.ts';
import type { Change } from './manifest.ts';

/** `entries` and `deleted` (keys) are in the order of entries. */
export type BatchList<Entry = SourceEntry> = {
  entries: Entry[];
  deleted: string[];
  failed: Refusal[];
  skipped: Refusal[];
};

/** `version` and `previous` of the entries are not set yet. */
export type Part = BatchList<ManifestEntry>;

const format = 1;

/** Deterministic. `more` is any JSON to keep with the list. The result decrypts only with the same `aad`. */
export function encodeList(keys: VaultKeys, aad: string, list: BatchList<SourceEntry | FoundEntry>, more?: unknown) {
  const { entries, deleted, failed, skipped } = list;
  // JSON.stringify writes lone surrogates as escapes, so keys survive it.
  const rest = JSON.stringify({ deleted, failed, skipped, more });
  return encryptBytes(keys, aad, new ByteWriter().varint(format).text(rest).bytes(encodeEntries(entries)).done());
}

/** @throws VaultDamage unless the bytes are that list */
export function decodeList(keys: VaultKeys, aad: string, bytes: Uint8Array): { list: Part; more: unknown } {
  const plain = decryptBytes(keys, aad, bytes);
  const reader = new ByteReader(plain);
  if (reader.varint() !== format) throw new VaultDamage('encrypted', `the list does not have format ${format}`);
  const { more, ...rest } = JSON.parse(reader.text()) as Omit<Part, 'entries'> & { more: unknown };
  const entries = decodeEntries(reader.bytes());
  free(plain);
  return { list: { ...rest, entries }, more };
}

/** The `aad` of a part. */
export function partAad(account: string, runId: string, batch: number): string {
  return `part/${account}/${runId}/${batch}`;
}

/** The part as changes, for `writeManifest`. A key that is both found and deleted counts as found. */
export function changesOfPart(part: Part): Change[] {
  const changes: Change[] = [];
  let at = 0;
  for (const put of part.entries) {
    for (let key = part.deleted[at]; key !== undefined && compareEntries(key, put.key) <= 0; key = part.deleted[++at])
      if (key !== put.key) changes.push({ delete: key });
    changes.push({ put });
  }
  for (const key of part.deleted.slice(at)) changes.push({ delete: key });
  return changes;
}
