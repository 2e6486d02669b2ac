/**
 * Makes the next manifest from the last one and the changes. It reads and writes only changed segments and their nodes.
 */
import type { ManifestRef, Totals } from '../domain/backup-chain.ts';
import { compareEntries, standInRevision } from '../domain/entry.ts';
import { VaultDamage } from './damage.ts';
import { encodeEntries, type FoundEntry, type ManifestEntry } from './entry.ts';
import { type MetadataRef, type MetadataWriter, openMetadataWriter, type ReaderContext, readOne } from './metadata.ts';
import { decodeNames, encodeNames, type Name, namesIn } from './names.ts';
import { type Peekable, peekable } from './peekable.ts';
import { type ManifestNode, type ManifestRoot, type NodeRef, readNode, writeNode, writeRoot } from './root.ts';
import {
  type Borders,
  bordersOf,
  readSegment,
  readSegments,
  type SegmentRef,
  segmentCutter,
  writeSegment,
} from './segment.ts';

export type Change = { put: FoundEntry } | { delete: string };

/** The nodes that are stored, and the last key in them. */
export type CommitPosition = { nodes: NodeRef[]; after: string };

export type NewManifest = ReaderContext & {
  random(bytes: number): Uint8Array;
  runId: string;
  at: string;
  /** The previous manifest. Without it there was nothing. */
  base?: ManifestRoot;
  /** Without name blocks, deleted entries and history. */
  isIndex?: boolean;
  /** In the order of entries, a key at most once. In batches of any size. */
  changes: AsyncIterable<Change[]>;
  /** Called before and after the upload of each metadata pack, with its size. */
  note?: (pack: string, state: 'uploading' | 'live', bytes: number) => Promise<void>;
  /** Called after the upload of each full metadata pack. Another attempt can start from there as `resume`. */
  checkpoint?: (position: CommitPosition) => Promise<void>;
  resume?: CommitPosition | undefined;
};

export type WrittenManifest = {
  manifest: ManifestRef;
  root: ManifestRoot;
  /** Without deleted entries and implied folders. */
  totals: Totals;
  bytesStored: number;
  /** False: everything was as it is in `base`, which is given back, and nothing was written. */
  changed: boolean;
};

/** A node of more segments is halved. */
const maxSegments = 64;

/**
 * The manifest is durable when it resolves. Each call makes metadata packs of new names, so attempts of one run do not
 * collide. Only the manifest that a restore point names counts. Putting an equal entry or deleting a missing one
 * changes nothing. A deleted key stays as a `deleted` entry, which leads to its history. It holds a few segments and
 * the names of a few nodes in memory.
 */
export async function writeManifest(options: NewManifest): Promise<WrittenManifest> {
  const { base, runId, at, resume, note = async () => {}, checkpoint } = options;
  const writer = openMetadataWriter(options, note);
  const nodes = [...(resume?.nodes ?? [])];
  let drafts: (NodeRef | NodeDraft)[] = [];
  let drafted = 0;
  const flush = () => {
    nodes.push(...writeDrafts(writer, drafts));
    drafts = [];
    drafted = 0;
  };
  for await (const { node, mayResume } of mergedNodes(options, writer)) {
    drafts.push(node);
    if ('newNames' in node) drafted += node.newNames?.length ?? 0;
    if (drafted < namesTogether && !writer.isFull()) continue;
    flush();
    if (!writer.isFull()) continue;
    await writer.close();
    const last = nodes.at(-1);
    if (mayResume && last) await checkpoint?.({ nodes, after: last.last });
  }
  flush();
  if (base && nodes.length === base.nodes.length && nodes.every((node, i) => sameNode(node, base.nodes[i])))
    return { manifest: base.ref, root: base, totals: base.totals, bytesStored: 0, changed: false };
  const root = await writeRoot(writer, { runId, at, base: base?.ref.id ?? null, nodes });
  return { manifest: root.ref, root, totals: root.totals, bytesStored: writer.bytesStored(), changed: true };
}

/** Name blocks are stored together up to this size before compression, so that a search reads several at once. */
const namesTogether = 8 * 1024 * 1024;

/** A node that is not stored yet. `oldNames`: its names did not change. */
type NodeDraft = { segments: SegmentRef[]; newNames: Uint8Array | undefined; oldNames: MetadataRef | undefined };

