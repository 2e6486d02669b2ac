/**
 * Stores one batch in the engine, then puts one part of the manifest and appends one event. The part is put if absent,
 * and every worker continues with the first part. So a repeat or a slow concurrent worker changes nothing.
 */
import { load, transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { batch, batchId, storeBatch as stored } from '../../domain/batch.ts';
import { streamName } from '../../domain/event.ts';
import type { Deployment } from '../deployment.ts';
import { metered } from '../meter.ts';
import { leaveEndedRun } from './fail-run.ts';
import { engineOf } from './in-thread-engine.ts';
import { accessSource } from './open-source.ts';
import { type PartRecord, putPart, readPart } from './parts.ts';
import { idsOf, loadRun, type RunRef, vaultKeys } from './run.ts';
import { countStored } from './tally.ts';
import { RunCancelled, whileOpen } from './watch.ts';
import { loadWork } from './work.ts';

export async function storeBatch(deployment: Deployment, runRef: RunRef, number: number, work: string): Promise<void> {
  const { platform } = deployment;
  const { backupChain } = await loadRun(platform, runRef);
  if (backupChain.openRun?.runId !== runRef.runId) return leaveEndedRun(deployment, runRef);
  const stream = streamName(runRef.account, 'batch', batchId(runRef.runId, number));
  const { state } = await load(platform, batch, stream);
  const part =
    (await readPart(platform, runRef, number)) ??
    (await makePart(deployment, runRef, number, work).catch(ignoreCancelled));
  if (!part) return leaveEndedRun(deployment, runRef);
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

async function makePart(deployment: Deployment, runRef: RunRef, number: number, work: string): Promise<PartRecord> {
  const meter = metered(deployment.platform, deployment.prices);
  const { platform } = meter;
  const keys = await vaultKeys(platform, runRef.account);
  const source = await accessSource({ ...deployment, platform }, runRef);
  const saved = { where: work, bytes: await loadWork(platform, runRef, work) };
  const calls = { reached: async (step: string) => deployment.reached?.(step) };
  const { part, packs, counts, requests } = await whileOpen(deployment.platform, runRef, (stop) =>
    engineOf(deployment).store({ runRef, keys, source, batch: number, work: saved }, calls, stop),
  );
  meter.count(requests);
  return putPart(platform, runRef, number, part, { packs, counts, cost: meter.cost() });
}
