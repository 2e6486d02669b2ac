/**
 * Checks manifests against the log. Each manifest has the recorded hash. Its segments are sorted and complete, and
 * their counts are right. Packs hold all its chunks. The history of every entry can be followed.
 */
import { createHash } from 'node:crypto';
import type { ManifestRef, Totals } from '../domain/backup-chain.ts';
import { compareKeys } from '../domain/entry.ts';
import type { ManifestEntry } from '../vault/entry.ts';
import { verifyFile } from '../vault/read-file.ts';
import { findEntry, openManifest } from '../vault/reader.ts';
import { type ManifestRoot, readRoot } from '../vault/root.ts';
import { addTotals, type ReaderContext, readSegment, type SegmentRef } from '../vault/segment.ts';
import type { CheckedPacks } from './check-packs.ts';
import { type Count, type Finding, failure } from './finding.ts';
import { reasonOf } from './reading.ts';

/** A restore point as the log records it. */
export type NamedManifest = { ref: ManifestRef; totals: Totals; runId: string };

export type ManifestChecks = { packs: CheckedPacks; readData: boolean; count: Count };

/** Checks each segment and each content once, however many manifests share it. */
export async function* checkManifests(
  context: ReaderContext,
  named: NamedManifest[],
  checks: ManifestChecks,
): AsyncGenerator<Finding> {
  const refs = new Map(named.map(({ ref }) => [ref.id, ref]));
  const checkedSegments = new Set<string>();
  const checkedContents = new Set<string>();
  for (const { ref, totals, runId } of named) {
    checks.count('manifest');
    let root: ManifestRoot;
    try {
      root = await readRoot(context, ref);
    } catch (error) {
      yield failure('manifest', `${ref.id} of ${runId}`, reasonOf(error));
      continue;
    }
    yield* checkRoot(root, totals, refs);
    for (const segment of root.segments) {
      const name = `${segment.manifest} ${segment.offset} ${segment.sha256}`;
      if (checkedSegments.has(name)) continue;
      checkedSegments.add(name);
      yield* checkSegment(context, segment, refs, checkedContents, checks);
    }
  }
}

function* checkRoot(root: ManifestRoot, totals: Totals, refs: Map<string, ManifestRef>): Generator<Finding> {
  const fault = (detail: string) => failure('manifest', root.ref.id, detail);
  if (!sameTotals(root.totals, totals)) yield fault('its totals differ from those in the log');
  if (root.base !== null && !refs.has(root.base)) yield fault(`its base ${root.base} is not in the log`);
  for (const [i, segment] of root.segments.entries()) {
    const previous = root.segments[i - 1];
    if (previous && compareKeys(previous.last, segment.first) >= 0)
      yield fault(`segment ${i} is not sorted after the segment before it`);
    if (compareKeys(segment.first, segment.last) > 0) yield fault(`the last key of segment ${i} is before its first`);
  }
}

async function* checkSegment(
  context: ReaderContext,
  segment: SegmentRef,
  refs: Map<string, ManifestRef>,
  checkedContents: Set<string>,
  { packs, readData, count }: ManifestChecks,
): AsyncGenerator<Finding> {
  count('segment');
  const where = `${segment.manifest} segment ${segment.offset}`;
  let entries: ManifestEntry[];
  try {
    entries = await readSegment(context, segment);
  } catch (error) {
    return yield failure('segment', where, `${reasonOf(error)}; it lists ${segment.totals.files} files`);
  }
  const [first, last] = [entries[0], entries.at(-1)];
  if (
    first?.key !== segment.first ||
    last?.key !== segment.last ||
    entries.length !== segment.count ||
    !sameTotals(totalsOf(entries), segment.totals)
  )
    yield failure('segment', where, 'its entries differ from the keys and counts in the manifest');
  for (const [i, entry] of entries.entries()) {
    const previous = entries[i - 1];
    const entryRef = `${where} entry ${i}`;
    if (previous && compareKeys(previous.key, entry.key) >= 0)
      yield failure('segment', entryRef, 'the entry is not sorted after the entry before it');
    const fault = faultOfEntry(entry) ?? (await faultOfHistory(context, entry, refs));
    if (fault) yield failure('segment', entryRef, fault);
    if (entry.kind !== 'file' || entry.deleted) continue;
    count('file');
    yield* checkContent(context, entry, entryRef, checkedContents, packs, readData);
  }
}

async function* checkContent(
  context: ReaderContext,
  entry: ManifestEntry,
  where: string,
  checkedContents: Set<string>,
  packs: CheckedPacks,
  readData: boolean,
): AsyncGenerator<Finding> {
  let complete = true;
  for (const ref of entry.chunks ?? []) {
    const state = await packs.need(ref);
    complete &&= state === 'found';
    if (state === 'missing')
      yield failure('file', where, `${ref.pack} does not have the chunk that the file needs in slot ${ref.slot}`);
  }
  if (!complete) return yield failure('file', where, 'its content cannot be restored');
  if (!readData) return;
  const content = createHash('sha256')
    .update(JSON.stringify([entry.sha256, entry.chunks]))
    .digest('base64');
  if (checkedContents.has(content)) return;
  checkedContents.add(content);
  try {
    await verifyFile(context, entry);
  } catch (error) {
    yield failure('file', where, reasonOf(error));
  }
}

/** Rules that hold for every entry, whatever was backed up. */
function faultOfEntry(entry: ManifestEntry): string | undefined {
  const { kind, key, size, deleted, sha256, chunks, version, previous } = entry;
  // In S3 a file's key can end in a slash too. An empty one counts as a folder.
  if (kind === 'folder' ? !key.endsWith('/') : key.endsWith('/') && (kind === 'link' || (size === 0 && !deleted)))
    return 'only keys of folders, and of files with content, may end in a slash, and keys of folders must';
  if (version > 1 !== (previous !== undefined))
    return `it is version ${version}, but ${previous ? 'names' : 'does not name'} a version before it`;
  if (kind !== 'file' || deleted) return chunks || sha256 ? 'it has content, but should have none' : undefined;
  if (!sha256) return 'it has no hash';
  const length = (chunks ?? []).reduce((total, chunk) => total + chunk.length, 0);
  return length === size ? undefined : `its chunks have ${length} bytes, but its size is ${size}`;
}

/** The version before must be in the manifest that the entry names, and the log must know that manifest. */
async function faultOfHistory(
  context: ReaderContext,
  { key, version, previous }: ManifestEntry,
  refs: Map<string, ManifestRef>,
): Promise<string | undefined> {
  if (previous === undefined) return undefined;
  const ref = refs.get(previous);
  if (!ref) return `the version before it is in ${previous}, which is not in the log`;
  try {
    const before = await findEntry(context, await openManifest(context, ref), key);
    return before?.version === version - 1 ? undefined : `the version before it is not in ${previous}`;
  } catch {
    // The damage of that manifest or segment is a finding of its own.
    return undefined;
  }
}

function totalsOf(entries: ManifestEntry[]): Totals {
  return addTotals(
    entries.flatMap((entry) => {
      if (entry.deleted) return [];
      const one = (kind: ManifestEntry['kind']) => (entry.kind === kind ? 1 : 0);
      return [{ files: one('file'), folders: one('folder'), links: one('link'), bytes: entry.size }];
    }),
  );
}

function sameTotals(a: Totals, b: Totals): boolean {
  return a.files === b.files && a.folders === b.folders && a.links === b.links && a.bytes === b.bytes;
}