/** Stores the name blocks one after another, then the nodes. */
function writeDrafts(writer: MetadataWriter, drafts: (NodeRef | NodeDraft)[]): NodeRef[] {
  const named = drafts.map((draft) => {
    if (!('segments' in draft)) return draft;
    const names = draft.newNames ? writer.add('names', draft.newNames) : (draft.oldNames as MetadataRef);
    return { segments: draft.segments, names };
  });
  return named.map((node) => ('segments' in node ? writeNode(writer, node) : node));
}

function sameNode(a: NodeRef, b: NodeRef | undefined): boolean {
  return a.pack === b?.pack && a.offset === b.offset;
}

/** The state of one attempt while it goes through the manifest. */
type Merge = { options: NewManifest; writer: MetadataWriter; changes: Peekable<Change>; borders: Borders };
/** `mayResume`: everything up to the last key of the node is in nodes, and no old node goes on after it. */
type Merged = { node: NodeRef | NodeDraft; mayResume: boolean };

/** Nodes of the base that nothing touches, and new ones for the rest, in order. */
async function* mergedNodes(options: NewManifest, writer: MetadataWriter): AsyncGenerator<Merged> {
  const after = options.resume?.after;
  const borders = bordersOf(options.keys);
  const changes = ordered(options.changes, after);
  const merge = { options, writer, changes, borders };
  const old = options.base?.nodes ?? [];
  for (const [i, node] of old.entries()) {
    if (after !== undefined && compareEntries(node.last, after) <= 0) continue;
    // After a last node that no border ends, everything new belongs to it.
    const upTo = i === old.length - 1 && !borders.endsNode(node.last) ? null : node.last;
    if (isDue(await changes.peek(), upTo)) yield* rewriteNode(merge, node, upTo);
    else yield { node, mayResume: true };
  }
  if (await changes.peek()) yield* rewriteNode(merge, null, null);
}

function isDue(change: Change | undefined, upTo: string | null): change is Change {
  return change !== undefined && (upTo === null || compareEntries(keyOf(change), upTo) <= 0);
}

/** A segment of a new node, and its names. `names` is undefined where the old node has them, from entry `from` on. */
type Piece = { segment: SegmentRef; names: Name[] | undefined; from: number };
/** `count`: changes that had an effect. `names`: whether keys were added, deleted or came back. */
type Effect = { count: number; names: boolean };

async function* rewriteNode(merge: Merge, ref: NodeRef | null, upTo: string | null): AsyncGenerator<Merged> {
  const { options, borders, changes } = merge;
  const old = ref ? await readNode(options, ref) : undefined;
  const namesOf = oldNames(options, old);
  const effect = { count: 0, names: false };
  let open: Piece[] = [];

  async function close(pieces: Piece[]): Promise<NodeDraft> {
    const segments = pieces.map(({ segment }) => segment);
    if (old && !effect.names) return { segments, newNames: undefined, oldNames: old.names };
    const names: Name[] = [];
    for (const piece of options.isIndex ? [] : pieces)
      names.push(...(piece.names ?? (await namesOf(piece.from, piece.segment.count))));
    return { segments, newNames: Uint8Array.from(encodeNames(names)), oldNames: undefined };
  }

  async function* add(piece: Piece): AsyncGenerator<Merged> {
    open.push(piece);
    const ends = borders.endsNode(piece.segment.last);
    if (!ends && open.length < maxSegments) return;
    const pieces = ends ? open.splice(0) : open.splice(0, maxSegments / 2);
    // The end of the old node is handled below, because nothing may have changed.
    if (ends && piece.segment.last === upTo) open = pieces;
    else yield { node: await close(pieces), mayResume: ref === null };
  }

  const segments = old?.segments ?? [];
  let from = 0;
  for (const [i, segment] of segments.entries()) {
    const isOpenEnd = upTo === null && i === segments.length - 1 && !borders.endsSegment(segment.last);
    const end = isOpenEnd ? null : segment.last;
    if (!isDue(await changes.peek(), end)) yield* add({ segment, names: undefined, from });
    else for await (const piece of rewriteSegment(merge, { segment, from }, end, effect)) yield* add(piece);
    from += segment.count;
  }
  if (isDue(await changes.peek(), upTo))
    for await (const piece of rewriteSegment(merge, null, upTo, effect)) yield* add(piece);
  if (ref && effect.count === 0) yield { node: ref, mayResume: true };
  else if (open.length > 0) yield { node: await close(open), mayResume: true };
}

