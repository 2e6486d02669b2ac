/** Reads a batch's files from the source into the vault, and gives a reason for each failed file. */
import { concernsSource, type ReadRequest, SourceProblem, type SourceSession } from '../../connectors/connector.ts';
import { compareEntries, impliedEntry, type Refusal, type SourceEntry, standInEntry } from '../../domain/entry.ts';
import { minChunk } from '../../vault/chunker.ts';
import type { Border } from '../../vault/digest.ts';
import type { Placement } from '../../vault/packer.ts';
import { type FileStream, fileStart, type StoredFile, type VaultWriter } from '../../vault/writer.ts';

export type Fetched = {
  /**
   * The entry as read, which may be newer than as listed. In the order of entries. Folders and links have no `file`.
   */
  stored: { entry: SourceEntry; file?: StoredFile }[];
  failed: Refusal[];
  skipped: Refusal[];
  /** Keys that were listed but no longer exist. They leave the backup, except those in `stored`. */
  vanished: string[];
};

/** A file that is not done. `index`: its index among the entries of the batch. */
export type FileLeft = {
  index: number;
  /** As it was looked up last. Its size decides the lengths of the chunks, in later attempts too. */
  entry: SourceEntry;
  /** From 1 to `maxAttempts`. */
  attempt: number;
  /** Where the reading goes on. Undefined: at the start. */
  border?: Border | undefined;
};

/** Chunks of a file that is not done, in order. `size`: where they end in the file. */
export type Fragment = { entry: SourceEntry; size: number; placements: Placement[] };

/** `fragments` end at the borders of `left`. */
export type Taken = Fetched & { left: FileLeft[]; fragments: Fragment[] };

export type Storing = {
  /** Bytes that the source gave. */
  bytesRead(): number;
  /** Whether `take` would give anything new. */
  hasNews(): boolean;
  /** All results since the last call, each once, in any order. */
  take(): Taken;
};

export type StoreOptions = {
  /** From this size on, a reading can go on at a border. */
  resumableBytes?: number;
  /** The files to read. Default: all files among the entries. */
  left?: FileLeft[];
  /** Whether earlier attempts stored the entries that are not read. */
  hasOthers?: boolean;
  /** A file that ended earlier attempts. It fails. */
  crashed?: SourceEntry | undefined;
  /** Called before each file, and the files are read one by one. */
  before?: ((file: Pick<FileLeft, 'index'>, storing: Storing) => Promise<void>) | undefined;
};

const maxAttempts = 3;

const crashProblem = {
  code: 'crashed',
  message: 'ListBackup stopped twice while it read this file. Exclude the file, or report the problem.',
};

/**
 * Stores the content of the entries. A file that changes during the read is looked up and read again from its start.
 * After three attempts it fails as `changed`. `beat` is called after each frame, and may throw to stop.
 * @throws SourceProblem when the whole source fails
 */
export async function storeFiles(
  session: SourceSession,
  writer: Pick<VaultWriter, 'small' | 'stream'>,
  entries: SourceEntry[],
  beat: (storing: Storing) => void | Promise<void>,
  options: StoreOptions = {},
): Promise<Fetched> {
  const { resumableBytes = Number.POSITIVE_INFINITY, left = filesOf(entries), before } = options;
  const state = makeState(writer, left);
  if (!options.hasOthers) for (const entry of entries) if (!isRead(entry)) state.result.stored.push({ entry });
  if (options.crashed) addFailed(options.crashed, crashProblem, state.result);
  const work = { session, writer, state, beat, resumableBytes };
  while (state.files.size > 0) {
    const again: { file: OpenFile; problem: SourceProblem }[] = [];
    const onProblem = (file: OpenFile, problem: SourceProblem) => {
      const isOutdated = concernsRevision(problem);
      const hasMoved = rewind(file, isOutdated);
      if (!(isOutdated || problem.retryable) || (file.attempt === maxAttempts && !hasMoved))
        return state.fail(file, problem);
      if (!hasMoved) file.attempt++;
      again.push({ file, problem });
    };
    const files = [...state.files.values()];
    for (const some of before ? files.map((file) => [file]) : [files]) {
      if (some[0]) await before?.(some[0], state);
      await readAll(work, some, onProblem);
    }
    for (const { file, problem } of again) {
      const now = await lookAgain(session, file.entry, problem, (error) => state.fail(file, error));
      if (now === null) state.vanish(file);
      else if (now?.kind === 'file') file.entry = now;
      else if (now) state.done(file, { entry: now });
    }
  }
  return sorted(state.result);
}

