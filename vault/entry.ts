/** Manifest entries, and their encoding: a sorted sequence of entries as few bytes. */
import { isAscii, keyBytes, keyFromBytes, type SourceEntry } from '../domain/entry.ts';
import { fromIso, toIso } from '../domain/iso-time.ts';
import type { ChunkRef } from '../domain/ports.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { VaultDamage } from './damage.ts';

/** An entry as a run found it, with the stored content of a file. `size` is the size of the stored content. */
export type FoundEntry = SourceEntry & {
  /** Of the whole content, lower-case hex. */
  sha256?: string;
  chunks?: ChunkRef[];
  runId: string;
  /** When this version was backed up, in UTC ISO-8601. */
  at: string;
};

export type ManifestEntry = FoundEntry & {
  /** The number of this version of the key, from 1. */
  version: number;
  /** A manifest that holds the version before this one. */
  previous?: string;
  /** The key no longer existed. The other fields come from its last version, without content. */
  deleted?: true;
};

const format = 1;
const kinds = ['file', 'folder', 'link'] as const;
/** Bits of an entry's flags. The two lowest bits hold the kind. */
const has = {
  deleted: 4,
  mode: 8,
  target: 16,
  mimeType: 32,
  sha256: 64,
  chunks: 128,
  previous: 256,
  noTime: 512,
  textTime: 1024,
  implied: 2048,
  id: 4096,
};

/** One column per field, because similar values compress well together. Recurring names are numbers in a table. */
const columns = [
  'keys',
  'flags',
  'sizes',
  'times',
  'revisions',
  'rare',
  'hashes',
  'chunks',
  'versions',
  'names',
] as const;

/** Encodes sorted entries, without compression. Keys are stored as the raw bytes of the file names. */
export function encodeEntries(entries: (SourceEntry & Partial<ManifestEntry>)[]): Uint8Array {
  const out = Object.fromEntries(columns.map((name) => [name, new ByteWriter()])) as Record<
    (typeof columns)[number],
    ByteWriter
  >;
  const names = numbered();
  const refs = chunkWriter(out.chunks, names.number);
  const writeKey = keyWriter(out.keys);
  let lastTime = 0;
  for (const entry of entries) {
    writeKey(entry.key);
    const time = milliseconds(entry.modifiedAt);
    out.flags.varint(flagsOf(entry, time));
    out.sizes.varint(entry.size);
    if (time !== undefined) {
      out.times.zigzag(time - lastTime);
      lastTime = time;
    } else if (entry.modifiedAt !== null) out.times.text(entry.modifiedAt);
    out.revisions.text(entry.revision);
    if (entry.mode !== undefined) out.rare.varint(entry.mode);
    if (entry.target !== undefined) out.rare.bytes(keyBytes(entry.target));
    if (entry.id !== undefined) out.rare.text(entry.id);
    if (entry.mimeType !== undefined) out.names.varint(names.number(entry.mimeType));
    if (entry.sha256 !== undefined) out.hashes.hex(entry.sha256);
    if (entry.chunks !== undefined) refs(entry.chunks, entry.size);
    out.versions.varint(entry.version ?? 0);
    out.names.varint(names.number(entry.runId ?? '')).varint(names.number(entry.at ?? ''));
    if (entry.previous !== undefined) out.names.varint(names.number(entry.previous));
  }
  const all = new ByteWriter().varint(format).varint(entries.length).varint(names.list.length);
  for (const name of names.list) all.text(name);
  for (const name of columns) all.bytes(out[name].done());
  return all.done();
}

type Columns = Record<(typeof columns)[number], ByteReader>;

/** The number of entries, the table of names, and the columns, not decoded yet. */
function openColumns(bytes: Uint8Array): { count: number; list: string[]; read: Columns } {
  const all = new ByteReader(bytes);
  if (all.varint() !== format) throw new VaultDamage('entries', `the entries do not have format ${format}`);
  const count = all.varint();
  const list = Array.from({ length: all.varint() }, () => all.text());
  const read = Object.fromEntries(columns.map((name) => [name, new ByteReader(all.bytes())])) as Columns;
  return { count, list, read };
}

