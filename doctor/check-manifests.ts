/**
 * Checks manifests against the log. Each manifest has the recorded hash. Its segments are sorted and complete, and
 * their counts are right. Packs hold all its chunks. The history of every entry can be followed.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import type { ManifestRef, Totals } from '../domain/backup-chain.ts';
import { compareEntries, parentOf } from '../domain/entry.ts';
import { VaultDamage } from '../vault/damage.ts';
import type { ManifestEntry } from '../vault/entry.ts';
import { fileId } from '../vault/file-id.ts';
import { type ReaderContext, readOne } from '../vault/metadata.ts';
import { decodeNames, namesIn } from '../vault/names.ts';
import { verifyFile } from '../vault/read-file.ts';
import { findEntry, openManifest } from '../vault/reader.ts';
import { type ManifestNode, type ManifestRoot, type NodeRef, readNode, readRoot } from '../vault/root.ts';
import { type Extent, extentOfEntries, extentOfParts, readSegment, type SegmentRef } from '../vault/segment.ts';
import type { CheckedPacks } from './check-packs.ts';
import { type Count, type Finding, failure } from './finding.ts';
import { counted, reasonOf } from './reading.ts';

/** A restore point as the log records it. */
export type NamedManifest = { ref: ManifestRef; totals: Totals; runId: string; jobId: string; sourceId: string };

/** `usedMetadata` gets the metadata packs that the manifests use. */
export type ManifestChecks = {
  packs: CheckedPacks;
  readData: boolean;
  count: Count;
  usedMetadata: Set<string>;
  maxRemembered?: number | undefined;
};

/** A manifest of 100 million files has about 100,000 segments. The memory is about 100 MB. */
const defaultRemembered = 256 * 1024;

/**
 * Checks each node, segment and content once, however many manifests share it, as long as it remembers them. It
 * compares content with the content of the base too, so that a backup of any size is read once.
 */
export async function* checkManifests(
  context: ReaderContext,
  named: NamedManifest[],
  checks: ManifestChecks,
): AsyncGenerator<Finding> {
  const refs = new Map(named.map(({ ref }) => [ref.id, ref]));
  const remembered = () => new LRUCache<string, true>({ max: checks.maxRemembered ?? defaultRemembered });
  const checked = { nodes: remembered(), segments: remembered(), contents: remembered(), refs };
  const manifests = new Set<string>();
  for (const { ref, totals, runId, jobId, sourceId } of named) {
    checks.count('manifest');
    checks.usedMetadata.add(ref.id);
    let root: ManifestRoot;
    try {
      root = await readRoot(context, ref);
    } catch (error) {
      yield failure('manifest', `${ref.id} of ${runId}`, reasonOf(error, ref.id));
      continue;
    }
    yield* checkRoot(root, totals, refs);
    const fileIdOf = (key: string) => fileId(context.keys, { jobId, sourceId, key });
    const base = root.base !== null && manifests.has(root.base) ? refs.get(root.base) : undefined;
    for (const node of root.nodes) {
      checks.usedMetadata.add(node.pack);
      if (isKnown(checked.nodes, node.sha256)) continue;
      yield* checkNode(context, node, { ...checked, base, root, fileIdOf }, checks);
    }
    manifests.add(ref.id);
  }
}

type Remembered = LRUCache<string, true>;

/** The checked objects, and the manifests of the log by id. `base`: the base of this manifest, if it was checked. */
type Seen = {
  segments: Remembered;
  contents: Remembered;
  refs: Map<string, ManifestRef>;
  base: ManifestRef | undefined;
  root: ManifestRoot;
  /** The public id of a file, by its key. */
  fileIdOf(key: string): string;
};

/** Whether it was known before. From now on it is. */
function isKnown(known: Remembered, name: string): boolean {
  const before = known.get(name) ?? false;
  known.set(name, true);
  return before;
}

function* checkRoot(root: ManifestRoot, totals: Totals, refs: Map<string, ManifestRef>): Generator<Finding> {
  const fault = (detail: string) => failure('manifest', root.ref.id, detail);
  if (!sameTotals(root.totals, totals)) yield fault('its totals differ from those in the log');
  if (root.base !== null && !refs.has(root.base)) yield fault(`its base ${root.base} is not in the log`);
  yield* checkOrder('node', root.nodes, fault);
}

function* checkOrder(kind: string, parts: Extent[], fault: (detail: string) => Finding): Generator<Finding> {
  for (const [i, part] of parts.entries()) {
    const previous = parts[i - 1];
    if (previous && compareEntries(previous.last, part.first) >= 0)
      yield fault(`${kind} ${i} is not sorted after the ${kind} before it`);
    if (compareEntries(part.first, part.last) > 0) yield fault(`the last key of ${kind} ${i} is before its first`);
  }
}

