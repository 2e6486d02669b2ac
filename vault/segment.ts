/** Segments: sorted pieces of a manifest. Their borders depend on keys alone, so that an edit changes one segment. */
import type { Totals } from '../domain/backup-chain.ts';
import { decodeEntries, encodeEntries, type ManifestEntry } from './entry.ts';
import type { VaultKeys } from './keys.ts';
import { type MetadataRef, type MetadataWriter, type ReaderContext, readMetadata, readOne } from './metadata.ts';

/** Borders and counts of a sorted range of entries. Nodes and roots hold them, so that readers can skip the range. */
export type Extent = {
  first: string;
  last: string;
  /** Number of entries, with deleted ones. */
  count: number;
  /** Without deleted entries, with implied folders. */
  live: number;
  /** Without deleted entries and implied folders. */
  totals: Totals;
};

export type SegmentRef = Extent & MetadataRef;

/** One key in 1,024 ends a segment, and one in 16 of these ends a node. */
const segmentMask = 1023;
const nodeMask = 16 * 1024 - 1;
/** Without a border, a segment of this size is halved as in a B-tree, so that the halves can grow again. */
const maxEntries = 4096;

export type Borders = { endsSegment(key: string): boolean; endsNode(key: string): boolean };

/**
 * Decides which keys end segments and nodes. The hash is keyed, so that chosen names cannot make a million segments.
 */
export function bordersOf(keys: Pick<VaultKeys, 'border'>): Borders {
  const seed = Buffer.from(keys.border).readInt32LE(0);
  const stir = Buffer.from(keys.border).readInt32LE(4) | 1;
  const hashOf = (key: string) => {
    let h = seed;
    for (let i = 0; i < key.length; i++) {
      h = Math.imul(h ^ key.charCodeAt(i), 0xcc9e2d51);
      h = (Math.imul((h << 15) | (h >>> 17), 0x1b873593) + stir) | 0;
    }
    // The finaliser of MurmurHash3 (Appleby), so that the low bits depend on all bits.
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return h ^ (h >>> 16);
  };
  return { endsSegment: (key) => (hashOf(key) & segmentMask) === 0, endsNode: (key) => (hashOf(key) & nodeMask) === 0 };
}

/** Cuts sorted entries into segments. It holds the open segment. */
export function segmentCutter(endsSegment: (key: string) => boolean) {
  let open: ManifestEntry[] = [];
  let complete: ManifestEntry[][] = [];
  const cutter = {
    add(entry: ManifestEntry): void {
      open.push(entry);
      if (endsSegment(entry.key)) complete.push(open.splice(0));
      else if (open.length >= maxEntries) complete.push(open.splice(0, maxEntries / 2));
    },
    /** The segments that are complete, each once. */
    take(): ManifestEntry[][] {
      const taken = complete;
      if (taken.length > 0) complete = [];
      return taken;
    },
    /** The last segments. */
    end(): ManifestEntry[][] {
      if (open.length > 0) complete.push(open);
      open = [];
      return cutter.take();
    },
  };
  return cutter;
}

/** `entries` must not be empty. */
export function writeSegment(writer: MetadataWriter, entries: ManifestEntry[]): SegmentRef {
  return { ...extentOfEntries(entries), ...writer.add('segment', encodeEntries(entries)) };
}

/** The entries of the segments, in order. @throws VaultDamage when one is missing or altered */
export async function* readSegments(context: ReaderContext, refs: SegmentRef[]): AsyncGenerator<ManifestEntry[]> {
  for await (const bytes of readMetadata(context, 'segment', refs)) yield decodeEntries(bytes);
}

export async function readSegment(context: ReaderContext, ref: SegmentRef): Promise<ManifestEntry[]> {
  return decodeEntries(await readOne(context, 'segment', ref));
}

const fieldOf = { file: 'files', folder: 'folders', link: 'links' } as const;

/** `entries` must not be empty. */
export function extentOfEntries(entries: ManifestEntry[]): Extent {
  const totals = { files: 0, folders: 0, links: 0, bytes: 0 };
  let live = 0;
  for (const entry of entries) {
    if (entry.deleted) continue;
    live++;
    if (entry.implied) continue;
    totals[fieldOf[entry.kind]]++;
    totals.bytes += entry.size;
  }
  const [first, last] = [entries[0], entries.at(-1)] as [ManifestEntry, ManifestEntry];
  return { first: first.key, last: last.key, count: entries.length, live, totals };
}

/** The extent of adjacent ranges. `parts` must not be empty. */
export function extentOfParts(parts: Extent[]): Extent {
  const [first, last] = [parts[0], parts.at(-1)] as [Extent, Extent];
  const sum = (numberOf: (part: Extent) => number) => parts.reduce((total, part) => total + numberOf(part), 0);
  return {
    first: first.first,
    last: last.last,
    count: sum((part) => part.count),
    live: sum((part) => part.live),
    totals: addTotals(parts.map((part) => part.totals)),
  };
}

export function addTotals(all: Totals[]): Totals {
  const sum = { files: 0, folders: 0, links: 0, bytes: 0 };
  for (const totals of all)
    for (const field of ['files', 'folders', 'links', 'bytes'] as const) sum[field] += totals[field];
  return sum;
}
