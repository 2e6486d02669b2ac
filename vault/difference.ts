/** The difference of two manifests. */
import { compareEntries } from '../domain/entry.ts';
import type { ManifestEntry } from './entry.ts';
import type { MetadataRef, ReaderContext } from './metadata.ts';
import { peekable } from './peekable.ts';
import { type ManifestRoot, readNode } from './root.ts';
import { readSegments, type SegmentRef } from './segment.ts';

/** The entry of one key in both manifests. */
export type Difference = { before: ManifestEntry | undefined; now: ManifestEntry | undefined };

/** Keys whose entries differ, in order. Reads only nodes and segments that are not in both. @throws VaultDamage */
export async function* differences(
  context: ReaderContext,
  before: ManifestRoot | undefined,
  now: ManifestRoot,
): AsyncGenerator<Difference> {
  const nodes = withoutShared(before?.nodes ?? [], now.nodes);
  const [oldRefs, newRefs] = await Promise.all(nodes.map((refs) => segmentsOf(context, refs)));
  const [oldSegments, newSegments] = withoutShared(oldRefs ?? [], newRefs ?? []);
  const old = peekable(readSegments(context, oldSegments));
  for await (const entries of readSegments(context, newSegments)) {
    for (const entry of entries) {
      for (;;) {
        const other = await old.peek();
        const order = other ? compareEntries(other.key, entry.key) : 1;
        if (order <= 0) old.take();
        if (order < 0) yield { before: other, now: undefined };
        else if (order > 0) yield { before: undefined, now: entry };
        else if (other?.runId !== entry.runId || other.version !== entry.version) yield { before: other, now: entry };
        if (order >= 0) break;
      }
    }
  }
  for (let rest = await old.peek(); rest; rest = await old.peek()) {
    old.take();
    yield { before: rest, now: undefined };
  }
}

async function segmentsOf(context: ReaderContext, refs: Parameters<typeof readNode>[1][]): Promise<SegmentRef[]> {
  const segments: SegmentRef[] = [];
  for (const ref of refs) segments.push(...(await readNode(context, ref)).segments);
  return segments;
}

function withoutShared<T extends MetadataRef>(a: T[], b: T[]): [T[], T[]] {
  const others = (refs: T[]) => new Set(refs.map(({ pack, offset }) => `${pack} ${offset}`));
  const [inA, inB] = [others(a), others(b)];
  const only = (refs: T[], known: Set<string>) => refs.filter(({ pack, offset }) => !known.has(`${pack} ${offset}`));
  return [only(a, inB), only(b, inA)];
}