async function* checkNode(
  context: ReaderContext,
  ref: NodeRef,
  checked: Seen,
  checks: ManifestChecks,
): AsyncGenerator<Finding> {
  checks.count('node');
  const where = `${ref.pack} node ${ref.offset}`;
  const fault = (detail: string) => failure('node', where, detail);
  let node: ManifestNode;
  try {
    node = await readNode(context, ref);
  } catch (error) {
    return yield fault(`${reasonOf(error)}; it lists ${counted(ref.totals.files, 'file')}`);
  }
  yield* checkOrder('segment', node.segments, fault);
  if (node.segments.length === 0 || !sameExtent(extentOfParts(node.segments), ref))
    yield fault('its segments differ from the keys and counts in the manifest');
  checks.usedMetadata.add(node.names.pack);
  const names: string[] = [];
  for (const segment of node.segments) {
    checks.usedMetadata.add(segment.pack);
    const isNew = !isKnown(checked.segments, segment.sha256);
    let entries: ManifestEntry[];
    try {
      entries = await readSegment(context, segment);
    } catch (error) {
      if (isNew) {
        checks.count('segment');
        const detail = `${reasonOf(error)}; it lists ${counted(segment.totals.files, 'file')}`;
        yield failure('segment', `${segment.pack} segment ${segment.offset}`, detail);
      }
      continue;
    }
    names.push(...entries.map(nameOf));
    if (isNew) yield* checkSegment(context, segment, entries, checked, checks);
  }
  if (names.length === ref.count) yield* checkNames(context, node, names, where);
}

function nameOf({ key, deleted }: { key: string; deleted?: boolean }): string {
  return `${deleted ? 'deleted' : 'live'} ${key}`;
}

async function* checkNames(
  context: ReaderContext,
  node: ManifestNode,
  expected: string[],
  where: string,
): AsyncGenerator<Finding> {
  try {
    const names = [...namesIn(decodeNames(await readOne(context, 'names', node.names)))].map(nameOf);
    if (names.length !== expected.length || names.some((name, i) => name !== expected[i]))
      yield failure('node', where, 'its names differ from the entries of its segments: searches miss files');
  } catch (error) {
    yield failure('node', where, `${reasonOf(error)}: searches fail`);
  }
}

async function* checkSegment(
  context: ReaderContext,
  segment: SegmentRef,
  entries: ManifestEntry[],
  checked: Seen,
  checks: ManifestChecks,
): AsyncGenerator<Finding> {
  checks.count('segment');
  const where = `${segment.pack} segment ${segment.offset}`;
  if (entries.length === 0 || !sameExtent(extentOfEntries(entries), segment))
    yield failure('segment', where, 'its entries differ from the keys and counts in the manifest');
  let above = '';
  for (const [i, entry] of entries.entries()) {
    const previous = entries[i - 1];
    const entryRef = `${where} entry ${i}`;
    if (previous && compareEntries(previous.key, entry.key) >= 0)
      yield failure('segment', entryRef, 'the entry is not sorted after the entry before it');
    if (!entry.deleted && parentOf(entry.key) !== above) {
      above = parentOf(entry.key);
      if (above !== '' && !(await isLive(context, checked.root, above)))
        yield failure('segment', entryRef, 'its folder is not in the backup: listings miss the entry');
    }
    const fault = faultOfEntry(entry) ?? (await faultOfHistory(context, entry, checked.refs));
    if (fault) yield failure('segment', entryRef, fault);
    if (entry.kind !== 'file' || entry.deleted) continue;
    checks.count('file');
    yield* checkContent(context, entry, checked, checks);
  }
}

async function* checkContent(
  context: ReaderContext,
  entry: ManifestEntry,
  { contents, base, fileIdOf }: Seen,
  { packs, readData }: ManifestChecks,
): AsyncGenerator<Finding> {
  const fault = (detail: string) => failure('file', `${fileIdOf(entry.key)} version ${entry.version}`, detail);
  let complete = true;
  let unreadable: string | undefined;
  for (const ref of entry.chunks ?? []) {
    const state = await packs.need(ref);
    complete &&= state === 'found';
    if (state === 'unreadable') unreadable = ref.pack;
    if (state === 'missing') yield fault(`${ref.pack} does not have the chunk that the file needs in slot ${ref.slot}`);
  }
  if (unreadable) return yield fault(`its content was not checked: ${unreadable} cannot be read`);
  if (!complete) return yield fault('its content cannot be restored');
  if (!readData) return;
  const content = createHash('sha256')
    .update(JSON.stringify([entry.sha256, entry.chunks]))
    .digest('base64');
  if (isKnown(contents, content) || (base && (await hasContent(context, base, entry)))) return;
  try {
    await verifyFile(context, entry);
  } catch (error) {
    yield fault(reasonOf(error));
  }
}

/** Whether the manifest has this content for the key. A manifest that cannot be read has a finding of its own. */
async function hasContent(context: ReaderContext, ref: ManifestRef, entry: ManifestEntry): Promise<boolean> {
  try {
    const other = await findEntry(context, await openManifest(context, ref), entry.key);
    return isDeepStrictEqual([other?.sha256, other?.chunks], [entry.sha256, entry.chunks]);
  } catch {
    return false;
  }
}

/** A manifest that cannot be read has a finding of its own. */
async function isLive(context: ReaderContext, root: ManifestRoot, key: string): Promise<boolean> {
  try {
    const entry = await findEntry(context, root, key);
    return entry !== undefined && !entry.deleted;
  } catch {
    return true;
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
  } catch (error) {
    // The damage of that manifest or segment is a finding of its own.
    return error instanceof VaultDamage ? undefined : `the version before it, in ${previous}: ${reasonOf(error)}`;
  }
}

function sameExtent(a: Extent, b: Extent): boolean {
  const same = a.first === b.first && a.last === b.last && a.count === b.count && a.live === b.live;
  return same && sameTotals(a.totals, b.totals);
}

function sameTotals(a: Totals, b: Totals): boolean {
  return a.files === b.files && a.folders === b.folders && a.links === b.links && a.bytes === b.bytes;
}
