/** Segments: a manifest in sorted pieces. Their borders depend on keys alone, so that an edit changes one segment. */
import { hash } from 'node:crypto';
import type { Totals } from '../domain/backup-chain.ts';
import type { Blobs } from '../domain/ports.ts';
import { VaultDamage } from './damage.ts';
import { decryptBytes, encryptBytes } from './encrypted-bytes.ts';
import { decodeEntries, encodeEntries, type ManifestEntry } from './entry.ts';
import type { VaultKeys } from './keys.ts';

/** Access to an account's vault. Reuse it for several reads, because readers cache by context. */
export type ReaderContext = { account: string; keys: VaultKeys; blobs: Blobs };

export type SegmentRef = {
  first: string;
  last: string;
  /** The manifest whose blob holds the segment. */
  manifest: string;
  /** Byte range in that blob. */
  offset: number;
  length: number;
  /** Of the encrypted bytes, hex. */
  sha256: string;
  /** Number of entries, with deleted ones. */
  count: number;
  /** Without deleted entries. */
  totals: Totals;
};

/** One key in 1,024 ends a segment. */
const borderMask = 1023;
/** Without a border, a segment of this size is halved as in a B-tree, so that the halves can grow again. */
const maxEntries = 4096;

export function manifestBlobKey(account: string, manifest: string): string {
  return `manifests/${account}/${manifest}`;
}

/** Whether a segment ends after the key. The hash is keyed, so that chosen names cannot make a million segments. */
export function borderTest(keys: VaultKeys): (key: string) => boolean {
  const seed = Buffer.from(keys.border).readInt32LE(0);
  const stir = Buffer.from(keys.border).readInt32LE(4) | 1;
  return (key) => {
    let h = seed;
    for (let i = 0; i < key.length; i++) {
      h = Math.imul(h ^ key.charCodeAt(i), 0xcc9e2d51);
      h = (Math.imul((h << 15) | (h >>> 17), 0x1b873593) + stir) | 0;
    }
    // The finaliser of MurmurHash3 (Appleby), so that the low bits depend on all bits.
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return ((h ^ (h >>> 16)) & borderMask) === 0;
  };
}

/** Cuts entries in key order into segments. It holds one segment in memory. */
export async function* cutSegments(
  entries: AsyncIterable<ManifestEntry>,
  isBorder: (key: string) => boolean,
): AsyncGenerator<ManifestEntry[]> {
  let open: ManifestEntry[] = [];
  for await (const entry of entries) {
    open.push(entry);
    if (isBorder(entry.key)) {
      yield open;
      open = [];
    } else if (open.length >= maxEntries) yield open.splice(0, maxEntries / 2);
  }
  if (open.length > 0) yield open;
}

/** Encrypts a segment for this offset of the manifest's blob. `entries` must not be empty. */
export function encryptSegment(
  context: { account: string; keys: VaultKeys },
  manifest: string,
  offset: number,
  entries: ManifestEntry[],
): { bytes: Uint8Array; ref: SegmentRef } {
  const [first, last] = [entries[0], entries.at(-1)];
  if (!first || !last) throw new Error('a segment needs at least one entry');
  const bytes = encryptBytes(context.keys, aad(context.account, manifest, offset), encodeEntries(entries));
  const location = { manifest, offset, length: bytes.length, sha256: hash('sha256', bytes) };
  return {
    bytes,
    ref: { first: first.key, last: last.key, ...location, count: entries.length, totals: sumEntries(entries) },
  };
}

/** The segment's entries, in key order. @throws VaultDamage when it is missing or altered */
export async function readSegment(context: ReaderContext, ref: SegmentRef): Promise<ManifestEntry[]> {
  const { manifest, offset, length } = ref;
  const bytes = await context.blobs.get(manifestBlobKey(context.account, manifest), { offset, length });
  if (!bytes) throw new VaultDamage('manifest', `${manifest}, which holds a segment, is missing`);
  if (hash('sha256', bytes) !== ref.sha256)
    throw new VaultDamage('manifest', `the segment at ${offset} of ${manifest} was altered`);
  return decodeEntries(decryptBytes(context.keys, aad(context.account, manifest, offset), bytes));
}

function aad(account: string, manifest: string, offset: number): string {
  return `segment/${account}/${manifest}/${offset}`;
}

const fieldOf = { file: 'files', folder: 'folders', link: 'links' } as const;

function sumEntries(entries: ManifestEntry[]): Totals {
  const totals = { files: 0, folders: 0, links: 0, bytes: 0 };
  for (const entry of entries) {
    if (entry.deleted) continue;
    totals[fieldOf[entry.kind]]++;
    totals.bytes += entry.size;
  }
  return totals;
}

export function addTotals(all: Totals[]): Totals {
  const sum = { files: 0, folders: 0, links: 0, bytes: 0 };
  for (const totals of all)
    for (const field of ['files', 'folders', 'links', 'bytes'] as const) sum[field] += totals[field];
  return sum;
}
