/** A part: the changes that one batch adds to the manifest, stored until the run is committed. */
import { compareKeys, type Refusal } from '../domain/entry.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { VaultDamage } from './damage.ts';
import { decryptBytes, encryptBytes } from './encrypted-bytes.ts';
import { decodeEntries, encodeEntries, type ManifestEntry } from './entry.ts';
import type { VaultKeys } from './keys.ts';
import type { Change } from './manifest.ts';

export type Part = {
  /** In key order. `version` and `previous` are not set yet. */
  entries: ManifestEntry[];
  /** Keys that no longer exist at the source, in key order. */
  deleted: string[];
  failed: Refusal[];
  skipped: Refusal[];
};

const format = 1;

/** Deterministic. The result decrypts only as this batch of this run. */
export function encodePart(keys: VaultKeys, account: string, runId: string, batch: number, part: Part): Uint8Array {
  const { entries, ...rest } = part;
  // JSON.stringify writes lone surrogates as escapes, so keys survive it.
  const plain = new ByteWriter().varint(format).text(JSON.stringify(rest)).bytes(encodeEntries(entries));
  return encryptBytes(keys, aad(account, runId, batch), plain.done());
}

/** @throws VaultDamage unless the bytes are that part */
export function decodePart(keys: VaultKeys, account: string, runId: string, batch: number, bytes: Uint8Array): Part {
  const reader = new ByteReader(decryptBytes(keys, aad(account, runId, batch), bytes));
  if (reader.varint() !== format) throw new VaultDamage('encrypted', `the part does not have format ${format}`);
  const rest: Omit<Part, 'entries'> = JSON.parse(reader.text());
  return { ...rest, entries: decodeEntries(reader.bytes()) };
}

function aad(account: string, runId: string, batch: number): string {
  return `part/${account}/${runId}/${batch}`;
}

/** The part as changes in key order, for `writeManifest`. A key that is both found and deleted counts as found. */
export function* changesOfPart(part: Part): Generator<Change> {
  let at = 0;
  for (const put of part.entries) {
    for (let key = part.deleted[at]; key !== undefined && compareKeys(key, put.key) <= 0; key = part.deleted[++at]) {
      if (key !== put.key) yield { delete: key };
    }
    yield { put };
  }
  for (const key of part.deleted.slice(at)) yield { delete: key };
}
