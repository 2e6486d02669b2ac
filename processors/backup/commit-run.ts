/**
 * Merges a run's parts into a new manifest and appends its restore point to the backup chain. That append commits the
 * run. The run's own RunFinished follows from it. A repeat appends it, should a crash come in between.
 */
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { type BackupChainEvent, backupChain, createRestorePoint } from '../../domain/backup-chain.ts';
import type { Platform } from '../../domain/ports.ts';
import { type Cost, type Counts, finishRun, type RunError, run } from '../../domain/run.ts';
import type { Deployment } from '../deployment.ts';
import { addCosts, metered } from '../meter.ts';
import type { CommitResult } from './engine.ts';
import { finishEndedRun } from './fail-run.ts';
import { engineOf } from './in-thread-engine.ts';
import { measureRun } from './measure-run.ts';
import { commitRecord } from './merge-parts.ts';
import { loadPart } from './parts.ts';
import { backupChainStream, idsOf, loadRun, type RunRef, runRecord, runStream, vaultKeys } from './run.ts';
import { findRunEnd } from './run-end.ts';
import { readStep } from './step.ts';
import { unwatchRun } from './watch.ts';
import { clearRun, loadWork, removeWork, type Saved, saveWork } from './work.ts';

type RestorePoint = Extract<BackupChainEvent, { type: 'RestorePointCreated' }>['data'];
type Sums = { counts: Counts; cost: Cost };

export async function commitRun(deployment: Deployment, runRef: RunRef): Promise<void> {
  const meter = metered(deployment.platform, deployment.prices);
  const { platform } = meter;
  const state = await loadRun(platform, runRef);
  if (state.run.status === 'finished') return clearRun(platform, runRef);
  if (state.run.status !== 'running' || !state.run.planned) return;
  const plan = state.run.planned;
  const { counts, cost, part } = sumParts(platform, runRef, plan);
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
  const checkpoint = (saved: Saved) => saveWork(platform, runRef, saved);
  const result = await engineOf({ ...deployment, platform }).commit(request, { part, checkpoint });
  await deployment.reached?.('commit:summed');
  if (result.written) {
    await deployment.reached?.('commit:manifest-written');
    const { manifest, totals, idIndex } = result.written;
    const outcome = counts.filesFailed > 0 ? 'partial' : 'succeeded';
    const { since, sourceIdentity } = plan;
    const cursor = idIndex ? { since, idIndex } : { since: null };
    const fields = { outcome, manifest, totals, sourceIdentity, at, ...cursor } as const;
    const restorePoint = createRestorePoint(idsOf(runRef), fields);
    await transact(platform, backupChain, backupChainStream(runRef), restorePoint, cause(runRef));
    await deployment.reached?.('commit:committed');
  }
  const end = await findRunEnd(platform, runRef);
  if (end?.type !== 'RestorePointCreated') return finishEndedRun(deployment, runRef);
  const stored = { ...counts, bytesStored: counts.bytesStored + result.bytesStored };
  const sums = { counts: stored, cost: addCosts([cost, meter.cost()]) };
  if (plan.isBaseDamaged) result.errors.unshift(damagedBase);
  await finish(platform, runRef, end.data, sums, result, state.backupChain.openRun?.requestedAt);
  await deployment.reached?.('commit:finished');
  if (plan.batches > 0 || (await readStep(platform, runRef)).hasPieces) await removeWork(platform, runRef);
  await unwatchRun(platform, runRef);
}

const cause = (runRef: RunRef) => systemContext(runRef.account, 'commit-run', runRef.runId, runRef.runId);

const damagedBase: RunError = {
  path: '',
  code: 'base-damaged',
  message: 'The restore point before this run is damaged, so the run read all files again. Run the doctor.',
};

/** `part` returns the bytes of a part, and adds its counts and cost to the sums. */
function sumParts(platform: Platform, runRef: RunRef, plan: { filesTotal: number; filesUnchanged: number }) {
  const counts: Counts = {
    filesTotal: plan.filesTotal,
    filesDone: 0,
    filesUnchanged: plan.filesUnchanged,
    filesDeleted: 0,
    filesFailed: 0,
    filesSkipped: 0,
    bytesRead: 0,
    bytesStored: 0,
  };
  const cost: Cost = { requests: 0, usd: 0 };
  const part = async (batch: number) => {
    const { record, bytes } = await loadPart(platform, runRef, batch);
    for (const field of Object.keys(record.counts) as (keyof typeof record.counts)[])
      counts[field] += record.counts[field];
    cost.requests += record.cost.requests;
    cost.usd += record.cost.usd;
    return bytes;
  };
  return { counts, cost, part };
}

async function finish(
  platform: Platform,
  runRef: RunRef,
  restorePoint: RestorePoint,
  { counts, cost }: Sums,
  { errors, errorPages }: Pick<CommitResult, 'errors' | 'errorPages'>,
  requestedAt: string | undefined,
): Promise<void> {
  const { outcome, manifest, totals } = restorePoint;
  const data = { ...idsOf(runRef), outcome, counts, cost, manifest, totals, reason: null, errors, errorPages };
  const { appended } = await transact(platform, run, runStream(runRef), finishRun(data), cause(runRef));
  if (appended) measureRun(platform, data, requestedAt);
}