/** All files of the batch. The content of an entry that moved is stored already. */
export function filesOf(entries: SourceEntry[]): FileLeft[] {
  return entries.flatMap((entry, index) => (isRead(entry) ? [{ index, entry, attempt: 1 }] : []));
}

function isRead(entry: SourceEntry): boolean {
  return entry.kind === 'file' && !('chunks' in entry);
}

export function sorted(fetched: Fetched): Fetched {
  const byKey = (a: { key: string }, b: { key: string }) => compareEntries(a.key, b.key);
  fetched.stored.sort((a, b) => byKey(a.entry, b.entry));
  fetched.failed.sort(byKey);
  fetched.skipped.sort(byKey);
  fetched.vanished.sort(compareEntries);
  return fetched;
}

/** A vanished file may have been replaced, or the whole source may be gone. The next look shows which. */
function concernsRevision({ code }: SourceProblem): boolean {
  return code === 'changed' || code === 'vanished';
}

/** The entry to read in the next attempt. Null if it is gone, undefined if it cannot be looked up. */
async function lookAgain(
  session: SourceSession,
  entry: SourceEntry,
  problem: SourceProblem,
  onFailed: (problem: SourceProblem) => void,
): Promise<SourceEntry | null | undefined> {
  if (!concernsRevision(problem)) return entry;
  try {
    return (await session.look(entry)) ?? null;
  } catch (error) {
    if (!(error instanceof SourceProblem) || concernsSource(error)) throw error;
    onFailed(error);
    return undefined;
  }
}

/**
 * The pieces of a file whose end has not arrived. Until it is too large for one chunk, it is held in memory.
 * `startedAt`: the offset of this attempt. `takenAt`: the last border that `take` gave.
 */
type OpenFile = Omit<FileLeft, 'border'> & {
  pieces: Uint8Array[];
  length: number;
  stream?: FileStream | undefined;
  startedAt: number;
  takenAt: number;
};

const offsetOf = ({ stream }: OpenFile) => stream?.border()?.offset ?? 0;

/** Prepares the next attempt. Returns whether this one reached a new border, at which the next one can go on. */
function rewind(file: OpenFile, isOutdated: boolean): boolean {
  file.pieces = [];
  file.length = 0;
  if (isOutdated || !file.stream?.border()) Object.assign(file, { stream: undefined, takenAt: 0 });
  file.stream?.rewind();
  return offsetOf(file) > file.startedAt;
}

function makeState(writer: Pick<VaultWriter, 'stream'>, left: FileLeft[]) {
  const files = new Map<number, OpenFile>();
  for (const { border, ...file } of left) {
    const at = border?.offset ?? 0;
    files.set(file.index, {
      ...{ ...file, pieces: [], length: 0, startedAt: at, takenAt: at },
      stream: border && writer.stream(file.entry.size, border),
    });
  }
  let result = nothing();
  const state = {
    files,
    bytes: 0,
    get result() {
      return result;
    },
    done(file: OpenFile, stored: Fetched['stored'][number]) {
      files.delete(file.index);
      result.stored.push(stored);
    },
    fail(file: OpenFile, problem: Pick<SourceProblem, 'code' | 'message'>) {
      files.delete(file.index);
      addFailed(file.entry, problem, result);
    },
    vanish(file: OpenFile) {
      files.delete(file.index);
      addVanished(file.entry, result);
    },
    bytesRead: () => state.bytes,
    hasNews() {
      const { stored, failed, skipped } = result;
      if (stored.length + failed.length + skipped.length > 0) return true;
      return [...files.values()].some((file) => offsetOf(file) > file.takenAt);
    },
    take(): Taken {
      const taken = { ...result, fragments: [] as Taken['fragments'], left: [] as FileLeft[] };
      result = nothing();
      for (const file of files.values()) {
        const { index, entry, attempt } = file;
        const border = file.stream?.border();
        const isBegun = border !== undefined && border.offset > 0;
        taken.left.push({ index, entry, attempt, ...(isBegun && { border }) });
        if (!isBegun) continue;
        const placements = file.stream?.take() ?? [];
        if (placements.length > 0) taken.fragments.push({ entry, size: border.offset, placements });
        file.takenAt = border.offset;
      }
      return taken;
    },
  };
  return state;
}

