/** Searches the names of a manifest. It reads name blocks, and no segments. */
import {
  compareKeys,
  comparePositions,
  displayPath,
  type EntryPosition,
  parentOf,
  positionOf,
} from '../domain/entry.ts';
import { firstIndex } from './first-index.ts';
import type { ReaderContext } from './metadata.ts';
import { fold, isDeletedAt, isInName, keyAt, matchingNames, type NameBlock } from './names.ts';
import { extentsFrom, foldersTo, openNames, within } from './reader.ts';
import type { ManifestRoot } from './root.ts';

/** A key that matches. Or a key that need not exist: all matches up to `passed` were found. */
export type SearchStep = { key: string } | { passed: string };

type Match = { block: NameBlock; number: number };
/** The matches of one folder, in the order of their keys. `end`: the last key read, in the order of entries. */
type Group = { parent: string; matches: Match[]; end?: string };

/** Nodes whose names are read at once. */
const nodesAtOnce = 16;

/**
 * The keys whose paths contain every word, in path order, after the key `after`. Case and accents do not matter. Words
 * may contain slashes. Without words every key matches. Reports its position after each read of name blocks, so that a
 * caller can stop and go on from there. It holds the matches of one read for each folder on the way.
 */
export async function* searchKeys(
  context: ReaderContext,
  root: ManifestRoot,
  words: string[],
  after?: string,
  readAhead = nodesAtOnce,
): AsyncGenerator<SearchStep> {
  const wanted = words.map(fold);
  const pieces = wanted.flatMap((word) => word.split('/')).sort((a, b) => b.length - a.length);
  const isExact = !wanted.some((word) => word.includes('/'));
  const groups = (from: EntryPosition | undefined, to?: EntryPosition) =>
    matchesOf(context, root, { pieces, readAhead, from, to });
  for await (const step of inPathOrder(groups, after)) {
    const path = isExact || 'passed' in step ? '' : fold(displayPath(step.key).path);
    if (isExact || 'passed' in step || wanted.every((word) => path.includes(word))) yield step;
  }
}

type Scan = { pieces: string[]; readAhead: number; from: EntryPosition | undefined; to: EntryPosition | undefined };

/**
 * The folders with entries between the positions that have every piece in their paths, in order. A folder may come in
 * several groups. The last group of each read has an `end`, even without matches.
 */
async function* matchesOf(
  context: ReaderContext,
  root: ManifestRoot,
  { pieces, readAhead, from, to }: Scan,
): AsyncGenerator<Group> {
  const [piece = '', ...more] = pieces;
  const others = more.map((other) => ({ other, bytes: Buffer.from(other) }));
  const text = Buffer.from(piece);
  const refs = [...extentsFrom(root.nodes, from)].filter(
    ({ live, first }) => live > 0 && (!to || comparePositions(positionOf(first), to) < 0),
  );
  for (let at = 0; at < refs.length; at += readAhead) {
    const ahead = refs.slice(at, at + readAhead);
    for (const block of await openNames(context, ahead)) {
      const numbers = piece === '' ? undefined : matchingNames(block, text);
      let next = numbers?.next();
      for (const group of block.groups) {
        const { parent, start, end } = group;
        const isDue = (!from || compareKeys(parent, from.parent) >= 0) && (!to || compareKeys(parent, to.parent) < 0);
        group.folded ??= fold(displayPath(parent).path);
        const path = group.folded;
        const all = path.includes(piece);
        const hasOthers = (number: number) =>
          others.every(({ other, bytes }) => path.includes(other) || isInName(block, number, bytes));
        const matches: Match[] = [];
        const add = (number: number) => {
          if (isDue && !isDeletedAt(block, number) && hasOthers(number)) matches.push({ block, number });
        };
        if (all) for (let number = start; number < end; number++) add(number);
        for (; numbers && next && !next.done && next.value < end; next = numbers.next()) if (!all) add(next.value);
        if (matches.length > 0) yield { parent, matches };
      }
    }
    const end = ahead.at(-1)?.last ?? '';
    if (!to || comparePositions(positionOf(end), to) < 0) yield { parent: parentOf(end), matches: [], end };
  }
}

/** `held`: matches in hand. `rest` gives later matches. Everything up to the key `end` was read. */
type Level = { parent: string; held: Match[]; at: number; end: string; rest: AsyncGenerator<Group> | undefined };

/**
 * The keys of the groups in path order. Folders come in the order in which a walk enters them. So only the folders on
 * the way to the current one are held. When a read ends within a folder, the folders below come first, and the rest of
 * the folder is read when it is due. So each read brings the search further in path order, however large a folder is.
 */
async function* inPathOrder(
  groups: (from: EntryPosition | undefined, to?: EntryPosition) => AsyncGenerator<Group>,
  after: string | undefined,
): AsyncGenerator<SearchStep> {
  async function* restOf(parent: string, end: string): AsyncGenerator<Group> {
    // No key comes between `end` and this position.
    const from = { parent, key: `${end}\0` };
    for await (const group of groups(from, within(parent).to))
      yield { ...group, matches: matchesAfter(group.matches, end) };
  }
  const levels: Level[] = [];
  const push = (parent: string): Level => {
    levels.push({ parent, held: [], at: 0, end: '', rest: undefined });
    return levels.at(-1) as Level;
  };
  const split = (level: Level, end: string) => Object.assign(level, { end, rest: restOf(level.parent, end) });

  if (after !== undefined) for (const parent of foldersTo(after)) split(push(parent), after);
  // Folders before the key are either on the way to it, or behind it.
  let stream = groups(after === undefined ? undefined : { parent: after, key: '' });
  for (let next = await stream.next(); !next.done; next = await stream.next()) {
    const { parent, matches, end } = next.value;
    for (let top = levels.at(-1); top && !parent.startsWith(top.parent); top = levels.at(-1)) {
      yield* keysUpTo(top, undefined);
      levels.pop();
    }
    let top = levels.at(-1);
    if (top?.parent !== parent) {
      if (top) yield* keysUpTo(top, parent);
      top = push(parent);
    }
    for (const match of matches) top.held.push(match);
    if (end === undefined) continue;
    split(top, end);
    stream = groups(within(parent).to);
    // Nothing comes before the root, so a search that goes on from there starts.
    if (parent !== '') yield { passed: parent };
  }
  for (let top = levels.pop(); top; top = levels.pop()) yield* keysUpTo(top, undefined);
}

/** The remaining keys of the level up to the key `bound`. It reads no further than needed. */
async function* keysUpTo(level: Level, bound: string | undefined): AsyncGenerator<SearchStep> {
  for (;;) {
    for (; level.at < level.held.length; level.at++) {
      const { block, number } = level.held[level.at] as Match;
      const key = keyAt(block, number);
      if (bound !== undefined && compareKeys(key, bound) > 0) return;
      yield { key };
    }
    if (bound !== undefined && compareKeys(level.end, bound) >= 0) return;
    const more = await level.rest?.next();
    if (!more || more.done) return;
    const { matches, end } = more.value;
    Object.assign(level, { held: matches, at: 0 });
    if (end === undefined) continue;
    level.end = end;
    yield { passed: bound !== undefined && compareKeys(bound, end) < 0 ? bound : end };
  }
}

function matchesAfter(matches: Match[], after: string): Match[] {
  const first = firstIndex(matches.length, (at) => {
    const { block, number } = matches[at] as Match;
    return compareKeys(keyAt(block, number), after) <= 0;
  });
  return matches.slice(first);
}
