/** Reads a batch's files from the source into the vault, several at once, and says of each that did not come why. */
import { SourceProblem, type SourceSession } from '../../connectors/connector.ts';
import { compareKeys, type Refusal, type SourceEntry } from '../../domain/entry.ts';
import type { StoredFile, VaultWriter } from '../../vault/writer.ts';
import { type Intake, openIntake } from './intake.ts';

/** All in key order. */
export type Fetched = {
  /** The entry as it was when it was read, which may be newer than as it was listed. Folders and links have no content. */
  stored: { entry: SourceEntry; file?: StoredFile }[];
  failed: Refusal[];
  skipped: Refusal[];
  /** Were listed and are gone: to be taken out of the backup. */
  vanished: string[];
};

/** Files of one batch that may be read at once; how many are, the intake tells. */
const parallel = 32;
const tries = 3;

/**
 * Stores what the entries hold. A file that changes while it is read is looked at again and stored as it is now; one that changes
 * under every try is failed as `changed`. @throws SourceProblem when it is the source that cannot be had, once nothing is read any more
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
  async function work(): Promise<void> {
    for (const entry of waiting) {
      const leave = await intake.enter(entry.size);
      await fetchOne(session, writer, entry, result, stop.signal).finally(leave);
    }
  }
  await Promise.all(Array.from({ length: parallel }, () => work().catch((error: unknown) => stop.abort(error))));
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
      if (entry === undefined) return vanish(key, result);
      const file =
        entry.kind === 'file'
          ? await writer.store(until(stop, await session.read(entry, undefined, { lend: true })))
          : undefined;
      result.stored.push(file ? { entry, file } : { entry });
      return;
    } catch (error) {
      if (!(error instanceof SourceProblem) || concernsAll(error)) throw error;
      // Gone may mean replaced, or that the whole source is gone: only a look tells.
      const changed = error.code === 'changed' || error.code === 'vanished';
      outdated ||= changed;
      if (attempt === tries || !(changed || error.retryable)) {
        result.failed.push({ key, code: error.code, message: error.message });
        return;
      }
    }
  }
}

/** What another file met ends this one too, so that nothing is read from a session about to be closed. */
async function* until(stop: AbortSignal, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  for await (const piece of content) {
    stop.throwIfAborted();
    yield piece;
  }
}

function vanish(key: string, result: Fetched): void {
  result.vanished.push(key);
  result.skipped.push({ key, code: 'vanished', message: 'It was deleted while the backup ran.' });
}

/** What is wrong with the source is not wrong with one file: the batch waits and tries again. */
function concernsAll(error: SourceProblem): boolean {
  return error.code === 'unreachable' || error.code === 'throttled' || error.code === 'not-found';
}