/** A key as the number of bytes that it shares with the key before, and the rest. */
function keyWriter(keys: ByteWriter): (key: string) => void {
  let last = '';
  let wasAscii = true;
  return (key) => {
    let shared = 0;
    while (shared < last.length && last.charCodeAt(shared) === key.charCodeAt(shared)) shared++;
    const rest = key.slice(shared);
    wasAscii = isAscii(wasAscii ? rest : key);
    if (wasAscii) keys.varint(shared).text(rest);
    else {
      const [before, bytes] = [keyBytes(last), keyBytes(key)];
      shared = 0;
      while (shared < before.length && before[shared] === bytes[shared]) shared++;
      keys.varint(shared).bytes(bytes.subarray(shared));
    }
    last = key;
  };
}

function keyReader(keys: ByteReader): () => string {
  let last = '';
  let wasAscii = true;
  return () => {
    const shared = keys.varint();
    const rest = keys.text('latin1');
    // Most keys are ASCII, and then bytes are characters.
    if (wasAscii && isAscii(rest)) last = last.slice(0, shared) + rest;
    else {
      last = keyFromBytes(Buffer.concat([keyBytes(last).subarray(0, shared), Buffer.from(rest, 'latin1')]));
      wasAscii = isAscii(last);
    }
    return last;
  };
}

/** The fields that a comparison with a listing needs. */
export type EntryState = Pick<ManifestEntry, 'key' | 'kind' | 'revision' | 'id' | 'deleted' | 'implied'>;

/**
 * As `decodeEntries`, but only the fields of EntryState, in a third of the time. `names` holds the ids of all packs
 * that the entries refer to, among others.
 */
export function decodeStates(bytes: Uint8Array): { states: EntryState[]; names: string[] } {
  const { count, list, read } = openColumns(bytes);
  const nextKey = keyReader(read.keys);
  const states = Array.from({ length: count }, (): EntryState => {
    const flags = read.flags.varint();
    const state: EntryState = { key: nextKey(), kind: kinds[flags & 3] ?? 'file', revision: read.revisions.text() };
    if (flags & has.mode) read.rare.varint();
    if (flags & has.target) read.rare.bytes();
    if (flags & has.id) state.id = read.rare.text();
    if (flags & has.deleted) state.deleted = true;
    if (flags & has.implied) state.implied = true;
    return state;
  });
  return { states, names: list };
}

/** The reverse of `encodeEntries`. @throws VaultDamage for bytes that it did not write */
export function decodeEntries(bytes: Uint8Array): ManifestEntry[] {
  const { count, list, read } = openColumns(bytes);
  const name = (number: number) => {
    const text = list[number];
    if (text === undefined) throw new VaultDamage('entries', 'the table of names has no such number');
    return text;
  };
  const refs = chunkReader(read.chunks, name);
  const nextKey = keyReader(read.keys);
  let lastTime = 0;
  return Array.from({ length: count }, () => {
    const key = nextKey();
    const flags = read.flags.varint();
    const size = read.sizes.varint();
    let modifiedAt: string | null = null;
    if (flags & has.textTime) modifiedAt = read.times.text();
    else if (!(flags & has.noTime)) {
      lastTime += read.times.zigzag();
      modifiedAt = toIso(lastTime);
    }
    const entry: ManifestEntry = {
      key,
      kind: kinds[flags & 3] ?? 'file',
      size,
      modifiedAt,
      revision: read.revisions.text(),
      version: read.versions.varint(),
      runId: '',
      at: '',
    };
    if (flags & has.mode) entry.mode = read.rare.varint();
    if (flags & has.target) entry.target = keyFromBytes(read.rare.bytes());
    if (flags & has.id) entry.id = read.rare.text();
    if (flags & has.mimeType) entry.mimeType = name(read.names.varint());
    if (flags & has.sha256) entry.sha256 = read.hashes.hex(32);
    if (flags & has.chunks) entry.chunks = refs(size);
    entry.runId = name(read.names.varint());
    entry.at = name(read.names.varint());
    if (flags & has.previous) entry.previous = name(read.names.varint());
    if (flags & has.deleted) entry.deleted = true;
    if (flags & has.implied) entry.implied = true;
    return entry;
  });
}

