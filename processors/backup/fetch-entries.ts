/** Reads a batch's files from the source into the vault, several at once, and gives a reason for each failed file. */
import { SourceProblem, type SourceSession } from '../../connectors/connector.ts';
import { compareKeys, type Refusal, type SourceEntry } from '../../domain/entry.ts';
import type { StoredFile, VaultWriter } from '../../vault/writer.ts';
import { type Intake, openIntake } from './intake.ts';

/** Each list is in key order. */
export type Fetched = {
  /** The entry as read, which may be newer than as listed. Folders and links have no `file`. */
  stored: { entry: SourceEntry; file?: StoredFile }[];
  failed: Refusal[];
  skipped: Refusal[];
  /** Keys that were listed but no longer exist. They leave the backup. */
  vanished: string[];
};

/** Files of one batch that wait to be read or are being read. The intake limits actual reads. */
const parallel = 32;
const maxAttempts = 3;

/**
 * Stores the content of the entries. A file that changes during the read is looked up and read again. After three such
 * attempts it fails as `changed`.
 * @throws SourceProblem when the whole source fails. No read is in progress then.
 */
export async function fetchEntries(
  session: SourceSession,
  writer: Pick<VaultWriter, 'store'>,
  entries: SourceEntry[],
  intake: Intake = openIntake(),
): Promise<Fetched> {
  const result: Fetched = { stored: [], failed: [], skipped: [], vanished: [] };
  const waiting = entries.values();
  const stop = new AbortController();
  async function fetchNext(): Promise<void> {
    for (const entry of waiting) {
      const leave = await intake.enter(entry.size);
      await fetchOne(session, writer, entry, result, stop.signal).finally(leave);
    }
  }
  await Promise.all(Array.from({ length: parallel }, () => fetchNext().catch((error: unknown) => stop.abort(error))));
  stop.signal.throwIfAborted();
  result.stored.sort((a, b) => compareKeys(a.entry.key, b.entry.key));
  for (const refusals of [result.failed, result.skipped]) refusals.sort((a, b) => compareKeys(a.key, b.key));
  result.vanished.sort(compareKeys);
  return result;
}

async function fetchOne(
  session: SourceSession,
  writer: Pick<VaultWriter, 'store'>,
  listed: SourceEntry,
  result: Fetched,
  stop: AbortSignal,
): Promise<void> {
  const { key } = listed;
  let entry: SourceEntry | undefined = listed;
  let outdated = false;
  for (let attempt = 1; ; attempt++) {
    stop.throwIfAborted();
    try {
      if (outdated) entry = await session.look(key);
      if (entry === undefined) return addVanished(key, result);
      const file =
        entry.kind === 'file'
          ? await writer.store(abortable(stop, await session.read(entry, undefined, { lend: true })))
          : undefined;
      result.stored.push(file ? { entry, file } : { entry });
      return;
    } catch (error) {
      if (!(error instanceof SourceProblem) || concernsSource(error)) throw error;
      // A vanished file may have been replaced, or the whole source may be gone. The next `look` shows which.
      const changed = error.code === 'changed' || error.code === 'vanished';
      outdated ||= changed;
      if (attempt === maxAttempts || !(changed || error.retryable)) {
        result.failed.push({ key, code: error.code, message: error.message });
        return;
      }
    }
  }
}

/** Stops with the other reads, so that nothing is read from a session that is about to close. */
async function* abortable(stop: AbortSignal, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  for await (const piece of content) {
    stop.throwIfAborted();
    yield piece;
  }
}

function addVanished(key: string, result: Fetched): void {
  result.vanished.push(key);
  result.skipped.push({ key, code: 'vanished', message: 'The file was deleted during the backup.' });
}

/** Errors of the whole source. The batch is tried again later, and its files do not fail. */
function concernsSource(error: SourceProblem): boolean {
  return error.code === 'unreachable' || error.code === 'throttled' || error.code === 'not-found';
}
