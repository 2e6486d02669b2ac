/** Makes a zip of backed-up entries as a stream, without temporary files. */
import { type PassThrough, Readable } from 'node:stream';
import mime from 'mime';
import { ZipFile } from 'yazl';
import { keyBytes } from '../../domain/entry.ts';
import { VaultDamage } from '../../vault/damage.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import { readFile } from '../../vault/read-file.ts';
import type { ReaderContext } from '../../vault/reader.ts';

export type ZipEntry = ManifestEntry & { name: string };

/** A file of the zip cannot be restored as it was backed up. */
export class DamagedFile extends Error {
  readonly key: string;

  declare readonly cause: VaultDamage;

  constructor(key: string, cause: VaultDamage) {
    super('a file of the zip is damaged', { cause });
    this.name = 'DamagedFile';
    this.key = key;
  }
}

/** Files up to this size are read ahead, because each takes a request or two. Larger files are streamed one by one. */
const smallBytes = 256 * 1024;
const readAhead = 8;

const kindBits = { file: 0o100000, folder: 0o040000, link: 0o120000 };
const defaultMode = { file: 0o644, folder: 0o755, link: 0o777 };

/**
 * The bytes of the zip: ZIP64 where needed, names in UTF-8, with times, permissions and links. It fails with
 * DamagedFile rather than yield altered content. `checkDeadline` runs at every piece, and an error that it throws ends
 * the zip.
 */
export async function* zipOf(
  context: ReaderContext,
  entries: AsyncIterable<ZipEntry>,
  checkDeadline: () => void,
): AsyncGenerator<Uint8Array> {
  // Nothing starts before the consumer reads: an error of a stream that nothing reads would end the process.
  const zip = new ZipFile() as Zip;
  const out = zip.outputStream as PassThrough;
  zip.on('error', (error) => out.destroy(error));
  addAll(zip, out, context, entries, checkDeadline).then(
    () => zip.end(),
    (error) => zip.emit('error', error),
  );
  yield* out;
}

/**
 * yazl 3.3 searches all its entries whenever it adds one. Each entry keeps its content in memory, and the buffer that
 * its name was cut from. So finished entries move to a list of their own, with only the fields that the zip's directory
 * needs.
 */
type Zip = ZipFile & { entries: { state: number; doFileDataPump?: unknown; utf8FileName: Uint8Array }[] };
const stateDone = 3;

async function addAll(
  zip: Zip,
  out: PassThrough,
  context: ReaderContext,
  entries: AsyncIterable<ZipEntry>,
  checkDeadline: () => void,
): Promise<void> {
  const done: Zip['entries'] = [];
  for await (const { entry, content } of ahead(context, entries)) {
    checkDeadline();
    const options = {
      mtime: timeOf(entry),
      mode: kindBits[entry.kind] | ((entry.mode ?? defaultMode[entry.kind]) & 0o777),
    };
    if (entry.kind === 'folder') zip.addEmptyDirectory(entry.name, options);
    else if (entry.kind === 'link')
      zip.addBuffer(Buffer.from(keyBytes(entry.target ?? '')), entry.name, { ...options, compress: false });
    else {
      const source = content ? [await content] : pieces(context, entry, checkDeadline);
      await addStream(zip, out, entry.name, { ...options, size: entry.size, compress: isCompressible(entry) }, source);
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

/** Resolves when the stream has drained, or is closed. */
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

/** The entries in order. Reads of the next small files have already started. */
async function* ahead(context: ReaderContext, entries: AsyncIterable<ZipEntry>): AsyncGenerator<Ahead> {
  const waiting: Ahead[] = [];
  for await (const entry of entries) {
    const content = entry.kind === 'file' && entry.size <= smallBytes ? wholeFile(context, entry) : undefined;
    // The consumer awaits this promise, unless the zip has failed before.
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

async function* pieces(context: ReaderContext, entry: ZipEntry, checkDeadline: () => void): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of readFile(context, entry)) {
      checkDeadline();
      yield piece;
    }
  } catch (error) {
    throw error instanceof VaultDamage ? new DamagedFile(entry.key, error) : error;
  }
}

/** Resolves when all content has been passed on, or the output is closed. */
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

/** A zip cannot hold times before 1980, and yazl throws at times before 1970. */
function timeOf(entry: ManifestEntry): Date {
  const at = Date.parse(entry.modifiedAt ?? entry.at);
  return new Date(Math.max(Number.isNaN(at) ? 0 : at, Date.UTC(1980, 0, 2)));
}

const compressedTypes =
  /^(?:(?:audio|video)\/|image\/(?!svg|bmp|tiff|x-)|application\/(?:zip|gzip|zstd|x-(?:7z|bzip2?|xz|rar)|vnd\.(?:rar|openxmlformats|oasis)|java-archive))/;

/** Whether compression is likely to make the file smaller. */
function isCompressible(entry: ZipEntry): boolean {
  return !compressedTypes.test(entry.mimeType ?? mime.getType(entry.name) ?? '');
}
