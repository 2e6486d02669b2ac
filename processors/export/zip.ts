/** Backed-up things as one zip, made while it is read: nothing of it rests anywhere in between. */
import { type PassThrough, Readable } from 'node:stream';
import mime from 'mime';
import { ZipFile } from 'yazl';
import { keyBytes } from '../../domain/entry.ts';
import { VaultDamage } from '../../vault/damage.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { readFile } from '../../vault/read-file.ts';
import type { ReaderContext } from '../../vault/reader.ts';

export type ZipEntry = ManifestEntry & { name: string };

/** A file of the zip cannot be had as it was backed up. */
export class DamagedFile extends Error {
  readonly key: string;

  constructor(key: string, cause: unknown) {
    super('a file of the zip is damaged', { cause });
    this.name = 'DamagedFile';
    this.key = key;
  }
}

/** Files up to this size are read some at a time, for each takes a request or two; larger ones one after another, piece by piece. */
const smallBytes = 256 * 1024;
const readAhead = 8;

const kindBits = { file: 0o100000, folder: 0o040000, link: 0o120000 };
const usualMode = { file: 0o644, folder: 0o755, link: 0o777 };

/**
 * The bytes of the zip: ZIP64 where it has to be, names in UTF-8, times, permissions, links as links. Fails with DamagedFile rather
 * than giving a file that is not what was backed up, and with what `proceed`, called at every piece, throws.
 */
export function zipOf(
  context: ReaderContext,
  entries: AsyncIterable<ZipEntry>,
  proceed: () => void,
): AsyncIterable<Uint8Array> {
  const zip = new ZipFile() as Zip;
  const out = zip.outputStream as PassThrough;
  zip.on('error', (error) => out.destroy(error));
  addAll(zip, out, context, entries, proceed).then(
    () => zip.end(),
    (error) => zip.emit('error', error),
  );
  return out;
}

/**
 * The library (yazl 3.3) looks through all its entries at each of them, and each holds on to its content and to the slab of memory that its
 * name was cut from. So those that are done are kept aside until the end, with what the directory at the end of a zip needs of them.
 */
type Zip = ZipFile & { entries: { state: number; doFileDataPump?: unknown; utf8FileName: Uint8Array }[] };
const stateDone = 3;

async function addAll(
  zip: Zip,
  out: PassThrough,
  context: ReaderContext,
  entries: AsyncIterable<ZipEntry>,
  proceed: () => void,
): Promise<void> {
  const done: Zip['entries'] = [];
  for await (const { entry, content } of ahead(context, entries)) {
    proceed();
    const runRef = {
      mtime: timeOf(entry),
      mode: kindBits[entry.kind] | ((entry.mode ?? usualMode[entry.kind]) & 0o777),
    };
    if (entry.kind === 'folder') zip.addEmptyDirectory(entry.name, runRef);
    else if (entry.kind === 'link')
      zip.addBuffer(Buffer.from(keyBytes(entry.target ?? '')), entry.name, { ...runRef, compress: false });
    else {
      const source = content ? [await content] : pieces(context, entry, proceed);
      await addStream(zip, out, entry.name, { ...runRef, size: entry.size, compress: isCompressible(entry) }, source);
    }
    if (out.writableNeedDrain) await drained(out);
    if (out.destroyed) return;
    for (let first = zip.entries[0]; first?.state === stateDone; first = zip.entries[0]) {
      delete first.doFileDataPump;
      first.utf8FileName = Uint8Array.from(first.utf8FileName);
      done.push(first);
      zip.entries.shift();
    }
  }
  zip.entries = done.concat(zip.entries);
}

/** Resolves when there is room again, or nobody reads any more. */
function drained(out: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      out.off('drain', settle).off('close', settle);
      resolve();
    };
    out.on('drain', settle).on('close', settle);
  });
}

type Ahead = { entry: ZipEntry; content?: Promise<Buffer> };

/** The entries, the content of small files already being read. */
async function* ahead(context: ReaderContext, entries: AsyncIterable<ZipEntry>): AsyncGenerator<Ahead> {
  const waiting: Ahead[] = [];
  for await (const entry of entries) {
    const content = entry.kind === 'file' && entry.size <= smallBytes ? wholeFile(context, entry) : undefined;
    // Whoever waits for it hears of its failure; if nobody does any more, nobody needs to.
    content?.catch(() => {});
    waiting.push({ entry, ...(content && { content }) });
    const next = waiting.length > readAhead ? waiting.shift() : undefined;
    if (next) yield next;
  }
  yield* waiting;
}

async function wholeFile(context: ReaderContext, entry: ZipEntry): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces(context, entry, () => {})) all.push(piece);
  return Buffer.concat(all);
}

async function* pieces(context: ReaderContext, entry: ZipEntry, proceed: () => void): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of readFile(context, entry)) {
      proceed();
      yield piece;
    }
  } catch (error) {
    throw error instanceof VaultDamage ? new DamagedFile(entry.key, error) : error;
  }
}

/** Resolves when all of it is on its way, or when nobody reads any more. */
async function addStream(
  zip: ZipFile,
  out: PassThrough,
  name: string,
  options: { mtime: Date; mode: number; size: number; compress: boolean },
  content: AsyncIterable<Uint8Array> | Uint8Array[],
): Promise<void> {
  const stream = Readable.from(content, { objectMode: false });
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  const stop = () => stream.destroy();
  out.once('close', stop);
  stream.once('close', () => resolve());
  stream.once('error', reject);
  zip.addReadStream(stream, name, options);
  await ended.finally(() => out.off('close', stop));
}

/** Zips have no times before 1980, and the library fails at those before 1970. */
function timeOf(entry: ManifestEntry): Date {
  const at = Date.parse(entry.modifiedAt ?? entry.at);
  return new Date(Math.max(Number.isNaN(at) ? 0 : at, Date.UTC(1980, 0, 2)));
}

const dense =
  /^(?:(?:audio|video)\/|image\/(?!svg|bmp|tiff|x-)|application\/(?:zip|gzip|zstd|x-(?:7z|bzip2?|xz|rar)|vnd\.(?:rar|openxmlformats|oasis)|java-archive))/;

/** Whether trying is worth the time. */
function isCompressible(entry: ZipEntry): boolean {
  return !dense.test(entry.mimeType ?? mime.getType(entry.name) ?? '');
}
