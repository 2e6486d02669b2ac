/**
 * Name blocks: the keys of all entries of a node, so that a search reads no segments. They depend on keys and deletions
 * alone, so that an edit of a file's content does not change them.
 */
import { isAscii as isAsciiBytes } from 'node:buffer';
import { displayPath, isAscii, keyBytes, keyFromBytes, parentOf } from '../domain/entry.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { VaultDamage } from './damage.ts';
import { firstIndex } from './first-index.ts';

/** The key of an entry, and whether it is deleted. */
export type Name = { key: string; deleted?: boolean };

const format = 1;
const isFolder = 1;
const isDeleted = 2;
/** Ends each name. No name contains it. */
const slash = 0x2f;

/** Encodes the names of sorted entries, without compression. */
export function encodeNames(names: Iterable<Name>): Uint8Array {
  const parents = new ByteWriter();
  const flags: number[] = [];
  const text = new ByteWriter();
  let groups = 0;
  let parent: string | undefined;
  let inGroup = 0;
  const end = Uint8Array.of(slash);
  for (const { key, deleted } of names) {
    const folder = parentOf(key);
    if (folder !== parent) {
      if (parent !== undefined) parents.varint(inGroup);
      parents.bytes(keyBytes(folder));
      parent = folder;
      inGroup = 0;
      groups++;
    }
    inGroup++;
    const slashed = key.endsWith('/');
    flags.push((slashed ? isFolder : 0) | (deleted ? isDeleted : 0));
    text.raw(keyBytes(key.slice(folder.length, slashed ? -1 : undefined))).raw(end);
  }
  if (parent !== undefined) parents.varint(inGroup);
  return new ByteWriter()
    .varint(format)
    .varint(groups)
    .bytes(parents.done())
    .bytes(Uint8Array.from(flags))
    .bytes(text.done())
    .done();
}

/** A decoded name block. Views of bytes instead of strings keep a million folders out of the garbage collector. */
export type NameBlock = {
  /** The folders in order. `starts` and `ends`: their keys in `text`. `until`: the number after their last entry. */
  folders: { text: Buffer; starts: Uint32Array; ends: Uint32Array; until: Uint32Array };
  flags: Uint8Array;
  /** The names, each ended by a slash. */
  text: Buffer;
  /** The end of each name in `text`. */
  ends: Uint32Array;
};

/** Folded texts in order. `ends`: the end of each. A byte that no word contains follows it. */
type Folded = { bytes: Buffer; ends: Uint32Array };

/** A name block with folded copies of its folders and names. */
export type SearchBlock = NameBlock & { foldedFolders: Folded; foldedNames: Folded };

