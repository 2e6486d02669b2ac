/**
 * Name blocks: the keys of all entries of a node, so that a search reads no segments. They depend on keys and deletions
 * alone, so that an edit of a file's content does not change them.
 */
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

/** A decoded name block. */
export type NameBlock = {
  /** The folders in order, each with the number of its first entry. `folded`: the path, computed when needed. */
  groups: { parent: string; folded?: string; start: number; end: number }[];
  flags: Uint8Array;
  /** The names, each ended by a slash. */
  text: Buffer;
  /** `text` folded name by name, for searches. It has as many slashes. */
  folded: Buffer;
  /** The end of each name in `text` and in `folded`, computed when needed. */
  ends?: { text: Uint32Array; folded: Uint32Array };
};

/** @throws VaultDamage for bytes that `encodeNames` did not write */
export function decodeNames(bytes: Uint8Array): NameBlock {
  const all = new ByteReader(bytes);
  if (all.varint() !== format) throw new VaultDamage('entries', `the names do not have format ${format}`);
  const count = all.varint();
  const parents = new ByteReader(all.bytes());
  let start = 0;
  const groups = Array.from({ length: count }, () => {
    const parent = keyFromBytes(parents.bytes());
    const end = start + parents.varint();
    const group = { parent, start, end };
    start = end;
    return group;
  });
  const flags = all.bytes();
  const text = all.bytes();
  return { groups, flags, text, folded: foldedNames(text) };
}

/** Bytes of memory that the block takes, with `ends`. */
export function sizeOfNames({ groups, flags, text, folded }: NameBlock): number {
  return groups.length * 150 + flags.length * 9 + text.length + folded.length;
}

export function* namesIn(block: NameBlock): Generator<Name> {
  for (let number = 0; number < block.flags.length; number++)
    yield { key: keyAt(block, number), deleted: isDeletedAt(block, number) };
}

export function isDeletedAt({ flags }: NameBlock, number: number): boolean {
  return ((flags[number] ?? 0) & isDeleted) !== 0;
}

export function keyAt(block: NameBlock, number: number): string {
  const { text: ends } = endsOf(block);
  const name = block.text.subarray(number === 0 ? 0 : (ends[number - 1] ?? 0) + 1, ends[number]);
  const folder = (block.flags[number] ?? 0) & isFolder ? '/' : '';
  return `${groupOf(block, number).parent}${keyFromBytes(name)}${folder}`;
}

function groupOf({ groups }: NameBlock, number: number): NameBlock['groups'][number] {
  const group = groups[firstIndex(groups.length - 1, (at) => (groups[at]?.end ?? 0) <= number)];
  if (!group) throw new VaultDamage('entries', 'the names have no such entry');
  return group;
}

/** The numbers of entries whose folded name contains the text, ascending. The text must have no slash. */
export function* matchingNames(block: NameBlock, text: Uint8Array): Generator<number> {
  const { folded } = block;
  for (let at = folded.indexOf(text); at >= 0; ) {
    const ends = endsOf(block).folded;
    const number = firstAtLeast(ends, at);
    yield number;
    at = folded.indexOf(text, (ends[number] ?? folded.length) + 1);
  }
}

/** Whether the folded name of that entry contains the text. */
export function isInName(block: NameBlock, number: number, text: Buffer): boolean {
  const { folded: ends } = endsOf(block);
  return block.folded.subarray(number === 0 ? 0 : (ends[number - 1] ?? 0) + 1, ends[number]).includes(text);
}

function endsOf(block: NameBlock): { text: Uint32Array; folded: Uint32Array } {
  block.ends ??= { text: slashesIn(block.text), folded: slashesIn(block.folded) };
  return block.ends;
}

function slashesIn(text: Buffer): Uint32Array {
  const ends: number[] = [];
  for (let at = text.indexOf(slash); at >= 0; at = text.indexOf(slash, at + 1)) ends.push(at);
  return Uint32Array.from(ends);
}

/** The index of the first number that is at least `value`. */
function firstAtLeast(numbers: Uint32Array, value: number): number {
  return firstIndex(numbers.length, (at) => (numbers[at] ?? 0) < value);
}

/** Removes accents (Unicode NFKD without marks) and converts to upper case, which maps `ß` to `SS` and `ς` to `Σ`. */
export function fold(text: string): string {
  return isAscii(text) ? text.toUpperCase() : text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toUpperCase();
}

function foldedNames(text: Buffer): Buffer {
  const latin1 = text.toString('latin1');
  if (isAscii(latin1)) return Buffer.from(latin1.toUpperCase(), 'latin1');
  const names: string[] = [];
  let start = 0;
  for (const end of slashesIn(text)) {
    // Folding turns a full-width slash into a plain one, which must not end the name.
    names.push(fold(displayPath(keyFromBytes(text.subarray(start, end))).path).replaceAll('/', '\u0001'), '/');
    start = end + 1;
  }
  return Buffer.from(names.join(''));
}
