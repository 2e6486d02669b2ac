/** Reads a batch's files from the source into the vault, and gives a reason for each failed file. */
import { concernsSource, SourceProblem, type SourceSession } from '../../connectors/connector.ts';
import { compareEntries, impliedEntry, type Refusal, type SourceEntry, standInEntry } from '../../domain/entry.ts';
import { minChunk } from '../../vault/chunker.ts';
import type { FileStream, StoredFile, VaultWriter } from '../../vault/writer.ts';

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

const maxAttempts = 3;

/**
 * Stores the content of the entries. A file that changes during the read is looked up and read again. After three
 * attempts it fails as `changed`. `beat` is called after each frame, and may throw to stop.
 * @throws SourceProblem when the whole source fails
 */
export async function storeFiles(
  session: SourceSession,
  writer: Pick<VaultWriter, 'small' | 'stream'>,
  entries: SourceEntry[],
  beat: () => void | Promise<void>,
): Promise<Fetched> {
  const result: Fetched = { stored: [], failed: [], skipped: [], vanished: [] };
  const addFailed = ({ key, id }: SourceEntry, { code, message }: SourceProblem) => {
    result.failed.push({ key, code, message, ...(id !== undefined && { id }) });
    if (key.endsWith('/')) result.stored.push({ entry: standInEntry(key) });
  };
  let files: SourceEntry[] = [];
  for (const entry of entries) {
    // The content of an entry that moved is stored already.
    if (entry.kind === 'file' && !('chunks' in entry)) files.push(entry);
    else result.stored.push({ entry });
  }
  for (let attempt = 1; files.length > 0; attempt++) {
    const again: { entry: SourceEntry; problem: SourceProblem }[] = [];
    const onProblem = (entry: SourceEntry, problem: SourceProblem) => {
      // A vanished file may have been replaced, or the whole source may be gone. The next look shows which.
      const isOutdated = problem.code === 'changed' || problem.code === 'vanished';
      if (attempt < maxAttempts && (isOutdated || problem.retryable)) again.push({ entry, problem });
      else addFailed(entry, problem);
    };
    await readAll(session, writer, files, (entry, file) => result.stored.push({ entry, file }), onProblem, beat);
    files = [];
    for (const { entry, problem } of again) {
      const now = await lookAgain(session, entry, problem, addFailed);
      if (now === null) addVanished(entry, result);
      else if (now?.kind === 'file') files.push(now);
      else if (now) result.stored.push({ entry: now });
    }
  }
  const byKey = (a: { key: string }, b: { key: string }) => compareEntries(a.key, b.key);
  result.stored.sort((a, b) => byKey(a.entry, b.entry));
  result.failed.sort(byKey);
  result.skipped.sort(byKey);
  result.vanished.sort(compareEntries);
  return result;
}

/** The entry to read in the next attempt. Null if it is gone, undefined if it cannot be looked up. */
async function lookAgain(
  session: SourceSession,
  entry: SourceEntry,
  problem: SourceProblem,
  onFailed: (entry: SourceEntry, problem: SourceProblem) => void,
): Promise<SourceEntry | null | undefined> {
  if (problem.code !== 'changed' && problem.code !== 'vanished') return entry;
  try {
    return (await session.look(entry)) ?? null;
  } catch (error) {
    if (!(error instanceof SourceProblem) || concernsSource(error)) throw error;
    onFailed(entry, error);
    return undefined;
  }
}

/** The pieces of a file whose end has not arrived. Until it is too large for one chunk, it is held in memory. */
type OpenFile = { pieces: Uint8Array[]; length: number; stream?: FileStream };

async function readAll(
  session: SourceSession,
  writer: Pick<VaultWriter, 'small' | 'stream'>,
  files: SourceEntry[],
  onStored: (entry: SourceEntry, file: StoredFile) => void,
  onProblem: (entry: SourceEntry, problem: SourceProblem) => void,
  beat: () => void | Promise<void>,
): Promise<void> {
  const open = new Map<number, OpenFile>();
  const left = new Set(files.keys());
  const done = (index: number) => {
    left.delete(index);
    open.delete(index);
    return files[index] as SourceEntry;
  };
  for await (const frame of session.read(files.map((entry) => ({ entry })))) {
    const small: { entry: SourceEntry; content: Uint8Array }[] = [];
    for (const part of frame) {
      const { index } = part;
      if ('problem' in part) {
        onProblem(done(index), part.problem);
        continue;
      }
      const { bytes, end = false } = part;
      const file = open.get(index);
      if (!file && end && bytes.length < minChunk) {
        small.push({ entry: done(index), content: bytes });
        continue;
      }
      const into = file ?? { pieces: [], length: 0 };
      open.set(index, into);
      await addPiece(into, bytes, writer);
      if (!end) continue;
      if (into.stream) onStored(done(index), await into.stream.end());
      else small.push({ entry: done(index), content: Buffer.concat(into.pieces) });
    }
    const stored = await writer.small(small.map(({ content }) => content));
    for (const [i, { entry }] of small.entries()) onStored(entry, stored[i] as StoredFile);
    await beat();
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
  file.stream ??= writer.stream();
  for (const piece of file.pieces.splice(0)) await file.stream.push(piece);
  await file.stream.push(bytes);
}

/** Entries below a vanished folder object may still exist. The next listing shows whether they do. */
function addVanished({ key, id }: SourceEntry, result: Fetched): void {
  if (key.endsWith('/')) result.stored.push({ entry: impliedEntry(key) });
  result.vanished.push(key);
  const message = 'The file was deleted during the backup.';
  result.skipped.push({ key, code: 'vanished', message, ...(id !== undefined && { id }) });
}