/** Reads the names of an old node: from its name block, or from its segments if the block is damaged. */
function oldNames(options: NewManifest, old: ManifestNode | undefined) {
  let loaded: Promise<Name[]> | undefined;
  async function load(): Promise<Name[]> {
    if (!old) return [];
    try {
      return [...namesIn(decodeNames(await readOne(options, 'names', old.names)))];
    } catch (error) {
      if (!(error instanceof VaultDamage)) throw error;
      const names: Name[] = [];
      for await (const entries of readSegments(options, old.segments)) names.push(...entries);
      return names;
    }
  }
  return async (from: number, count: number) => {
    loaded ??= load();
    return (await loaded).slice(from, from + count);
  };
}

async function* rewriteSegment(
  { options, writer, changes, borders }: Merge,
  old: { segment: SegmentRef; from: number } | null,
  upTo: string | null,
  effect: Effect,
): AsyncGenerator<Piece> {
  const before = old ? await readSegment(options, old.segment) : [];
  const effectsBefore = effect.count;
  const cutter = segmentCutter(borders.endsSegment);
  const piece = (entries: ManifestEntry[]): Piece => ({
    segment: writeSegment(writer, entries),
    // The node keeps its names until its end. Whole entries would take several times the memory.
    names: entries.map(({ key, deleted }) => (deleted ? { key, deleted } : { key })),
    from: 0,
  });
  let at = 0;
  for (;;) {
    const next = changes.peek();
    const change = next instanceof Promise ? await next : next;
    if (!isDue(change, upTo)) break;
    const key = keyOf(change);
    for (let entry = before[at]; entry && compareEntries(entry.key, key) < 0; entry = before[++at]) cutter.add(entry);
    const found = before[at]?.key === key ? before[at++] : undefined;
    const now = applied(options, found, change);
    if (now) {
      effect.count++;
      effect.names ||= found === undefined || found.deleted !== now.deleted;
    }
    const entry = now ?? found;
    if (entry && !(now?.deleted && options.isIndex)) cutter.add(entry);
    changes.take();
    // Until something really differs, the old segment may yet stay.
    if (effect.count > effectsBefore) for (const entries of cutter.take()) yield piece(entries);
  }
  if (effect.count === effectsBefore) {
    if (old) yield { segment: old.segment, names: undefined, from: old.from };
    return;
  }
  for (const entry of before.slice(at)) cutter.add(entry);
  for (const entries of cutter.end()) yield piece(entries);
}

/** The entry after the change. Undefined if it changes nothing. */
function applied(options: NewManifest, old: ManifestEntry | undefined, change: Change): ManifestEntry | undefined {
  const history = {
    version: (old?.version ?? 0) + 1,
    ...(old && options.base ? { previous: options.base.ref.id } : {}),
  };
  if ('delete' in change) {
    if (!old || old.deleted) return undefined;
    const { sha256: _sha256, chunks: _chunks, ...rest } = old;
    return { ...rest, runId: options.runId, at: options.at, ...history, deleted: true };
  }
  const isStandIn = change.put.revision === standInRevision;
  if (old && (isStandIn ? !old.deleted : sameThing(old, change.put))) return undefined;
  // A decoded part has neither. Leaving them out here would copy each entry once more.
  const found: FoundEntry & Partial<ManifestEntry> = change.put;
  if (options.isIndex) return { ...found, version: 0 };
  if (found.previous === undefined && !found.deleted) return { ...found, ...history };
  const { previous: _previous, deleted: _deleted, ...rest } = found;
  return { ...rest, ...history };
}

function sameThing(old: ManifestEntry, put: FoundEntry): boolean {
  if (old.deleted || old.revision !== put.revision || old.size !== put.size) return false;
  const alike = (entry: FoundEntry) =>
    encodeEntries([{ ...entry, version: 0, previous: undefined, deleted: undefined, runId: '', at: '' }]);
  return Buffer.compare(alike(old), alike(put)) === 0;
}

/** The changes after the key. Throws when they are not in the order of entries: merging them would lose some. */
function ordered(changes: AsyncIterable<Change[]>, after: string | undefined): Peekable<Change> {
  let last: string | undefined;
  return peekable(changes, (batch) => {
    for (const key of batch.map(keyOf)) {
      if (last !== undefined && compareEntries(last, key) >= 0)
        throw new Error('changes of a manifest come in the order of entries, each key once');
      last = key;
    }
    return after === undefined ? batch : batch.filter((change) => compareEntries(keyOf(change), after) > 0);
  });
}

function keyOf(change: Change): string {
  return 'put' in change ? change.put.key : change.delete;
}
