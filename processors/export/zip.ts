/** Writes a zip of backed-up entries in atoms. Each atom comes with the state to go on from after it. */
import { crc32 } from 'node:zlib';
import type { ManifestRef } from '../../domain/backup-chain.ts';
import { keyBytes } from '../../domain/entry.ts';
import { VaultDamage } from '../../vault/damage.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { readFile } from '../../vault/read-file.ts';
import { findEntry, type ManifestRoot, openManifest, type ReaderContext } from '../../vault/reader.ts';
import { isFolderToo, selectEntries } from '../../vault/selection.ts';
import { descriptor, directoryEnd, directoryRecord, localHeader, type ZipRecord } from './zip-format.ts';
import { zipName, zipNameBeside } from './zip-names.ts';

/** A file of the export cannot be restored as it was backed up. */
export class DamagedFile extends Error {
  readonly key: string;

  declare readonly cause: VaultDamage;

  constructor(key: string, cause: VaultDamage) {
    super('a file of the export is damaged', { cause });
    this.name = 'DamagedFile';
    this.key = key;
  }
}

/** How far an export has come. */
export type Position = {
  /** Bytes of the export so far. */
  length: number;
  /** The newest entry that began. */
  at?: string;
  entries: number;
  /** The content of that entry goes on from `offset`. `start` is the position of its header. */
  open?: { start: number; offset: number; crc: number };
  /** The directory of the zip has begun. */
  directory?: { start: number; piece: number };
};

/** Bytes that follow each other, and the position after them. `record`: the entry's record in the zip's directory. */
export type Atom = { bytes: Uint8Array; next: Position; record?: Uint8Array };

/** What an export reads: the selection is the same whenever it is read. */
export type Selection = { context: ReaderContext; manifest: ManifestRef; paths: string[] };

/** The entries after the key. */
export async function* selected(
  { context, manifest, paths }: Selection,
  after?: string,
): AsyncGenerator<ManifestEntry> {
  yield* selectEntries(context, await openManifest(context, manifest), paths, after);
}

/** Files up to this size are read ahead, because each takes a request or two. Larger files are streamed one by one. */
const smallBytes = 256 * 1024;
const readAhead = 8;

const kindBits = { file: 0o100000, folder: 0o040000, link: 0o120000 };
const defaultMode = { file: 0o644, folder: 0o755, link: 0o777 };

/** The entries of the zip from the position on. They are stored, because the state of a compression cannot be saved. */
export async function* zipEntries(selection: Selection, from: Position): AsyncGenerator<Atom> {
  const { context, manifest } = selection;
  const root = await openManifest(context, manifest);
  let now = from;
  const atom = (bytes: Uint8Array, change: Partial<Position>, record?: Uint8Array): Atom => {
    now = { ...now, ...change, length: now.length + bytes.length };
    if (!now.open) delete now.open;
    return { bytes, next: now, ...(record && { record }) };
  };

  async function* content(entry: ManifestEntry, record: ZipRecord): AsyncGenerator<Atom> {
    for await (const piece of contentFrom(context, entry, now.open?.offset ?? 0)) {
      const { start, offset, crc } = now.open ?? { start: now.length, offset: 0, crc: 0 };
      yield atom(piece, { open: { start, offset: offset + piece.length, crc: crc32(piece, crc) } });
    }
    const { start, crc } = now.open ?? { start: now.length, crc: 0 };
    yield atom(descriptor(record, crc), { open: undefined } as object, directoryRecord(record, crc, start));
  }

  if (from.open && from.at !== undefined) {
    const entry = await findEntry(context, root, from.at);
    if (!entry) throw new VaultDamage('manifest', 'an entry of the export is missing');
    yield* content(entry, await recordOf(context, root, entry));
  }
  for await (const { entry, small } of ahead(context, selected(selection, from.at))) {
    const record = await recordOf(context, root, entry);
    const begun = { at: entry.key, entries: now.entries + 1 };
    const start = now.length;
    if (small) {
      const bytes = await small;
      const known = { ...record, size: bytes.length, crc: crc32(bytes) };
      yield atom(Buffer.concat([localHeader(known), bytes]), begun, directoryRecord(known, known.crc, start));
    } else {
      yield atom(localHeader(record), { ...begun, open: { start, offset: 0, crc: 0 } });
      yield* content(entry, record);
    }
  }
}

