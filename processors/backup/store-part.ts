/** Stores the files of one batch and makes its part of the manifest. Runs in the engine. */
import type { SourceSession } from '../../connectors/connector.ts';
import { compareEntries } from '../../domain/entry.ts';
import type { BatchCounts } from '../../domain/run.ts';
import type { FoundEntry } from '../../vault/entry.ts';
import { encodeList, partAad } from '../../vault/part.ts';
import { chunksOf, openWriter } from '../../vault/writer.ts';
import type { EngineWork, StoreCalls, StoreRequest, StoreResult } from './engine.ts';
import { requireSameSource, requireSettings } from './open-source.ts';
import type { Origin } from './source-access.ts';
import { storeFiles } from './store-files.ts';
import { decryptList } from './work.ts';

/** The part is durable nowhere yet. Its packs are. @throws SourceProblem when the whole source fails */
export async function storePart(work: EngineWork, request: StoreRequest, calls: StoreCalls): Promise<StoreResult> {
  const { runRef, keys, source, batch } = request;
  const { account, runId } = runRef;
  const packer = work.takePacker(account, keys);
  const writer = openWriter(packer, keys, runId);
  try {
    const read = async (session: SourceSession) => {
      // Lists that wait for their turn stay encrypted, because they take much less memory.
      const { list, more } = decryptList<Origin>({ account, runId, keys }, request.work);
      requireSettings(source.settings, more);
      const fetched = await storeFiles(session, writer, list.entries, work.proceed);
      if (fetched.vanished.length > 0) await requireSameSource(session, more);
      return { list, fetched };
    };
    const { list, fetched } = await work.withSession(runId, source, read, true);
    await calls.reached('store:fetched');
    packer.leave();
    const { packs, bytesStored, requests } = await work.moving(writer.finish());
    await calls.reached('store:packed');
    const at = new Date(work.now()).toISOString();
    const failed = [...list.failed, ...fetched.failed];
    const skipped = [...list.skipped, ...fetched.skipped];
    const files = fetched.stored.filter(({ entry }) => entry.kind !== 'folder');
    const counts: BatchCounts = {
      filesDone: files.length,
      filesDeleted: list.deleted.filter((key) => !key.endsWith('/')).length,
      filesFailed: failed.length,
      filesSkipped: skipped.length,
      bytesRead: files.reduce((sum, { file }) => sum + (file?.size ?? 0), 0),
      bytesStored,
    };
    const entries = fetched.stored.map(({ entry, file }): FoundEntry => {
      if (!file) return Object.assign(entry, { runId, at });
      return Object.assign(entry, { size: file.size, sha256: file.sha256, chunks: chunksOf(file), runId, at });
    });
    const deleted = [...list.deleted, ...fetched.vanished].sort(compareEntries);
    const part = encodeList(keys, partAad(account, runId, batch), { entries, deleted, failed, skipped });
    return { part, packs, counts, requests };
  } finally {
    packer.release();
  }
}
