/**
 * Ends a run that cannot go on as `failed`, with its reason. The last good backup stays. The backup chain decides: a
 * run with a restore point has not failed. A run with RunEnded has, even if a crash kept RunFinished from its own
 * stream.
 */
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { backupChain, endRun } from '../../domain/backup-chain.ts';
import type { Deployment } from '../deployment.ts';
import { appendFinished } from './finish-run.ts';
import { backupChainStream, idsOf, loadRun, type RunRef, runRecord, vaultKeys } from './run.ts';
import { findRunEnd } from './run-end.ts';
import { readStep } from './step.ts';
import { readTally } from './tally.ts';
import { clearRun, decryptWork, encryptWork, loadWork, saveWork } from './work.ts';

export type Reason = { code: string; message: string };

/** The name of the record with the reason. */
const failureRecord = 'failure';

export async function failRun(deployment: Deployment, runRef: RunRef, reason: Reason): Promise<void> {
  const { platform } = deployment;
  const state = await loadRun(platform, runRef);
  if (state.run.status !== 'finished' && state.backupChain.openRun?.runId === runRef.runId) {
    const keys = await vaultKeys(platform, runRef.account);
    await saveWork(platform, runRef, encryptWork({ ...runRef, keys }, failureRecord, reason));
    await deployment.reached?.('fail:reason-saved');
    await transact(platform, backupChain, backupChainStream(runRef), endRun(idsOf(runRef), 'failed'), cause(runRef));
    await deployment.reached?.('fail:ended');
  }
  await finishEndedRun(deployment, runRef, state.backupChain.openRun?.requestedAt);
}

/**
 * Appends RunFinished for a run that failed or was cancelled. Does nothing unless the backup chain has the run's
 * RunEnded. Idempotent.
 */
export async function finishEndedRun(deployment: Deployment, runRef: RunRef, requestedAt?: string): Promise<void> {
  const { platform } = deployment;
  const end = await findRunEnd(platform, runRef);
  if (end?.type !== 'RunEnded') return;
  const [sums, plan] = await Promise.all([readTally(platform, runRef), readStep(platform, runRef)]);
  const { outcome } = end.data;
  const reason = outcome === 'failed' ? await readReason(deployment, runRef) : null;
  const result = { outcome, manifest: null, totals: null, reason, errors: [], errorPages: 0 };
  await appendFinished(platform, runRef, { result, plan, sums, requestedAt }, cause(runRef));
  await deployment.reached?.('fail:finished');
  await clearRun(platform, runRef);
}

/** Ends a message of a run that is not open: finishes the run if necessary, and removes late working state. */
export async function leaveEndedRun(deployment: Deployment, runRef: RunRef): Promise<void> {
  const { platform } = deployment;
  const { run: state } = await loadRun(platform, runRef);
  // Until a run with a restore point is finished, a repeat of its commit needs the parts.
  if (state.status === 'finished') return clearRun(platform, runRef);
  return finishEndedRun(deployment, runRef);
}

const cause = (runRef: RunRef) => systemContext(runRef.account, 'fail-run', runRef.runId, runRef.runId);

async function readReason({ platform }: Deployment, runRef: RunRef): Promise<Reason> {
  if (await platform.records.get(runRecord(runRef, failureRecord))) {
    const keys = await vaultKeys(platform, runRef.account);
    const bytes = await loadWork(platform, runRef, failureRecord);
    return decryptWork<Reason>({ ...runRef, keys }, { where: failureRecord, bytes });
  }
  return { code: 'internal', message: 'An internal error occurred. Run the job again.' };
}
