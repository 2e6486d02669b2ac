/** Searches the names of a manifest. It reads name blocks, and no segments. */
import { setImmediate as turn } from 'node:timers/promises';
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
import { fold, folderKeyAt, folderOf, keyAt, matchingNames, type NameBlock, sizeOfNames } from './names.ts';
import { extentsFrom, foldersTo, openNames, within } from './reader.ts';
import type { ManifestRoot, NodeRef } from './root.ts';
import { inTurns } from './turns.ts';

/** A key that matches. Or a key that need not exist: all matches up to `passed` were found. */
export type SearchStep = { key: string } | { passed: string };

type Match = { block: NameBlock; number: number };
/** The matches of one folder, in the order of their keys. `end`: the last key read, in the order of entries. */
type Group = { parent: string; matches: Match[]; end?: string };

/** The search reports its position after so many nodes, or so many bytes of memory for their names. */
export type SearchLimits = { nodes: number; bytes: number };
const atOnce: SearchLimits = { nodes: 16, bytes: 32 * 1024 * 1024 };
/** Characters of paths to compare between turns of the event loop, a few ms. */
const pathsPerTurn = 64 * 1024;

/** The folded words without repeated ones, and without parts of other words, which change no result. */
export function distinctWords(words: string[]): string[] {
  const distinct: string[] = [];
  for (const word of [...new Set(words.map(fold))].sort((a, b) => b.length - a.length))
    if (!distinct.some((other) => other.includes(word))) distinct.push(word);
  return distinct;
}

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
  limits = atOnce,
): AsyncGenerator<SearchStep> {
  const wanted = distinctWords(words);
  const isExact = !wanted.some((word) => word.includes('/'));
  // The pieces of words with slashes only narrow the candidates down. A few do.
  const pieces = distinctWords(wanted.flatMap((word) => word.split('/'))).filter(Boolean);
  const some = isExact ? pieces : pieces.slice(0, piecesOfSlashed);
  const groups = (from: EntryPosition | undefined, to?: EntryPosition) =>
    matchesOf(context, root, { pieces: some, limits, from, to });
  let compared = 0;
  for await (const step of inPathOrder(groups, after)) {
    if (isExact || 'passed' in step) {
      yield step;
      continue;
    }
    const path = fold(displayPath(step.key).path);
    if (wanted.every((word) => path.includes(word))) yield step;
    compared += path.length * wanted.length;
    if (compared < pathsPerTurn) continue;
    compared = 0;
    await turn();
  }
}

/** Pieces of words with slashes that name blocks are searched for. */
const piecesOfSlashed = 20;

type Scan = { pieces: string[]; limits: SearchLimits; from: EntryPosition | undefined; to: EntryPosition | undefined };

/**
 * The folders with entries between the positions that have every piece in their paths, in order. A folder may come in
 * several groups. The last group of each read has an `end`, even without matches.
 */
async function* matchesOf(
  context: ReaderContext,
  root: ManifestRoot,
  { pieces, limits, from, to }: Scan,
): AsyncGenerator<Group> {
  let groups = 0;
  for (const run of adjacentNodes(root, limits.nodes, from, to)) {
    let bytes = 0;
    let at = 0;
    for await (const block of openNames(context, run)) {
      const { until } = block.folders;
      await turn();
      const numbers = await inTurns(matchingNames(block, pieces, firstIn(block, from), to && firstIn(block, to)));
      for (let next = 0; next < numbers.length; groups++) {
        const folder = folderOf(block, numbers[next] as number);
        const matches: Match[] = [];
        for (; next < numbers.length && (numbers[next] as number) < (until[folder] as number); next++)
          matches.push({ block, number: numbers[next] as number });
        if (groups % groupsPerTurn === 0) await turn();
        yield { parent: folderKeyAt(block, folder), matches };
      }
      const end = run[at++]?.last ?? '';
      bytes += sizeOfNames(block);
      if (at < run.length && bytes < limits.bytes) continue;
      bytes = 0;
      if (!to || comparePositions(positionOf(end), to) < 0) yield { parent: parentOf(end), matches: [], end };
    }
  }
}

/** Folders with matches between turns of the event loop, a few ms. */
const groupsPerTurn = 1024;

/** Nodes with live entries between the positions, in lists of nodes that are adjacent in a metadata pack. */
function* adjacentNodes(
  root: ManifestRoot,
  most: number,
  from: EntryPosition | undefined,
  to: EntryPosition | undefined,
): Generator<NodeRef[]> {
  let run: NodeRef[] = [];
  for (const node of extentsFrom(root.nodes, from)) {
    if (to && comparePositions(positionOf(node.first), to) >= 0) break;
    if (node.live === 0) continue;
    const last = run.at(-1);
    if (last && (run.length === most || last.pack !== node.pack || last.offset + last.length !== node.offset)) {
      yield run;
      run = [];
    }
    run.push(node);
  }
  if (run.length > 0) yield run;
}

/** The number of the first entry whose folder is at or after the folder of the position. */
function firstIn(block: NameBlock, position: EntryPosition | undefined): number {
  const { until } = block.folders;
  const { parent = '' } = position ?? {};
  const folder = firstIndex(until.length, (at) => compareKeys(folderKeyAt(block, at), parent) < 0);
  return until[folder - 1] ?? 0;
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
