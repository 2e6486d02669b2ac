/**
 * Merges a run's parts into a new manifest and appends its restore point to the backup chain. That append commits the
 * run. The run's own RunFinished follows from it. A repeat appends it, should a crash come in between.
 */
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { backupChain, createRestorePoint } from '../../domain/backup-chain.ts';
import type { RunError } from '../../domain/run.ts';
import type { Deployment } from '../deployment.ts';
import { metered } from '../meter.ts';
import { finishEndedRun } from './fail-run.ts';
import { appendFinished } from './finish-run.ts';
import { engineOf } from './in-thread-engine.ts';
import { commitRecord } from './merge-parts.ts';
import { loadPart } from './parts.ts';
import { backupChainStream, idsOf, loadRun, type RunRef, runRecord, vaultKeys } from './run.ts';
import { findRunEnd } from './run-end.ts';
import { readStep } from './step.ts';
import { addTo, noSums } from './tally.ts';
import { unwatchRun } from './watch.ts';
import { clearRun, loadWork, removeWork, type Saved, saveWork } from './work.ts';

export async function commitRun(deployment: Deployment, runRef: RunRef): Promise<void> {
  const meter = metered(deployment.platform, deployment.prices);
  const { platform } = meter;
  const state = await loadRun(platform, runRef);
  if (state.run.status === 'finished') return clearRun(platform, runRef);
  if (state.run.status !== 'running' || !state.run.planned) return;
  const plan = state.run.planned;
  const isOpen = state.backupChain.openRun?.runId === runRef.runId;
  const base = plan.isBaseDamaged ? null : (state.backupChain.newestRestorePoint?.manifest ?? null);
  const at = new Date(platform.now()).toISOString();
  const resume = isOpen && (await platform.records.get(runRecord(runRef, commitRecord)));
  const request = {
    ...{ runRef, base, at, write: isOpen, first: plan.first ?? 1, last: plan.batches },
    ids: plan.since === null ? null : { last: state.backupChain.newestRestorePoint?.idIndex ?? null },
    keys: await vaultKeys(platform, runRef.account),
    resume: resume ? { where: commitRecord, bytes: await loadWork(platform, runRef, commitRecord) } : null,
  };
  let sums = noSums;
  const part = async (batch: number) => {
    const { record, bytes } = await loadPart(platform, runRef, batch);
    sums = addTo(sums, { ...record.counts, ...record.cost });
    return bytes;
  };
  const checkpoint = (saved: Saved) => saveWork(platform, runRef, saved);
  const result = await engineOf({ ...deployment, platform }).commit(request, { part, checkpoint });
  await deployment.reached?.('commit:summed');
  if (result.written) {
    await deployment.reached?.('commit:manifest-written');
    const { manifest, totals, idIndex } = result.written;
    const outcome = sums.filesFailed > 0 ? 'partial' : 'succeeded';
    const { since, sourceIdentity } = plan;
    const cursor = idIndex ? { since, idIndex } : { since: null };
    const fields = { outcome, manifest, totals, sourceIdentity, at, ...cursor } as const;
    const restorePoint = createRestorePoint(idsOf(runRef), fields);
    await transact(platform, backupChain, backupChainStream(runRef), restorePoint, cause(runRef));
    await deployment.reached?.('commit:committed');
  }
  const end = await findRunEnd(platform, runRef);
  if (end?.type !== 'RestorePointCreated') return finishEndedRun(deployment, runRef);
  sums = addTo(sums, { bytesStored: result.bytesStored, ...meter.cost() });
  const { outcome, manifest, totals } = end.data;
  const errors = [...result.errors];
  if (plan.lost) errors.unshift(packsLost(plan.lost));
  if (plan.isBaseDamaged) errors.unshift(baseDamaged(plan.damagedAt, sums.filesFailed));
  const finished = { outcome, manifest, totals, reason: null, errors, errorPages: result.errorPages };
  const requestedAt = state.backupChain.openRun?.requestedAt;
  await appendFinished(platform, runRef, { result: finished, plan, sums, requestedAt }, cause(runRef));
  await deployment.reached?.('commit:finished');
  if (plan.batches > 0 || (await readStep(platform, runRef)).hasPieces) await removeWork(platform, runRef);
  await unwatchRun(platform, runRef);
}

const cause = (runRef: RunRef) => systemContext(runRef.account, 'commit-run', runRef.runId, runRef.runId);

function baseDamaged(at: string | undefined, failed: number): RunError {
  const asOf = at && new Date(Date.parse(at) - 1).toISOString();
  // There is no last good version to keep.
  const missing =
    failed > 0 ? ` Files and folders that it could not read (${failed}) are missing from its restore point.` : '';
  const older = missing && asOf ? ` An older restore point may have them: use asOf=${asOf}.` : '';
  const message = `The restore point before this run is damaged, so the run read all files again.${missing}${older}`;
  return { path: '', code: 'base-damaged', message: `${message} Run the doctor.` };
}

function packsLost({ files, packs }: { files: number; packs: number }): RunError {
  const message =
    `Packs of this account are lost or damaged (${packs}). The run read the files in them again (${files}). ` +
    'Older versions of files in them may be gone. Run the doctor.';
  return { path: '', code: 'packs-lost', message };
}
