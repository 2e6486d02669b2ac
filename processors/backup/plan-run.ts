/**
 * Reaction to `run.requested`: the engine lists the source, compares it with the last manifest and makes batches of
 * work, and this step saves and sends them. One record holds the step that the plan has reached. Only a worker at that
 * step may move it, so a crash resumes there and a concurrent worker is overtaken.
 */
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { SourceProblem } from '../../connectors/connector.ts';
import type { BackupChainState } from '../../domain/backup-chain.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import { planRun as planned, run, startRun } from '../../domain/run.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { checkPacks, lostPacks } from '../../vault/pack-registry.ts';
import type { Deployment } from '../deployment.ts';
import { defaultLimits } from '../limits.ts';
import type { PlanStep } from './engine.ts';
import { leaveEndedRun } from './fail-run.ts';
import { engineOf } from './in-thread-engine.ts';
import { accessSource } from './open-source.ts';
import { expiry, idsOf, loadRun, type RunRef, runRecord, runStream, send, type Task, vaultKeys } from './run.ts';
import { readStep, type Step } from './step.ts';
import { closeTally } from './tally.ts';
import { isOpen, RunCancelled, watchRun, whileOpen } from './watch.ts';
import { loadWork, saveWork } from './work.ts';

/** When to stop (ms since the epoch) and leave the rest to another message. It may become earlier during the work. */
type Until = { readonly deadline: number };

export async function planRun(deployment: Deployment, runRef: RunRef, until: Until): Promise<void> {
  const { platform } = deployment;
  const state = await loadRun(platform, runRef);
  if (state.backupChain.openRun?.runId !== runRef.runId) return leaveEndedRun(deployment, runRef);
  const cause = systemContext(runRef.account, 'plan-run', runRef.runId, runRef.runId);
  await watchRun(platform, runRef);
  await transact(platform, run, runStream(runRef), startRun(idsOf(runRef)), cause);
  await deployment.reached?.('plan:started');

  let step = await readStep(platform, runRef);
  await sendPending(platform, runRef, step);
  if (!step.done) {
    const outcome = await listSource(deployment, runRef, step, state.backupChain.newestRestorePoint, until);
    if (outcome === 'ended') return leaveEndedRun(deployment, runRef);
    if (outcome === 'overtaken') return planLater(platform, runRef);
    if (!outcome.done) return send(platform, [{ type: 'plan', ...runRef }]);
    step = outcome;
  }
  const { batches, first, isBaseDamaged, filesTotal, filesUnchanged, bytesTotal, since, sourceIdentity } = step;
  const { filesLost, packsLost } = step;
  const damagedAt = state.backupChain.newestRestorePoint?.at;
  const plan = {
    ...idsOf(runRef),
    ...{ batches, filesTotal, filesUnchanged, bytesTotal, since },
    ...(sourceIdentity !== null && { sourceIdentity }),
    ...(first > 1 && { first }),
    ...(isBaseDamaged && { isBaseDamaged, ...(damagedAt && { damagedAt }) }),
    ...(filesLost > 0 && { lost: { files: filesLost, packs: packsLost } }),
  };
  await transact(platform, run, runStream(runRef), planned(plan), cause);
  await deployment.reached?.('plan:planned');
  await closeTally(platform, runRef, batches);
  await deployment.reached?.('plan:closed');
}

const loggedPacks = 100;

/** Lists until the source is done or the deadline has passed. `ended`: the run is no longer open. */
async function listSource(
  deployment: Deployment,
  runRef: RunRef,
  from: Step,
  head: BackupChainState['newestRestorePoint'],
  until: Until,
): Promise<Step | 'overtaken' | 'ended'> {
  const { platform, limits = defaultLimits } = deployment;
  const keys = await vaultKeys(platform, runRef.account);
  const source = await accessSource(deployment, runRef);
  const lost = head ? await findLostPacks(platform, runRef.account, limits.packCheckMs) : [];
  let step = from;
  let outcome: 'overtaken' | 'ended' | undefined;

  async function advance(next: PlanStep): Promise<boolean> {
    await deployment.reached?.('plan:listed');
    const moved = await moveStep(deployment, runRef, { ...step, packsLost: lost.length }, next);
    if (typeof moved === 'string') outcome = moved;
    else step = moved;
    if (outcome) return false;
    if (step.done && step.filesLost > 0) {
      const { runId } = runRef;
      const packs = lost.slice(0, loggedPacks).join(' ');
      platform.log.error('packs are lost, so the run reads their files again', { runId, lost: lost.length, packs });
    }
    await deployment.reached?.('plan:advanced');
    await sendPending(platform, runRef, step);
    await deployment.reached?.('plan:sent');
    return platform.now() <= until.deadline;
  }

  const { cursor } = step;
  const position = cursor === null ? null : { where: cursor, bytes: await loadWork(platform, runRef, cursor) };
  const base = step.isBaseDamaged ? null : (head?.manifest ?? null);
  const idIndex = head?.idIndex ?? null;
  const { isFull, batches } = step;
  const request = { runRef, keys, source, head, base, idIndex, isFull, lost, position, batches, limits };
  try {
    await whileOpen(platform, runRef, (stop) => engineOf(deployment).plan(request, { advance }, stop));
  } catch (error) {
    if (error instanceof RunCancelled) return 'ended';
    const { runId } = runRef;
    if (error instanceof SourceProblem && error.code === 'reset' && step.restarts < maxRestarts) {
      platform.log.warn('everything is listed again', { runId, reason: error.message });
      return (await restart(platform, runRef, step, { isFull: true })) ?? 'overtaken';
    }
    if (!(error instanceof VaultDamage) || base === null) throw error;
    platform.log.error('the last restore point is damaged, so everything is read again', { runId }, error);
    return (await restart(platform, runRef, step, { isBaseDamaged: true })) ?? 'overtaken';
  }
  return outcome ?? step;
}