function nothing(): Fetched {
  return { stored: [], failed: [], skipped: [], vanished: [] };
}

type Work = {
  session: SourceSession;
  writer: Pick<VaultWriter, 'small' | 'stream'>;
  state: ReturnType<typeof makeState>;
  beat: (storing: Storing) => void | Promise<void>;
  resumableBytes: number;
};

async function readAll(
  { session, writer, state, beat, resumableBytes }: Work,
  files: OpenFile[],
  onProblem: (file: OpenFile, problem: SourceProblem) => void,
): Promise<void> {
  const left = new Set(files);
  const requests = files.map((file): ReadRequest => {
    const { entry } = file;
    if (entry.size >= resumableBytes) file.stream ??= writer.stream(entry.size, fileStart);
    const offset = offsetOf(file);
    file.startedAt = offset;
    return { entry, ...(offset > 0 && { range: { offset, length: entry.size - offset } }) };
  });
  for await (const frame of session.read(requests)) {
    const small: { file: OpenFile; content: Uint8Array }[] = [];
    for (const part of frame) {
      const file = files[part.index] as OpenFile;
      if ('problem' in part) {
        left.delete(file);
        onProblem(file, part.problem);
        continue;
      }
      const { bytes, end = false } = part;
      state.bytes += bytes.length;
      if (end) left.delete(file);
      const isFirst = !file.stream && file.length === 0;
      if (isFirst && end && bytes.length < minChunk) {
        small.push({ file, content: bytes });
        continue;
      }
      await addPiece(file, bytes, writer);
      if (!end) continue;
      if (file.stream) state.done(file, { entry: file.entry, file: await file.stream.end() });
      else small.push({ file, content: Buffer.concat(file.pieces) });
    }
    const stored = await writer.small(small.map(({ content }) => content));
    for (const [i, { file }] of small.entries()) state.done(file, { entry: file.entry, file: stored[i] as StoredFile });
    await beat(state);
  }
  if (left.size > 0) throw new Error('the connector did not end each file');
}

async function addPiece(file: OpenFile, bytes: Uint8Array, writer: Pick<VaultWriter, 'stream'>): Promise<void> {
  file.length += bytes.length;
  if (!file.stream && file.length < minChunk) {
    // The memory of the frame is used again.
    file.pieces.push(new Uint8Array(bytes));
    return;
  }
  file.stream ??= writer.stream(file.entry.size);
  for (const piece of file.pieces.splice(0)) await file.stream.push(piece);
  await file.stream.push(bytes);
}

function addFailed(
  { key, id }: SourceEntry,
  { code, message }: { code: string; message: string },
  result: Fetched,
): void {
  result.failed.push({ key, code, message, ...(id !== undefined && { id }) });
  if (key.endsWith('/')) result.stored.push({ entry: standInEntry(key) });
}

/** Entries below a vanished folder object may still exist. The next listing shows whether they do. */
function addVanished({ key, id }: SourceEntry, result: Fetched): void {
  if (key.endsWith('/')) result.stored.push({ entry: impliedEntry(key) });
  result.vanished.push(key);
  const message = 'The file was deleted during the backup.';
  result.skipped.push({ key, code: 'vanished', message, ...(id !== undefined && { id }) });
}
