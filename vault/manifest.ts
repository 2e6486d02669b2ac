/**
 * Makes the next manifest from the last one and the changes. It reads and writes only changed segments, as one blob.
 */

import { base32 } from '../crypto/base32.ts';
import type { ManifestRef, Totals } from '../domain/backup-chain.ts';
import { compareKeys } from '../domain/entry.ts';
import { encodeEntries, type FoundEntry, type ManifestEntry } from './entry.ts';
import { encryptRoot, type ManifestRoot } from './root.ts';
import {
  borderTest,
  cutSegments,
  encryptSegment,
  manifestBlobKey,
  type ReaderContext,
  readSegment,
  type SegmentRef,
} from './segment.ts';

export type Change = { put: FoundEntry } | { delete: string };

export type NewManifest = ReaderContext & {
  random(bytes: number): Uint8Array;
  runId: string;
  at: string;
  /** The previous manifest. Without it there was nothing. */
  base?: ManifestRoot;
  /** In key order, a key at most once. */
  changes: AsyncIterable<Change>;
};

export type WrittenManifest = {
  manifest: ManifestRef;
  root: ManifestRoot;
  /** The blob that holds it. */
  key: string;
  /** Of what is not deleted. */
  totals: Totals;
  bytesStored: number;
  /** False: everything was as it is in `base`, which is given back, and nothing was written. */
  changed: boolean;
};

/** Manifests up to this size go up in one request, larger ones as a stream. */
const wholePut = 8 * 1024 * 1024;

/**
 * The manifest is durable when it resolves. Each call makes a manifest of a new name, so attempts of one run do not
 * collide. Only the one that a restore point names counts. Putting an equal entry or deleting a missing one changes
 * nothing. A deleted key stays as a `deleted` entry, which leads to its history. It holds a few segments in memory.
 */
export async function writeManifest(options: NewManifest): Promise<WrittenManifest> {
  const { account, blobs, base, runId, at } = options;
  const manifest = `man_${base32(options.random(16))}`;
  const key = manifestBlobKey(account, manifest);
  const segments: SegmentRef[] = [];
  let offset = 0;

  async function* encryptedPieces(): AsyncGenerator<Uint8Array> {
    for await (const piece of merge(options)) {
      if ('keep' in piece) segments.push(piece.keep);
      else {
        const { bytes, ref } = encryptSegment(options, manifest, offset, piece.entries);
        segments.push(ref);
        offset += bytes.length;
        yield bytes;
      }
    }
  }

  const pieces = encryptedPieces();
  const head: Uint8Array[] = [];
  let ended = false;
  while (!ended && offset < wholePut) {
    const next = await pieces.next();
    if (next.done) ended = true;
    else head.push(next.value);
  }
  if (head.length === 0 && base)
    return {
      manifest: base.ref,
      root: base,
      key: manifestBlobKey(account, base.ref.id),
      totals: base.totals,
      bytesStored: 0,
      changed: false,
    };

  const end = () => encryptRoot(options, manifest, { runId, at, base: base?.ref.id ?? null, segments });
  let last: ReturnType<typeof end>;
  if (ended) {
    last = end();
    await blobs.put(key, Buffer.concat([...head, last.bytes]), { ifAbsent: true });
  } else {
    let streamed: typeof last | undefined;
    const body = async function* () {
      yield* head;
      yield* pieces;
      streamed = end();
      yield streamed.bytes;
    };
    await blobs.put(key, body(), { ifAbsent: true });
    if (!streamed) throw new Error('the manifest was not read to its end');
    last = streamed;
  }
  const { root } = last;
  return { manifest: root.ref, root, key, totals: root.totals, bytesStored: offset + last.bytes.length, changed: true };
}

type Piece = { keep: SegmentRef } | { entries: ManifestEntry[] };

/** Segments of the base that nothing touches, and new ones for the rest, in key order. */
async function* merge(options: NewManifest): AsyncGenerator<Piece> {
  const isBorder = borderTest(options.keys);
  const changes = ordered(options.changes);
  const old = options.base?.segments ?? [];
  for (const [i, segment] of old.entries()) {
    // After a last segment that no border ends, everything new belongs to it.
    const openEnd = i === old.length - 1 && !isBorder(segment.last);
    const next = await changes.peek();
    const touched = next !== undefined && (openEnd || compareKeys(keyOf(next), segment.last) <= 0);
    if (!touched) yield { keep: segment };
    else yield* rewrite(options, segment, openEnd ? null : segment.last, changes, isBorder);
  }
  if (await changes.peek()) yield* rewrite(options, null, null, changes, isBorder);
}

async function* rewrite(
  options: NewManifest,
  segment: SegmentRef | null,
  upTo: string | null,
  changes: Changes,
  isBorder: (key: string) => boolean,
): AsyncGenerator<Piece> {
  const effect = { count: 0 };
  const before = segment ? await readSegment(options, segment) : [];
  let held: Piece[] = [];
  for await (const entries of cutSegments(apply(options, before, upTo, changes, effect), isBorder)) {
    held.push({ entries });
    // Until something really differs, the old segment may yet stay.
    if (effect.count > 0) {
      yield* held;
      held = [];
    }
  }
  if (effect.count > 0) yield* held;
  else if (segment) yield { keep: segment };
}

async function* apply(
  options: NewManifest,
  before: ManifestEntry[],
  upTo: string | null,
  changes: Changes,
  effect: { count: number },
): AsyncGenerator<ManifestEntry> {
  let at = 0;
  for (
    let change = await changes.peek();
    change && (upTo === null || compareKeys(keyOf(change), upTo) <= 0);
    change = await changes.peek()
  ) {
    const key = keyOf(change);
    for (let entry = before[at]; entry && compareKeys(entry.key, key) < 0; entry = before[++at]) yield entry;
    const old = before[at]?.key === key ? before[at++] : undefined;
    const now = applied(options, old, change);
    if (now) effect.count++;
    const entry = now ?? old;
    if (entry) yield entry;
    changes.take();
  }
  yield* before.slice(at);
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
  if (old && sameThing(old, change.put)) return undefined;
  const found: FoundEntry & Partial<ManifestEntry> = { ...change.put };
  delete found.previous;
  delete found.deleted;
  return { ...found, ...history };
}

function sameThing(old: ManifestEntry, put: FoundEntry): boolean {
  if (old.deleted || old.revision !== put.revision || old.size !== put.size) return false;
  const alike = (entry: FoundEntry) =>
    encodeEntries([{ ...entry, version: 0, previous: undefined, deleted: undefined, runId: '', at: '' }]);
  return Buffer.compare(alike(old), alike(put)) === 0;
}

type Changes = { peek(): Promise<Change | undefined>; take(): void };

/** The changes one at a time. Throws when they are not in key order: merging them would lose some. */
function ordered(changes: AsyncIterable<Change>): Changes {
  const iterator = changes[Symbol.asyncIterator]();
  let next: Change | undefined;
  let last: string | undefined;
  let ended = false;
  return {
    async peek() {
      if (next || ended) return next;
      const result = await iterator.next();
      if (result.done) {
        ended = true;
        return undefined;
      }
      next = result.value;
      const key = keyOf(next);
      if (last !== undefined && compareKeys(last, key) >= 0)
        throw new Error('changes of a manifest come in key order, each key once');
      last = key;
      return next;
    },
    take() {
      next = undefined;
    },
  };
}

function keyOf(change: Change): string {
  return 'put' in change ? change.put.key : change.delete;
}
