/** Stores the files of one batch and makes its part of the manifest. Runs in the engine. */
import type { SourceSession } from '../../connectors/connector.ts';
import { compareEntries } from '../../domain/entry.ts';
import type { BatchCounts } from '../../domain/run.ts';
import type { FoundEntry } from '../../vault/entry.ts';
import { type BatchList, encodeList, partAad } from '../../vault/part.ts';
import { openWriter } from '../../vault/writer.ts';
import { bytesListed, joinPieces, type Pieces, type Stored, storedOf } from './batch-pieces.ts';
import type { EngineWork, Paused, StoreCalls, StoreRequest, StoreResult } from './engine.ts';
import { requireSameSource, requireSettings } from './open-source.ts';
import type { Origin } from './source-access.ts';
import { openCheckpoints, PausedReading } from './store-checkpoints.ts';
import { type Fetched, storeFiles } from './store-files.ts';
import { decryptList } from './work.ts';

/** The part is durable nowhere yet. Its packs are. @throws SourceProblem when the whole source fails */
export async function storePart(
  work: EngineWork,
  request: StoreRequest,
  calls: StoreCalls,
): Promise<StoreResult | Paused> {
  const { runRef, keys, source, limits } = request;
  const { account, runId } = runRef;
  const packer = work.takePacker(account, keys);
  const writer = openWriter(packer, keys, runId);
  try {
    const read = async (session: SourceSession): Promise<Read | undefined> => {
      // Lists that wait for their turn stay encrypted, because they take much less memory.
      const { list, more } = decryptList<Origin>({ account, runId, keys }, request.work);
      requireSettings(source.settings, more);
      const requireSource = () => requireSameSource(session, more);
      const tools = { work, request, calls, writer, close: packer.close, requireSource };
      const checkpoints = await openCheckpoints(tools, list.entries);
      const { beat, before, start } = checkpoints;
      try {
        const options = { ...start, resumableBytes: limits.resumableBytes, ...(request.isCautious && { before }) };
        const fetched = await storeFiles(session, writer, list.entries, beat, options);
        if (fetched.vanished.length > 0) await requireSource();
        return { list, fetched, pieces: await checkpoints.end() };
      } catch (error) {
        await checkpoints.failed(error);
        if (error instanceof PausedReading) return undefined;
        throw error;
      }
    };
    const done = await work.withSession(runId, source, read, true);
    if (!done) return { paused: true };
    await calls.reached('store:fetched');
    packer.leave();
    const totals = await work.moving(writer.finish());
    await calls.reached('store:packed');
    return partOf(
      work,
      request,
      done.list,
      await joinPieces(work, request, done.pieces, storedOf(done.fetched, totals)),
    );
  } finally {
    packer.release();
  }
}

type Read = { list: BatchList; fetched: Fetched; pieces: Pieces[] };

function partOf(work: EngineWork, request: StoreRequest, list: BatchList, stored: Stored): StoreResult {
  const { runRef, keys, batch } = request;
  const { account, runId } = runRef;
  const at = new Date(work.now()).toISOString();
  const failed = [...list.failed, ...stored.list.failed];
  const skipped = [...list.skipped, ...stored.list.skipped];
  const counts: BatchCounts = {
    filesDone: stored.list.entries.filter(({ kind }) => kind !== 'folder').length,
    filesDeleted: list.deleted.filter((key) => !key.endsWith('/')).length,
    filesFailed: failed.length,
    filesSkipped: skipped.length,
    bytesRead: stored.bytesRead,
    bytesStored: stored.bytesStored,
  };
  const bytesHandled = bytesListed(list.entries);
  const entries = stored.list.entries.map((entry): FoundEntry => Object.assign(entry, { runId, at }));
  const deleted = [...list.deleted, ...stored.list.deleted].sort(compareEntries);
  const part = encodeList(keys, partAad(account, runId, batch), { entries, deleted, failed, skipped });
  return { part, packs: stored.packs, counts, bytesHandled, requests: stored.requests };
}
