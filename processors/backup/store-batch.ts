/**
 * Stores one batch: fetch → chunk → dedup → compress → encrypt → pack, then one part of the manifest and one event.
 * The part is put if absent, and every worker continues with the first part. So a repeat or a slow concurrent worker
 * changes nothing.
 */
import { load, transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { type BatchCounts, batch, batchId, storeBatch as stored } from '../../domain/batch.ts';
import { compareKeys } from '../../domain/entry.ts';
import { streamName } from '../../domain/event.ts';
import { encodePart } from '../../vault/part.ts';
import { openWriter } from '../../vault/writer.ts';
import type { Deployment } from '../deployment.ts';
import { metered } from '../meter.ts';
import { finishEndedRun } from './fail-run.ts';
import { fetchEntries } from './fetch-entries.ts';
import { openSource, requireSameSource } from './open-source.ts';
import { type PartRecord, putPart, readPart } from './parts.ts';
import { idsOf, loadRun, type RunRef, vaultKeys } from './run.ts';
import { countStored } from './tally.ts';
import { noteAlive, RunCancelled, unwatchRun } from './watch.ts';
import { getEncrypted, type Listed } from './work.ts';

export async function storeBatch(deployment: Deployment, runRef: RunRef, number: number, work: string): Promise<void> {
  const { platform } = deployment;
  const { backupChain, run } = await loadRun(platform, runRef);
  if (run.status === 'finished') return unwatchRun(platform, runRef);
  if (backupChain.openRun?.runId !== runRef.runId) return finishEndedRun(deployment, runRef);
  const stream = streamName(runRef.account, 'batch', batchId(runRef.runId, number));
  const { state } = await load(platform, batch, stream);
  const part =
    (await readPart(platform, runRef, number)) ??
    (await makePart(deployment, runRef, number, work).catch(ignoreCancelled));
  if (!part) return finishEndedRun(deployment, runRef);
  if (state.status === 'none') {
    await deployment.reached?.('store:part-saved');
    const { partHash, packs, counts, cost } = part;
    const cause = systemContext(runRef.account, 'store-batch', runRef.runId, `${runRef.runId}.${number}`);
    await transact(
      platform,
      batch,
      stream,
      stored({ ...idsOf(runRef), batch: number, partHash, packs, counts, cost }),
      cause,
    );
    await deployment.reached?.('store:recorded');
  }
  await countStored(platform, runRef, number, part);
  await deployment.reached?.('store:counted');
}

function ignoreCancelled(error: unknown): undefined {
  if (!(error instanceof RunCancelled)) throw error;
}

async function makePart(deployment: Deployment, runRef: RunRef, number: number, workName: string): Promise<PartRecord> {
  const meter = metered(deployment.platform, deployment.prices);
  const { platform } = meter;
  const keys = await vaultKeys(platform, runRef.account);
  const work = await getEncrypted<Listed>(platform, keys, runRef, workName);
  const { account, runId } = runRef;
  const { session } = await openSource({ ...deployment, platform }, runRef, work.origin);
  const { blobs, records, random } = deployment.platform;
  const { workers, packers, intake } = deployment.storing ?? {};
  const shared = packers?.take(account, keys);
  const writer = openWriter({
    account,
    keys,
    blobs,
    records,
    random,
    ...(workers && { workers }),
    ...(shared && { packer: shared.packer }),
  });
  try {
    const alive = noteAlive(deployment.platform, runRef);
    const fetched = await fetchEntries(
      session,
      { store: (content) => writer.store(alive(content)) },
      work.entries,
      intake,
    );
    if (fetched.vanished.length > 0 && work.origin) await requireSameSource(session, work.origin);
    await deployment.reached?.('store:fetched');
    const { packs, bytesStored, requests } = await writer.finish();
    meter.count(requests);
    await deployment.reached?.('store:packed');
    const at = new Date(platform.now()).toISOString();
    const failed = [...work.failed, ...fetched.failed];
    const skipped = [...work.skipped, ...fetched.skipped];
    const files = fetched.stored.filter(({ entry }) => entry.kind !== 'folder');
    const counts: BatchCounts = {
      filesDone: files.length,
      filesDeleted: work.deleted.filter((key) => !key.endsWith('/')).length,
      filesFailed: failed.length,
      filesSkipped: skipped.length,
      bytesRead: files.reduce((sum, { file }) => sum + (file?.size ?? 0), 0),
      bytesStored,
    };
    const entries = fetched.stored.map(({ entry, file }) => ({
      ...entry,
      ...(file ? { size: file.size, sha256: file.sha256, chunks: file.chunks } : {}),
      version: 0,
      runId,
      at,
    }));
    const deleted = [...work.deleted, ...fetched.vanished].sort(compareKeys);
    const part = encodePart(keys, account, runId, number, { entries, deleted, failed, skipped });
    return await putPart(platform, runRef, number, part, { packs, counts, cost: meter.cost() });
  } finally {
    writer.close();
    shared?.release();
    await session.close();
  }
}
