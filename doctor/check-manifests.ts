/** Whether manifests are those that the log named, their segments sorted, whole and counted right, and every history resolvable. */
import { createHash } from 'node:crypto';
import type { ManifestRef, Totals } from '../domain/backup-chain.ts';
import { compareKeys } from '../domain/entry.ts';
import type { ManifestEntry } from '../vault/entry.ts';
import { verifyFile } from '../vault/read-file.ts';
import { findEntry, openManifest } from '../vault/reader.ts';
import { type ManifestRoot, readRoot } from '../vault/root.ts';
import { addTotals, type ReaderContext, readSegment, type SegmentRef } from '../vault/segment.ts';
import { type CheckedPacks, whyOf } from './check-packs.ts';
import { type Count, type Finding, failure } from './finding.ts';

/** A backup as the log has it. */
export type NamedManifest = { ref: ManifestRef; totals: Totals; runId: string };

export type ManifestChecks = { packs: CheckedPacks; readData: boolean; count: Count };

/** Each segment is looked at once, however many manifests share it. */
export async function* checkManifests(
  context: ReaderContext,
  named: NamedManifest[],
  checks: ManifestChecks,
): AsyncGenerator<Finding> {
  const refs = new Map(named.map(({ ref }) => [ref.id, ref]));
  const segments = new Set<string>();
  const contents = new Set<string>();
  for (const { ref, totals, runId } of named) {
    checks.count('manifest');
    let root: ManifestRoot;
    try {
      root = await readRoot(context, ref);
    } catch (error) {
      yield failure('manifest', `${ref.id} of ${runId}`, whyOf(error));
      continue;
    }
    yield* checkRoot(root, totals, refs);
    for (const segment of root.segments) {
      const name = `${segment.manifest} ${segment.offset} ${segment.sha256}`;
      if (segments.has(name)) continue;
      segments.add(name);
      yield* checkSegment(context, segment, refs, contents, checks);
    }
  }
}

function* checkRoot(root: ManifestRoot, totals: Totals, refs: Map<string, ManifestRef>): Generator<Finding> {
  const fault = (detail: string) => failure('manifest', root.ref.id, detail);
  if (!sameTotals(root.totals, totals)) yield fault('it does not hold as much as the log says');
  if (root.base !== null && !refs.has(root.base))
    yield fault(`it was made from ${root.base}, which the log does not know`);
  for (const [i, segment] of root.segments.entries()) {
    const before = root.segments[i - 1];
    if (before && compareKeys(before.last, segment.first) >= 0)
      yield fault(`its segment ${i} does not come after the one before it`);
    if (compareKeys(segment.first, segment.last) > 0) yield fault(`its segment ${i} ends before it begins`);
  }
}

async function* checkSegment(
  context: ReaderContext,
  segment: SegmentRef,
  refs: Map<string, ManifestRef>,
  contents: Set<string>,
  { packs, readData, count }: ManifestChecks,
): AsyncGenerator<Finding> {
  count('segment');
  const where = `${segment.manifest} segment ${segment.offset}`;
  let entries: ManifestEntry[];
  try {
    entries = await readSegment(context, segment);
  } catch (error) {
    return yield failure('segment', where, `${whyOf(error)}; it lists ${segment.totals.files} files`);
  }
  const [first, last] = [entries[0], entries.at(-1)];
  if (
    first?.key !== segment.first ||
    last?.key !== segment.last ||
    entries.length !== segment.count ||
    !sameTotals(totalsOf(entries), segment.totals)
  )
    yield failure('segment', where, 'its entries are not those that its manifest counts');
  for (const [i, entry] of entries.entries()) {
    const before = entries[i - 1];
    const at = `${where} entry ${i}`;
    if (before && compareKeys(before.key, entry.key) >= 0)
      yield failure('segment', at, 'it does not come after the entry before it');
    const fault = faultOf(entry) ?? (await faultOfHistory(context, entry, refs));
    if (fault) yield failure('segment', at, fault);
    if (entry.kind !== 'file' || entry.deleted) continue;
    count('file');
    yield* checkContent(context, entry, at, contents, packs, readData);
  }
}

async function* checkContent(
  context: ReaderContext,
  entry: ManifestEntry,
  where: string,
  contents: Set<string>,
  packs: CheckedPacks,
  readData: boolean,
): AsyncGenerator<Finding> {
  let whole = true;
  for (const ref of entry.chunks ?? []) {
    const found = await packs.need(ref);
    whole &&= found === 'found';
    if (found === 'missing')
      yield failure(
        'file',
        where,
        `a chunk of it should be in slot ${ref.slot} of ${ref.pack}, which holds something else there`,
      );
  }
  if (!whole) return yield failure('file', where, 'its content cannot be restored');
  if (!readData) return;
  const content = createHash('sha256')
    .update(JSON.stringify([entry.sha256, entry.chunks]))
    .digest('base64');
  if (contents.has(content)) return;
  contents.add(content);
  try {
    await verifyFile(context, entry);
  } catch (error) {
    yield failure('file', where, whyOf(error));
  }
}

/** What an entry cannot be, whatever was backed up. */
function faultOf({ kind, key, size, deleted, sha256, chunks, version, previous }: ManifestEntry): string | undefined {
  // S3 has files of such names too; an empty one is a folder.
  if (kind === 'folder' ? !key.endsWith('/') : key.endsWith('/') && (kind === 'link' || (size === 0 && !deleted)))
    return 'keys of folders end in a slash, and no others do but those of files with content';
  if (version > 1 !== (previous !== undefined))
    return `it is version ${version}, and ${previous ? 'names' : 'does not name'} one before`;
  if (kind !== 'file' || deleted) return chunks || sha256 ? 'it has content, and should not' : undefined;
  if (!sha256) return 'it has no hash';
  const length = (chunks ?? []).reduce((total, chunk) => total + chunk.length, 0);
  return length === size ? undefined : `its chunks have ${length} bytes, and it has ${size}`;
}

/** The version before has to be where the entry says, in a backup that the log knows. */
async function faultOfHistory(
  context: ReaderContext,
  { key, version, previous }: ManifestEntry,
  refs: Map<string, ManifestRef>,
) {
  if (previous === undefined) return undefined;
  const ref = refs.get(previous);
  if (!ref) return `its version before is in ${previous}, which the log does not know`;
  try {
    const before = await findEntry(context, await openManifest(context, ref), key);
    return before?.version === version - 1 ? undefined : `its version before is not in ${previous}`;
  } catch {
    // That manifest, or its segment, is told of by itself.
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
