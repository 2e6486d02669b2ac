/** Reads a batch's files from the source into the vault, several at once, and says of each that did not come why. */
import { SourceProblem, type SourceSession } from '../connectors/connector.ts';
import { compareKeys, type Refusal, type SourceEntry } from '../domain/entry.ts';
import type { StoredFile, VaultWriter } from '../vault/writer.ts';

export type Fetched = {
  /** In key order. Folders and links have no content. */
  stored: { entry: SourceEntry; file?: StoredFile }[];
  failed: Refusal[];
  skipped: Refusal[];
  /** Were listed and are gone: to be taken out of the backup. */
  vanished: string[];
};

/** Files read at once: enough to hide a round trip, few enough for a small machine. */
const parallel = 8;
const tries = 3;

export async function fetchEntries(session: SourceSession, writer: VaultWriter, entries: SourceEntry[]): Promise<Fetched> {
  const result: Fetched = { stored: [], failed: [], skipped: [], vanished: [] };
  const waiting = entries.values();
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      for (const entry of waiting) await fetchOne(session, writer, entry, result);
    }),
  );
  result.stored.sort((a, b) => compareKeys(a.entry.key, b.entry.key));
  return result;
}

async function fetchOne(session: SourceSession, writer: VaultWriter, entry: SourceEntry, result: Fetched): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const file = entry.kind === 'file' ? await writer.store(await session.read(entry)) : undefined;
      result.stored.push(file ? { entry, file } : { entry });
      return;
    } catch (error) {
      if (!(error instanceof SourceProblem) || concernsAll(error)) throw error;
      const again = attempt < tries && error.retryable;
      if (error.code === 'vanished') {
        result.vanished.push(entry.key);
        result.skipped.push({ key: entry.key, code: 'vanished', message: 'It was deleted while the backup ran.' });
        return;
      }
      if (!again) {
        result.failed.push({ key: entry.key, code: error.code, message: error.message });
        return;
      }
    }
  }
}

/** What is wrong with the source is not wrong with one file: the batch waits and tries again. */
function concernsAll(error: SourceProblem): boolean {
  return error.code === 'unreachable' || error.code === 'throttled' || error.code === 'not-found';
}