function flagsOf(entry: SourceEntry & Partial<ManifestEntry>, time: number | undefined): number {
  if (entry.sha256 !== undefined && entry.sha256.length !== 64) throw new Error('sha256 is 64 lower-case hex digits');
  let flags = kinds.indexOf(entry.kind);
  if (entry.deleted) flags |= has.deleted;
  if (entry.implied) flags |= has.implied;
  if (entry.modifiedAt === null) flags |= has.noTime;
  else if (time === undefined) flags |= has.textTime;
  // Written out, because this runs for each entry.
  if (entry.mode !== undefined) flags |= has.mode;
  if (entry.target !== undefined) flags |= has.target;
  if (entry.id !== undefined) flags |= has.id;
  if (entry.mimeType !== undefined) flags |= has.mimeType;
  if (entry.sha256 !== undefined) flags |= has.sha256;
  if (entry.chunks !== undefined) flags |= has.chunks;
  if (entry.previous !== undefined) flags |= has.previous;
  return flags;
}

/** Times after the year 70,000 are stored as text, so that differences between times stay exact. */
const farTime = 2 ** 51;

/** Undefined for a time whose text cannot be restored exactly from milliseconds. */
function milliseconds(time: string | null): number | undefined {
  if (time === null) return undefined;
  const usual = fromIso(time);
  if (usual !== undefined) return usual;
  const at = Date.parse(time);
  return Number.isNaN(at) || Math.abs(at) > farTime || new Date(at).toISOString() !== time ? undefined : at;
}

/** Gives each name a number, its index in the list. */
export function numbered(): { list: string[]; number(name: string): number } {
  const list: string[] = [];
  const numbers = new Map<string, number>();
  return {
    list,
    number(name) {
      const known = numbers.get(name);
      if (known !== undefined) return known;
      numbers.set(name, list.length);
      return list.push(name) - 1;
    },
  };
}

const zeroRef: ChunkRef = { pack: '', slot: 0, slotOffset: 0, slotLength: 0, offset: 0, length: 0 };

/** Stores the difference to the expected reference: the same or the next slot, and a last chunk that ends the file. */
function chunkWriter(out: ByteWriter, number: (name: string) => number): (chunks: ChunkRef[], size: number) => void {
  let last = zeroRef;
  return (chunks, size) => {
    out.varint(chunks.length);
    let left = size;
    for (const ref of chunks) {
      if (sameSlot(ref, last)) out.varint(0).zigzag(ref.offset - last.offset - last.length);
      else {
        out.varint(1 + number(ref.pack)).zigzag(ref.slot - last.slot - 1);
        out
          .zigzag(ref.slotOffset - last.slotOffset - last.slotLength)
          .varint(ref.slotLength)
          .zigzag(ref.offset);
      }
      out.zigzag(ref.length - left);
      left -= ref.length;
      last = ref;
    }
  };
}

function chunkReader(read: ByteReader, name: (number: number) => string): (size: number) => ChunkRef[] {
  let last = zeroRef;
  return (size) => {
    let left = size;
    const refs: ChunkRef[] = [];
    for (let count = read.varint(); count > 0; count--) {
      const named = read.varint();
      let { pack, slot, slotOffset, slotLength } = last;
      let offset = last.offset + last.length;
      if (named > 0) {
        pack = name(named - 1);
        slot += read.zigzag() + 1;
        slotOffset += slotLength + read.zigzag();
        slotLength = read.varint();
        offset = 0;
      }
      offset += read.zigzag();
      last = { pack, slot, slotOffset, slotLength, offset, length: read.zigzag() + left };
      left -= last.length;
      refs.push(last);
    }
    return refs;
  };
}

function sameSlot(a: ChunkRef, b: ChunkRef): boolean {
  return a.pack === b.pack && a.slot === b.slot && a.slotOffset === b.slotOffset && a.slotLength === b.slotLength;
}