/** The end of the zip. `readPiece` returns the records of the directory piece by piece. */
export async function* zipDirectory(
  from: Position,
  pieces: number,
  readPiece: (piece: number) => Promise<Uint8Array>,
): AsyncGenerator<Atom> {
  const { start, piece: first } = from.directory ?? { start: from.length, piece: 0 };
  // The end is written.
  if (first > pieces) return;
  let { length } = from;
  for (let piece = first; piece < pieces; piece++) {
    const bytes = await readPiece(piece);
    length += bytes.length;
    yield { bytes, next: { ...from, length, directory: { start, piece: piece + 1 } } };
  }
  const bytes = directoryEnd(from.entries, start, length - start);
  yield { bytes, next: { ...from, length: length + bytes.length, directory: { start, piece: pieces + 1 } } };
}

/** The content of the only file of the selection. */
export async function* fileContent({ context, manifest, paths }: Selection, from: Position): AsyncGenerator<Atom> {
  const [key = ''] = paths;
  const entry = await findEntry(context, await openManifest(context, manifest), key);
  if (!entry?.sha256) throw new VaultDamage('manifest', 'the file of the export is missing');
  let { length } = from;
  for await (const bytes of contentFrom(context, entry, length)) {
    length += bytes.length;
    yield { bytes, next: { ...from, length } };
  }
}

async function recordOf(context: ReaderContext, root: ManifestRoot, entry: ManifestEntry): Promise<ZipRecord> {
  const isFolder = entry.kind === 'folder';
  const nameIsTaken = !isFolder && (entry.key.endsWith('/') || (await isFolderToo(context, root, entry)));
  const name = nameIsTaken ? zipNameBeside(entry.key) : zipName(entry.key);
  return {
    name: Buffer.from(isFolder ? `${name}/` : name),
    size: entry.size,
    mode: kindBits[entry.kind] | ((entry.mode ?? defaultMode[entry.kind]) & 0o777),
    isFolder,
    modifiedAt: timeOf(entry),
  };
}

type Ahead = { entry: ManifestEntry; small?: Promise<Uint8Array> };

/** The entries in order. Reads of the next small files have already started. */
async function* ahead(context: ReaderContext, entries: AsyncIterable<ManifestEntry>): AsyncGenerator<Ahead> {
  const waiting: Ahead[] = [];
  for await (const entry of entries) {
    const small = smallContent(context, entry);
    // The consumer awaits this promise, unless the zip has failed before.
    small?.catch(() => {});
    waiting.push({ entry, ...(small && { small }) });
    const next = waiting.length > readAhead ? waiting.shift() : undefined;
    if (next) yield next;
  }
  yield* waiting;
}

function smallContent(context: ReaderContext, entry: ManifestEntry): Promise<Uint8Array> | undefined {
  if (entry.kind === 'folder') return Promise.resolve(new Uint8Array());
  if (entry.kind === 'link') return Promise.resolve(keyBytes(entry.target ?? ''));
  return entry.size <= smallBytes ? wholeFile(context, entry) : undefined;
}

async function wholeFile(context: ReaderContext, entry: ManifestEntry): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of contentFrom(context, entry, 0)) all.push(piece);
  return Buffer.concat(all);
}

/** The content from the offset on. It throws DamagedFile rather than yield other bytes, or fewer. */
async function* contentFrom(context: ReaderContext, entry: ManifestEntry, offset: number): AsyncGenerator<Uint8Array> {
  const { key, size } = entry;
  let end = offset;
  try {
    const range = offset === 0 ? undefined : { offset, length: size - offset };
    for await (const piece of readFile(context, entry, range)) {
      end += piece.length;
      yield piece;
    }
    if (end !== size) throw new VaultDamage('file', `it has ${end} bytes instead of ${size}`);
  } catch (error) {
    throw error instanceof VaultDamage ? new DamagedFile(key, error) : error;
  }
}

/** A zip cannot hold times before 1980. */
function timeOf(entry: ManifestEntry): number {
  const at = Date.parse(entry.modifiedAt ?? entry.at);
  return Math.max(Number.isNaN(at) ? 0 : at, Date.UTC(1980, 0, 2));
}
