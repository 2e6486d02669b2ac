/** Searches the names of a manifest. It reads name blocks, and no segments. */
import { compareKeys, displayPath, type EntryPosition, parentOf } from '../domain/entry.ts';
import { firstIndex } from './first-index.ts';
import type { ReaderContext } from './metadata.ts';
import { fold, isDeletedAt, keyAt, matchingNames, type NameBlock } from './names.ts';
import { extentsFrom, openNames, within } from './reader.ts';
import type { ManifestRoot } from './root.ts';

type Match = { block: NameBlock; number: number };
/** The matches of one folder, in the order of their keys. */
type Group = { parent: string; matches: Match[] };

/** Nodes whose names are read at once. */
const readAhead = 16;

/**
 * The keys whose paths contain every word, in path order, after the key `after`. Case and accents do not matter. Words
 * may contain slashes. Without words every key matches. Holds about `limit` matches of each folder on the way.
 */
export async function* searchKeys(
  context: ReaderContext,
  root: ManifestRoot,
  words: string[],
  after?: string,
  limit = heldLimit,
): AsyncGenerator<string> {
  const wanted = words.map(fold);
  const pieces = wanted.flatMap((word) => word.split('/')).sort((a, b) => b.length - a.length);
  const piece = pieces[0] ?? '';
  const isExact = wanted.length <= 1 && !wanted.some((word) => word.includes('/'));
  const groups = (from: EntryPosition | undefined, to?: EntryPosition) => matchesOf(context, root, piece, from, to);
  for await (const key of inPathOrder(groups, after, limit)) {
    const path = isExact ? '' : fold(displayPath(key).path);
    if (isExact || wanted.every((word) => path.includes(word))) yield key;
  }
}

/** The folders with matches between the positions, in order. A folder may come in several groups. */
async function* matchesOf(
  context: ReaderContext,
  root: ManifestRoot,
  piece: string,
  from: EntryPosition | undefined,
  to: EntryPosition | undefined,
): AsyncGenerator<Group> {
  const text = Buffer.from(piece);
  const refs = [...extentsFrom(root.nodes, from)].filter(({ live }) => live > 0);
  for (let at = 0; at < refs.length; at += readAhead) {
    const ahead = refs.slice(at, at + readAhead);
    if (to && compareKeys(parentOf(ahead[0]?.first ?? ''), to.parent) >= 0) return;
    for (const block of await openNames(context, ahead)) {
      const numbers = piece === '' ? undefined : matchingNames(block, text);
      let next = numbers?.next();
      for (const { parent, start, end } of block.groups) {
        const isDue = (!from || compareKeys(parent, from.parent) >= 0) && (!to || compareKeys(parent, to.parent) < 0);
        const all = piece === '' || fold(displayPath(parent).path).includes(piece);
        const matches: Match[] = [];
        const add = (number: number) => isDue && !isDeletedAt(block, number) && matches.push({ block, number });
        if (all) for (let number = start; number < end; number++) add(number);
        for (; numbers && next && !next.done && next.value < end; next = numbers.next()) if (!all) add(next.value);
        if (matches.length > 0) yield { parent, matches };
      }
    }
  }
}

/** `held`: matches in hand. `rest` gives the matches after them, and is undefined when `held` has them all. */
type Level = { parent: string; held: Match[]; at: number; rest: AsyncGenerator<Match[]> | undefined };

/** A level that holds more matches reads the others when it needs them. */
const heldLimit = 10_000;

/**
 * The keys of the groups in path order. Folders come in the order in which a walk enters them. So only the folders on
 * the way to the current one are held, and only a part of a large one.
 */
async function* inPathOrder(
  groups: (from: EntryPosition | undefined, to?: EntryPosition) => AsyncGenerator<Group>,
  after: string | undefined,
  limit: number,
): AsyncGenerator<string> {
  async function* restOf(parent: string, last: string): AsyncGenerator<Match[]> {
    for await (const { matches } of groups({ parent, key: last }, within(parent).to)) yield matchesAfter(matches, last);
  }

  const on = after === undefined ? [] : foldersOf(after);
  const levels = on.map((parent): Level => ({ parent, held: [], at: 0, rest: restOf(parent, after ?? '') }));
  // Folders before the key are either on the way to it, or behind it.
  let stream = groups(after === undefined ? undefined : { parent: after, key: '' });
  for (let next = await stream.next(); !next.done; next = await stream.next()) {
    const { parent, matches } = next.value;
    for (let top = levels.at(-1); top && !parent.startsWith(top.parent); top = levels.at(-1)) {
      yield* keysUpTo(top, undefined);
      levels.pop();
    }
    const top = levels.at(-1);
    if (top && top.parent !== parent) yield* keysUpTo(top, parent);
    const level = push(levels, next.value);
    const last = matches.at(-1);
    if (level.held.length <= limit || !last) continue;
    level.rest = restOf(parent, keyAt(last.block, last.number));
    stream = groups(within(parent).to);
  }
  for (let top = levels.pop(); top; top = levels.pop()) yield* keysUpTo(top, undefined);
}

function push(levels: Level[], { parent, matches }: Group): Level {
  let top = levels.at(-1);
  if (top?.parent !== parent) {
    top = { parent, held: [], at: 0, rest: undefined };
    levels.push(top);
  }
  for (const match of matches) top.held.push(match);
  return top;
}

/** The remaining keys of the level that come before the key, which is then passed. */
async function* keysUpTo(level: Level, bound: string | undefined): AsyncGenerator<string> {
  for (;;) {
    for (; level.at < level.held.length; level.at++) {
      const { block, number } = level.held[level.at] as Match;
      const key = keyAt(block, number);
      if (bound !== undefined && compareKeys(key, bound) > 0) return;
      yield key;
    }
    const more = await level.rest?.next();
    if (!more || more.done) return;
    level.held = more.value;
    level.at = 0;
  }
}

function matchesAfter(matches: Match[], after: string): Match[] {
  const first = firstIndex(matches.length, (at) => {
    const { block, number } = matches[at] as Match;
    return compareKeys(keyAt(block, number), after) <= 0;
  });
  return matches.slice(first);
}

/** The folders on the way to the key, from the root on. */
function foldersOf(key: string): string[] {
  const folders = [parentOf(key)];
  while (folders[0] !== '') folders.unshift(parentOf(folders[0] as string));
  return folders;
}