/** @throws VaultDamage for bytes that `encodeNames` did not write */
export function decodeNames(bytes: Uint8Array): NameBlock {
  const work = decoding(bytes);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** Decodes and folds a name block. It pauses after little work. @throws VaultDamage */
export function* decodingForSearch(bytes: Uint8Array): Generator<void, SearchBlock> {
  const block = yield* decoding(bytes);
  const foldedFolders = yield* foldingFolders(block.folders);
  return { ...block, foldedFolders, foldedNames: yield* foldingNames(block) };
}

function* decoding(bytes: Uint8Array): Generator<void, NameBlock> {
  const all = new ByteReader(bytes);
  if (all.varint() !== format) throw new VaultDamage('entries', `the names do not have format ${format}`);
  const count = all.varint();
  const parents = all.bytes();
  const [starts, ends, until] = [new Uint32Array(count), new Uint32Array(count), new Uint32Array(count)];
  const reader = new ByteReader(parents);
  let entries = 0;
  for (let folder = 0; folder < count; folder++) {
    const key = reader.bytes();
    starts[folder] = key.byteOffset - parents.byteOffset;
    ends[folder] = (starts[folder] as number) + key.length;
    until[folder] = entries += reader.varint();
    if (folder % foldersPerTurn === foldersPerTurn - 1) yield;
  }
  const flags = all.bytes();
  const text = all.bytes();
  return { folders: { text: parents, starts, ends, until }, flags, text, ends: yield* slashesIn(text, flags.length) };
}

/** Bytes of memory that the block takes. Its texts are views of one buffer. */
export function sizeOfNames({ folders, text, ends, foldedFolders, foldedNames }: SearchBlock): number {
  const held = [text, ends, folders.starts, folders.ends, folders.until];
  for (const { bytes, ends } of [foldedFolders, foldedNames]) held.push(bytes, ends);
  const buffers = new Set(held.map(({ buffer }) => buffer));
  return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

export function* namesIn(block: NameBlock): Generator<Name> {
  let folder = -1;
  let parent = '';
  for (let number = 0; number < block.flags.length; number++) {
    const its = folderOf(block, number);
    if (its !== folder) parent = folderKeyAt(block, its);
    folder = its;
    yield { key: `${parent}${nameAt(block, number)}`, deleted: isDeletedAt(block, number) };
  }
}

export function isDeletedAt({ flags }: NameBlock, number: number): boolean {
  return ((flags[number] ?? 0) & isDeleted) !== 0;
}

export function keyAt(block: NameBlock, number: number): string {
  return `${folderKeyAt(block, folderOf(block, number))}${nameAt(block, number)}`;
}

function nameAt({ text, ends, flags }: NameBlock, number: number): string {
  const name = keyFromBytes(text.subarray(startOf(ends, number), ends[number]));
  return (flags[number] ?? 0) & isFolder ? `${name}/` : name;
}

export function folderKeyAt({ folders: { text, starts, ends } }: NameBlock, folder: number): string {
  return keyFromBytes(text.subarray(starts[folder], ends[folder]));
}

/** The number of the folder of the entry. */
export function folderOf({ folders: { until } }: NameBlock, number: number): number {
  return firstAtLeast(until, number + 1);
}

/**
 * The numbers from `from` to `to`, exclusive, of live entries with every piece in their folders or names, ascending.
 * Pieces are folded and have no slash. It pauses after little work.
 */
export function* matchingNames(
  block: SearchBlock,
  pieces: string[],
  from = 0,
  to = block.flags.length,
): Generator<void, number[]> {
  const work = { done: 0 };
  const finders = pieces.map((piece) => finderOf(block, Buffer.from(piece), work));
  const matches: number[] = [];
  for (let number = from; number < to; ) {
    let next = number;
    for (const find of finders) next = find(next);
    if (next === number && !isDeletedAt(block, number)) matches.push(number);
    number = next === number ? number + 1 : next;
    work.done += stepWork * (1 + finders.length);
    if (work.done >= workPerTurn) {
      work.done = 0;
      yield;
    }
  }
  return matches;
}

/** Bytes to look through, or as much other work, before a pause: a few ms. */
const workPerTurn = 2 * 1024 * 1024;
/** The cost of a step, in bytes looked through. */
const stepWork = 32;
/** The cost of a call that looks through bytes, and the most bytes that it looks through. */
const callWork = 256;
const callLimit = 512 * 1024;
const foldersPerTurn = 16 * 1024;

/** The first entry at or after a number that may have the piece in its path. That number itself only if it has it. */
function finderOf(block: SearchBlock, piece: Buffer, work: { done: number }): (number: number) => number {
  const inFolders = cursorOf(block.foldedFolders, piece, work);
  const inNames = cursorOf(block.foldedNames, piece, work);
  const { until } = block.folders;
  let folder = 0;
  return (number) => {
    while ((until[folder] ?? Number.POSITIVE_INFINITY) <= number) folder++;
    const next = inFolders(folder);
    return next === folder ? number : Math.min(until[next - 1] ?? 0, inNames(number));
  };
}

/** As `finderOf`, for texts, asked for ascending numbers. It looks through a limited number of bytes. */
function cursorOf({ bytes, ends }: Folded, piece: Buffer, work: { done: number }): (number: number) => number {
  let found = -1;
  return (number) => {
    if (found >= number || number >= ends.length) return Math.max(found, number);
    const start = startOf(ends, number);
    const stop = Math.min(bytes.length, Math.max(start + callLimit, ends[number] ?? 0));
    const at = (stop < bytes.length ? bytes.subarray(0, stop) : bytes).indexOf(piece, start);
    work.done += callWork + (at < 0 ? stop : at) - start;
    if (at < 0 && stop < bytes.length) {
      // A later text may begin before `stop` and have the piece.
      return Math.max(number + 1, firstAtLeast(ends, stop - piece.length));
    }
    found = at < 0 ? ends.length : firstAtLeast(ends, at);
    return found;
  };
}

function startOf(ends: Uint32Array, number: number): number {
  return number === 0 ? 0 : (ends[number - 1] ?? 0) + 1;
}

function* slashesIn(text: Buffer, count: number): Generator<void, Uint32Array> {
  const ends = new Uint32Array(count);
  let number = 0;
  for (let from = 0; from < text.length; from += workPerTurn) {
    const to = Math.min(text.length, from + workPerTurn);
    number = findSlashes(text, from, to, ends, number);
    if (to < text.length) yield;
  }
  return ends;
}

/** Returns the number of slashes up to `to`. A function without pauses is several times as fast. */
function findSlashes(text: Buffer, from: number, to: number, ends: Uint32Array, before: number): number {
  let number = before;
  for (let at = from; at < to; at++) if (text[at] === slash) ends[number++] = at;
  return number;
}

/** The index of the first number that is at least `value`. */
function firstAtLeast(numbers: Uint32Array, value: number): number {
  return firstIndex(numbers.length, (at) => (numbers[at] ?? 0) < value);
}

/**
 * Removes accents (Unicode NFKD without marks) and converts to upper case, which maps `ß` to `SS` and `ς` to `Σ`. Two
 * Arabic ligatures stay, because they stand for up to 18 letters: a folded text has at most 7 times as many.
 */
export function fold(text: string): string {
  if (isAscii(text)) return text.toUpperCase();
  const short = text.replaceAll('\ufdfa', '\ufdd0').replaceAll('\ufdfb', '\ufdd1');
  // NFKD sorts marks in quadratic time, so they go first.
  return short.replaceAll(marks, '').normalize('NFKD').replaceAll(marks, '').toUpperCase();
}

const marks = /\p{M}+/gu;
/** Bytes that are folded before a pause. */
const foldPerTurn = 64 * 1024;

function* foldingNames({ text, ends }: NameBlock): Generator<void, Folded> {
  const parts: Buffer[] = [];
  for (let from = 0, number = 0; number < ends.length; ) {
    // As many whole names as fit, and at least one.
    const last = Math.max(number, firstAtLeast(ends, from + foldPerTurn) - 1);
    const to = (ends[last] ?? 0) + 1;
    parts.push(foldedNames(text.subarray(from, to), last + 1 - number));
    from = to;
    number = last + 1;
    yield;
  }
  const isSame = parts.every((part) => isAsciiBytes(part)) && isAsciiBytes(text);
  const bytes = Buffer.concat(parts);
  return { bytes, ends: isSame ? ends : yield* slashesIn(bytes, ends.length) };
}

/** Folds names that slashes end. */
function foldedNames(text: Buffer, count: number): Buffer {
  if (isAsciiBytes(text)) return Buffer.from(text.toString('latin1').toUpperCase(), 'latin1');
  const names = keyFromBytes(text);
  const folded = Buffer.from(`${fold(displayPath(names).path)}/`);
  let slashes = 0;
  for (const byte of folded) if (byte === slash) slashes++;
  if (slashes === count) return folded;
  // Folding turns a full-width slash into a plain one, which must not end the name.
  const each = names.split('/').slice(0, count);
  return Buffer.from(each.map((name) => `${fold(displayPath(name).path).replaceAll('/', '\u0001')}/`).join(''));
}

/** No UTF-8 has this byte. */
const noText = 0xff;

function* foldingFolders({ text, starts, ends }: NameBlock['folders']): Generator<void, Folded> {
  const bytes = Buffer.alloc(text.length, noText);
  let all = 0;
  for (let folder = 0, done = 0; folder < ends.length; folder++) {
    const end = ends[folder] as number;
    for (let at = starts[folder] as number; at < end; at++) {
      const byte = text[at] as number;
      all |= byte;
      bytes[at] = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
    }
    if (end - done < workPerTurn) continue;
    done = end;
    yield;
  }
  if (all < 0x80) return { bytes, ends };
  const folded = new ByteWriter();
  const foldedEnds = new Uint32Array(ends.length);
  const separator = Uint8Array.of(noText);
  for (let folder = 0, done = 0; folder < ends.length; folder++) {
    const end = ends[folder] as number;
    const { path } = displayPath(keyFromBytes(text.subarray(starts[folder], end)));
    foldedEnds[folder] = folded.raw(Buffer.from(fold(path))).length;
    folded.raw(separator);
    if (end - done < foldPerTurn) continue;
    done = end;
    yield;
  }
  return { bytes: Buffer.from(folded.done()), ends: foldedEnds };
}
