/** Manifest entries, and their encoding: a sequence of entries in key order as few bytes. */
import { keyBytes, keyFromBytes, type SourceEntry } from '../domain/entry.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { VaultDamage } from './damage.ts';
import type { ChunkRef } from './pack.ts';

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
  /** The key no longer existed. The other fields are those of its last version, without content. */
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

/** Encodes entries in key order, without compression. Keys are stored as the raw bytes of the file names. */
export function encodeEntries(entries: (FoundEntry & Partial<ManifestEntry>)[]): Uint8Array {
  const out = Object.fromEntries(columns.map((name) => [name, new ByteWriter()])) as Record<
    (typeof columns)[number],
    ByteWriter
  >;
  const names = numbered();
  const refs = chunkWriter(out.chunks, names.number);
  let lastKey: Uint8Array = new Uint8Array();
  let lastTime = 0;
  for (const entry of entries) {
    const key = keyBytes(entry.key);
    const shared = sharedLength(lastKey, key);
    out.keys.varint(shared).bytes(key.subarray(shared));
    lastKey = key;
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
    if (entry.mimeType !== undefined) out.names.varint(names.number(entry.mimeType));
    if (entry.sha256 !== undefined) out.hashes.raw(Buffer.from(entry.sha256, 'hex'));
    if (entry.chunks !== undefined) refs(entry.chunks, entry.size);
    out.versions.varint(entry.version ?? 0);
    out.names.varint(names.number(entry.runId)).varint(names.number(entry.at));
    if (entry.previous !== undefined) out.names.varint(names.number(entry.previous));
  }
  const all = new ByteWriter().varint(format).varint(entries.length).varint(names.list.length);
  for (const name of names.list) all.text(name);
  for (const name of columns) all.bytes(out[name].done());
  return all.done();
}

/** The reverse of `encodeEntries`. @throws VaultDamage for bytes that it did not write */
export function decodeEntries(bytes: Uint8Array): ManifestEntry[] {
  const all = new ByteReader(bytes);
  if (all.varint() !== format) throw new VaultDamage('entries', `the entries do not have format ${format}`);
  const count = all.varint();
  const list = Array.from({ length: all.varint() }, () => all.text());
  const read = Object.fromEntries(columns.map((name) => [name, new ByteReader(all.bytes())])) as Record<
    (typeof columns)[number],
    ByteReader
  >;
  const name = (number: number) => {
    const text = list[number];
    if (text === undefined) throw new VaultDamage('entries', 'the table of names has no such number');
    return text;
  };
  const refs = chunkReader(read.chunks, name);
  let lastKey: Buffer = Buffer.alloc(0);
  let lastTime = 0;
  return Array.from({ length: count }, () => {
    const shared = read.keys.varint();
    const rest = read.keys.bytes();
    lastKey = shared === 0 ? rest : Buffer.concat([lastKey.subarray(0, shared), rest]);
    const flags = read.flags.varint();
    const size = read.sizes.varint();
    let modifiedAt: string | null = null;
    if (flags & has.textTime) modifiedAt = read.times.text();
    else if (!(flags & has.noTime)) {
      lastTime += read.times.zigzag();
      modifiedAt = new Date(lastTime).toISOString();
    }
    const entry: Omit<ManifestEntry, 'runId' | 'at'> = {
      key: keyFromBytes(lastKey),
      kind: kinds[flags & 3] ?? 'file',
      size,
      modifiedAt,
      revision: read.revisions.text(),
      version: read.versions.varint(),
    };
    if (flags & has.mode) entry.mode = read.rare.varint();
    if (flags & has.target) entry.target = keyFromBytes(read.rare.bytes());
    if (flags & has.mimeType) entry.mimeType = name(read.names.varint());
    if (flags & has.sha256) entry.sha256 = read.hashes.raw(32).toString('hex');
    if (flags & has.chunks) entry.chunks = refs(size);
    const whole: ManifestEntry = Object.assign(entry, {
      runId: name(read.names.varint()),
      at: name(read.names.varint()),
    });
    if (flags & has.previous) whole.previous = name(read.names.varint());
    if (flags & has.deleted) whole.deleted = true;
    return whole;
  });
}

function flagsOf(entry: FoundEntry & Partial<ManifestEntry>, time: number | undefined): number {
  if (entry.sha256 !== undefined && !/^[0-9a-f]{64}$/.test(entry.sha256))
    throw new Error('sha256 is 64 lower-case hex digits');
  let flags = kinds.indexOf(entry.kind);
  if (entry.deleted) flags |= has.deleted;
  if (entry.modifiedAt === null) flags |= has.noTime;
  else if (time === undefined) flags |= has.textTime;
  for (const field of ['mode', 'target', 'mimeType', 'sha256', 'chunks', 'previous'] as const) {
    if (entry[field] !== undefined) flags |= has[field];
  }
  return flags;
}

/** Times after the year 70,000 are stored as text, so that differences between times stay exact. */
const farTime = 2 ** 51;

/** Undefined for a time whose text cannot be restored exactly from milliseconds. */
function milliseconds(time: string | null): number | undefined {
  if (time === null) return undefined;
  const at = Date.parse(time);
  return Number.isNaN(at) || Math.abs(at) > farTime || new Date(at).toISOString() !== time ? undefined : at;
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a[at] === b[at]) at++;
  return at;
}

function numbered(): { list: string[]; number(name: string): number } {
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
    return Array.from({ length: read.varint() }, () => {
      const pack = read.varint();
      if (pack === 0) last = { ...last, offset: read.zigzag() + last.offset + last.length };
      else {
        const slot = read.zigzag() + last.slot + 1;
        const slotOffset = read.zigzag() + last.slotOffset + last.slotLength;
        last = { pack: name(pack - 1), slot, slotOffset, slotLength: read.varint(), offset: read.zigzag(), length: 0 };
      }
      last.length = read.zigzag() + left;
      left -= last.length;
      return last;
    });
  };
}

function sameSlot(a: ChunkRef, b: ChunkRef): boolean {
  return a.pack === b.pack && a.slot === b.slot && a.slotOffset === b.slotOffset && a.slotLength === b.slotLength;
}
