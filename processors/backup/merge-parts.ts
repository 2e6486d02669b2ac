/** Merges the parts of a run into the next manifest. Runs in the engine. */

import type { ManifestRef } from '../../domain/backup-chain.ts';
import { displayPath, type Refusal } from '../../domain/entry.ts';
import type { RunError } from '../../domain/run.ts';
import { type Change, type CommitPosition, writeManifest } from '../../vault/manifest.ts';
import { changesOfPart, decodeList, type Part, partAad } from '../../vault/part.ts';
import { openManifest } from '../../vault/reader.ts';
import { errorsPerPage, putErrors, putFailed } from '../../vault/run-errors.ts';
import type { CommitCalls, CommitRequest, CommitResult, EngineWork, Paused } from './engine.ts';
import { maxFailed, writeIdIndex } from './id-index.ts';
import { failedEntriesOf, maxRetried } from './retry.ts';
import { decryptWork, encryptWork, workFolder } from './work.ts';

/** The name of the record with the position of a commit. */
export const commitRecord = 'commit';

/** @throws VaultDamage when the base cannot be read */
export async function mergeParts(
  work: EngineWork,
  request: CommitRequest,
  calls: CommitCalls,
): Promise<CommitResult | Paused> {
  try {
    return await merge(work, request, calls);
  } catch (error) {
    if (error instanceof PausedCommit) return { paused: true };
    throw error;
  }
}

async function merge(work: EngineWork, request: CommitRequest, calls: CommitCalls): Promise<CommitResult> {
  const { runRef, keys, base, at } = request;
  const { account, runId } = runRef;
  const context = { account, keys, blobs: work.blobs };
  const collected = collectErrors(context, runId);
  /** Failed and vanished entries. They are not in the backup, and the next delta does not name them. */
  const again: Refusal[] = [];

  async function* parts(): AsyncGenerator<Part> {
    for (let batch = request.first; batch <= request.last; batch++) {
      const { list } = decodeList(keys, partAad(account, runId, batch), await calls.part(batch));
      await collected.add([...list.failed, ...list.skipped]);
      again.push(...list.failed, ...list.skipped.filter(({ code }) => code === 'vanished' || code === 'same-path'));
      again.length = Math.min(again.length, maxRetried + 1);
      await work.proceed();
      yield list;
    }
  }
  async function* changes(): AsyncGenerator<Change[]> {
    for await (const part of parts()) yield changesOfPart(part);
  }

  const saving = { account, runId, keys };
  const options = {
    ...context,
    random: work.random,
    runId,
    at,
    note: (pack: string, state: 'uploading' | 'live', bytes: number) =>
      work.register(account, pack, { state, bytes, epoch: keys.epoch, run: runId }),
  };
  const before = base ? await openManifest(context, base) : undefined;
  const { manifest, root, totals, bytesStored } = await writeManifest({
    ...options,
    ...(before && { base: before }),
    changes: changes(),
    resume: request.resume ? decryptWork<CommitPosition>(saving, request.resume) : undefined,
    async checkpoint(position) {
      await calls.checkpoint(encryptWork(saving, commitRecord, position));
      if (await calls.isOver()) throw new PausedCommit();
    },
  });
  if (again.length > 0) await putFailed(context, runId, failedEntriesOf(again, request.settings));
  const isKnown = again.length <= maxFailed && again.every(({ id }) => id !== undefined);
  const ids = request.ids && isKnown ? await indexIds(request.ids) : undefined;
  const stored = bytesStored + (ids?.bytesStored ?? 0);
  const idIndex = ids?.isUnique ? ids.index : null;
  return { manifest, totals, idIndex, bytesStored: stored, ...(await collected.end()) };

  function indexIds({ last }: { last: ManifestRef | null }) {
    const tools = {
      blobs: work.blobs,
      keys,
      folder: workFolder(runRef),
      random: work.random,
      sortItems: idsInMemory,
      proceed: work.proceed,
    };
    return writeIdIndex(options, last && before ? { index: last, manifest: before } : undefined, root, again, tools);
  }
}

/** Ends a merge after a checkpoint. */
class PausedCommit extends Error {}

/** Ids that are sorted in memory. */
const idsInMemory = 200_000;

/** Keeps the first errors, and stores all of them in pages when there are more. */
function collectErrors(vault: Parameters<typeof putErrors>[0], runId: string) {
  let page: RunError[] = [];
  let errors: RunError[] = [];
  let errorPages = 0;
  return {
    async add(refusals: Refusal[]): Promise<void> {
      page.push(...refusals.map(asError));
      if (errorPages === 0) errors = firstErrors(page);
      for (; page.length >= errorsPerPage; page = page.slice(errorsPerPage))
        await putErrors(vault, runId, errorPages++, page.slice(0, errorsPerPage));
    },
    async end(): Promise<{ errors: RunError[]; errorPages: number }> {
      if (page.length > 0 && (errorPages > 0 || page.length > errors.length))
        await putErrors(vault, runId, errorPages++, page);
      return { errors, errorPages };
    },
  };
}

function asError({ key, code, message }: Refusal): RunError {
  return { path: displayPath(key).path, code, message };
}

/** The run's row holds the errors encrypted, which adds a third. A row has at most 400 KB. */
const maxErrorBytes = 200 * 1024;

/** At most 100 errors, and at most `maxErrorBytes` of them. */
function firstErrors(errors: RunError[]): RunError[] {
  let bytes = 0;
  return errors.slice(0, 100).filter((error) => {
    bytes += Buffer.byteLength(JSON.stringify(error));
    return bytes <= maxErrorBytes;
  });
}