/** Checks that the packs are there, unless they were checked recently. Lost ones are always checked. */
async function findLostPacks(platform: Platform, account: string, maxAgeMs: number): Promise<string[]> {
  const { records, blobs } = platform;
  const key = { pk: `packs-checked/${account}`, sk: 'at' };
  const checkedAt = maxAgeMs > 0 ? Number((await records.get(key))?.data.at ?? 0) : 0;
  // The clock may have been set back.
  if (Math.abs(platform.now() - checkedAt) >= maxAgeMs) {
    await checkPacks({ account, records, blobs }, platform.now());
    if (maxAgeMs > 0) await records.write([{ op: 'put', ...key, data: { at: platform.now() } }]);
  }
  return [...(await lostPacks({ account, records, blobs }, platform.now()))];
}

/** Most concurrent workers finish within this time. If one has died, the run waits no longer than this. */
const retrySeconds = 60;

/**
 * Sends the plan task once more, with a delay. The concurrent worker may die, and no other message may be left.
 */
function planLater(platform: Platform, runRef: RunRef): Promise<void> {
  const body: Task = { type: 'plan', ...runRef };
  return platform.queue.send('job', [{ body, delaySeconds: retrySeconds }]);
}

/**
 * Saves the lists under names of this attempt, then the step that names them. A crash in between leaves unused records.
 */
async function moveStep(
  { platform, reached }: Deployment,
  runRef: RunRef,
  from: Step,
  { batches, position, count, since, sourceIdentity, hasPieces, done }: PlanStep,
): Promise<Step | 'overtaken' | 'ended'> {
  await Promise.all([position, ...batches].map((saved) => saveWork(platform, runRef, saved)));
  await reached?.('plan:saved');
  // Looks after the save: if the run ends later, its end removes the lists.
  if (!(await isOpen(platform, runRef))) return 'ended';
  const step: Step = {
    ...from,
    step: from.step + 1,
    batches: from.batches + batches.length,
    ...{ ...count, since, sourceIdentity, done, hasPieces: from.hasPieces || hasPieces },
    cursor: position.where,
    pending: batches.map(({ batch, where }) => ({ batch, work: where })),
  };
  return (await writeStep(platform, runRef, from, step)) ?? 'overtaken';
}

/** A source that keeps asking for a new listing must not keep the run for ever. */
const maxRestarts = 3;

/** Starts the listing again: without the damaged restore point, or in full. Batches so far no longer count. */
function restart(
  platform: Platform,
  runRef: RunRef,
  from: Step,
  how: Partial<Pick<Step, 'isBaseDamaged' | 'isFull'>>,
): Promise<Step | undefined> {
  const start = { cursor: null, filesTotal: 0, filesUnchanged: 0, bytesTotal: 0, filesLost: 0, pending: [] };
  const next = { step: from.step + 1, first: from.batches + 1, restarts: from.restarts + 1 };
  const step = { ...from, ...start, ...how, ...next };
  return writeStep(platform, runRef, from, step);
}

async function writeStep(platform: Platform, runRef: RunRef, from: Step, step: Step): Promise<Step | undefined> {
  const moved = await platform.records.write([
    {
      op: 'put',
      ...runRecord(runRef, 'plan'),
      data: step as JsonObject,
      expiresAt: expiry(platform),
      if: from.step === 0 ? 'absent' : { equals: { step: from.step } },
    },
  ]);
  return moved ? step : undefined;
}

/** Records the batches for the sweeper, then sends them. Sending one twice is harmless: the first part counts. */
async function sendPending(platform: Platform, runRef: RunRef, step: Step): Promise<void> {
  await platform.records.putMany(
    step.pending.map((pending) => ({
      ...runRecord(runRef, `batch-${pending.batch}`),
      data: pending,
      expiresAt: expiry(platform),
    })),
  );
  await send(
    platform,
    step.pending.map(({ batch, work }): Task => ({ type: 'store', ...runRef, batch, work })),
  );
}
