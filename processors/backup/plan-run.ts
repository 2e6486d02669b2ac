/**
 * The task `plan`: the engine lists the source, compares it with the last manifest and makes batches of work. Each step
 * saves the batches and the position of the listing in one transaction, so a crash resumes there. A run of at most one
 * small batch is stored and committed at once.
 */
import { SourceProblem } from '../../connectors/connector.ts';
import type { BackupChainState } from '../../domain/backup-chain.ts';
import type { JsonObject, Platform, RecordWrite } from '../../domain/ports.ts';
import type { BatchBytes } from '../../domain/run.ts';
import type { Outcome, Task, TaskKind } from '../../tasks/task.ts';
import { readGroup } from '../../tasks/task-records.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { checkPacks, lostPacks } from '../../vault/pack-registry.ts';
import type { Deployment } from '../deployment.ts';
import { defaultLimits } from '../limits.ts';
import { commitPlanned, planRecord, type RunPlan } from './commit-run.ts';
import type { PlanRequest, PlanStep } from './engine.ts';
import { failRun, leaveRun, retryOf } from './fail-run.ts';
import { engineOf } from './in-thread-engine.ts';
import { accessSource } from './open-source.ts';
import { expiry, loadOpen, progressWrite, type RunRef, type RunState, runRecord, runRefOf, vaultKeys } from './run.ts';
import { type BatchRecord, makePart, type StoredBatch } from './store-batch.ts';
import { loadWork, type Saved, saveWork } from './work.ts';

/** `cursor` names the encrypted record with the listing position and the work that is not in a batch yet. */
export type PlanState = RunState & {
  batches?: number;
  filesTotal?: number;
  filesUnchanged?: number;
  bytesTotal?: number;
  filesLost?: number;
  /** Lost packs of the account, of which some may not matter to this job. */
  packsLost?: number;
  cursor?: string | null;
  /** The first batch that counts. It is above 1 if the plan started again. */
  first?: number;
  /** The last restore point is damaged, and everything is read again. */
  isBaseDamaged?: boolean;
  /** Changes alone cannot be used, so everything is listed. */
  isFull?: boolean;
  /** How often the plan started again. */
  restarts?: number;
  /** Whether the listing was sorted in pieces, which are blobs. */
  hasPieces?: boolean;
};

type PlanTask = Task<PlanState>;

export const planKind: TaskKind<Deployment, PlanState> = {
  name: 'plan',
  v: 1,
  queue: 'job',
  step: planRun,
  onError: retryOf,
  fail: failRun,
  leave: leaveRun,
};

/** Listing pauses while more batches than this wait to be stored, and goes on at half of it. */
const maxBacklog = 200;
/** A source that keeps asking for a new listing must not keep the run for ever. */
const maxRestarts = 3;

async function planRun(deployment: Deployment, task: PlanTask): Promise<Outcome<PlanState>> {
  const { platform } = deployment;
  const runRef = runRefOf(task.ref, task.state);
  const chain = await loadOpen(platform, runRef);
  // The run was cancelled, or a late message started it after its end. Workers may still have batches of it.
  if (!chain) return { type: 'done', set: { isCancelled: true } };
  await deployment.reached?.('plan:started');
  const group = (task.state.batches ?? 0) > 0 ? await readGroup(platform.records, task.ref) : undefined;
  if (group && group.ready - group.done > maxBacklog / 2)
    return { type: 'again', state: task.state, backlog: maxBacklog / 2 };
  try {
    return await listSource(deployment, task, runRef, chain);
  } catch (error) {
    const { state } = task;
    const { runId } = runRef;
    if (error instanceof SourceProblem && error.code === 'reset' && (state.restarts ?? 0) < maxRestarts) {
      platform.log.warn('everything is listed again', { runId, reason: error.message });
      return { type: 'again', state: restarted(task, { isFull: true }) };
    }
    if (!(error instanceof VaultDamage) || state.isBaseDamaged || !chain.newestRestorePoint) throw error;
    platform.log.error('the last restore point is damaged, so everything is read again', { runId }, error);
    return { type: 'again', state: restarted(task, { isBaseDamaged: true }) };
  }
}

/** Starts the listing again: without the damaged restore point, or in full. Batches so far no longer count. */
function restarted({ state }: PlanTask, how: Pick<PlanState, 'isBaseDamaged' | 'isFull'>): PlanState {
  const { jobId, sourceId, batches = 0, restarts = 0, isBaseDamaged = false, isFull = false } = state;
  return {
    ...{ jobId, sourceId, batches, isBaseDamaged, isFull },
    ...how,
    first: batches + 1,
    restarts: restarts + 1,
  };
}

/** Lists until the source is done or the slice is over. */
async function listSource(
  deployment: Deployment,
  task: PlanTask,
  runRef: RunRef,
  { newestRestorePoint: head, openRun }: BackupChainState,
): Promise<Outcome<PlanState>> {
  const { platform, limits = defaultLimits } = deployment;
  const keys = await vaultKeys(platform, runRef.account);
  const source = await accessSource(deployment, runRef);
  const lost = head ? await findLostPacks(platform, runRef.account, limits.packCheckMs) : [];
  let state = task.state;
  let last: PlanStep | undefined;
  let inline: (Saved & { batch: number }) | undefined;

  async function advance(next: PlanStep): Promise<boolean> {
    await deployment.reached?.('plan:listed');
    last = next;
    const before = state.batches ?? 0;
    const { count, position, hasPieces } = next;
    const moved: PlanState = {
      ...state,
      ...count,
      batches: before + next.batches.length,
      packsLost: lost.length,
      cursor: position.where,
      hasPieces: (state.hasPieces ?? false) || hasPieces,
    };
    // An attempt goes on from the checkpoints of an earlier one only if the batch is saved.
    const isSmall = next.batches.length <= 1 && count.bytesTotal < limits.checkpointBytes;
    if (next.done && before === 0 && isSmall && !task.isCautious) {
      [inline] = next.batches;
      state = moved;
      return false;
    }
    const saved = next.done ? next.batches : [position, ...next.batches];
    await Promise.all(saved.map((each) => saveWork(platform, runRef, each)));
    await deployment.reached?.('plan:saved');
    if (next.done) {
      // A listing cannot go on from its end, so the last step is saved with the end of the task.
      state = moved;
      return false;
    }
    await task.checkpoint(moved, {
      ...(next.batches.length > 0 && { add: { ready: next.batches.length } }),
      writes: [...batchWrites(platform, runRef, next, state.counted), planned(platform, runRef, count, false)],
    });
    state = moved;
    task.state = moved;
    await deployment.reached?.('plan:advanced');
    return !task.isOver() && !(await isFarAhead(platform, task));
  }

  const { cursor = null, batches = 0, isFull = false } = state;
  const request: PlanRequest = {
    ...{ runRef, keys, source, head, isFull, lost, batches, limits },
    base: state.isBaseDamaged ? null : (head?.manifest ?? null),
    idIndex: head?.idIndex ?? null,
    retryOf: openRun?.retryOf,
    position: cursor === null ? null : { where: cursor, bytes: await loadWork(platform, runRef, cursor) },
  };
  await engineOf(deployment).plan(request, { advance }, task.stop);
  if (!last?.done) {
    const isAhead = await isFarAhead(platform, task);
    return { type: 'again', state, ...(isAhead && { backlog: maxBacklog / 2 }) };
  }
  if ((state.filesLost ?? 0) > 0) {
    const packs = lost.slice(0, loggedPacks).join(' ');
    const fields = { runId: runRef.runId, lost: lost.length, packs };
    platform.log.error('packs are lost, so the run reads their files again', fields);
  }
  const plan = planOf(state, last, head?.at);
  if (!inline && plan.batches > 0) {
    await deployment.reached?.('plan:planned');
    const write = planned(platform, runRef, last.count, true);
    const writes = [...batchWrites(platform, runRef, last, state.counted), planRecord(platform, runRef, plan), write];
    return { type: 'done', set: { stage: 'children' }, add: { ready: last.batches.length }, writes };
  }
  return storeAtOnce(deployment, task, runRef, plan, inline);
}

const loggedPacks = 100;

async function isFarAhead(platform: Platform, { ref }: PlanTask): Promise<boolean> {
  const group = await readGroup(platform.records, ref);
  return group !== undefined && group.ready - group.done > maxBacklog;
}

/** Stores and commits a run of at most one batch. If that takes too long, the batch becomes a task. */
async function storeAtOnce(
  deployment: Deployment,
  task: PlanTask,
  runRef: RunRef,
  plan: RunPlan,
  batch: Saved | undefined,
): Promise<Outcome<PlanState>> {
  const { platform } = deployment;
  let stored: StoredBatch | undefined;
  if (batch) {
    const made = await makePart(deployment, task, runRef, {
      number: 1,
      work: batch,
      progress: planFields(plan, true),
    });
    if ('paused' in made) {
      await saveWork(platform, runRef, batch);
      const write = planned(platform, runRef, plan, true);
      const record = batchWrite(platform, runRef, 1, batch.where, task.state.counted);
      const writes = [planRecord(platform, runRef, plan), write, record];
      return { type: 'done', set: { stage: 'children' }, add: { ready: 1 }, writes };
    }
    stored = made;
  }
  // The part is only in memory, so this commit cannot go on in another slice.
  const whole = { stop: task.stop, isOver: () => false };
  await commitPlanned(deployment, whole, runRef, plan, stored ? new Map([[1, stored]]) : new Map());
  return { type: 'done', endsGroup: true };
}

/** `counted`: of the first batch, from an attempt to store it without a task. */
function batchWrites(
  platform: Platform,
  runRef: RunRef,
  { batches }: PlanStep,
  counted: BatchBytes | undefined,
): RecordWrite[] {
  return batches.map(({ batch, where }) =>
    batchWrite(platform, runRef, batch, where, batch === 1 ? counted : undefined),
  );
}

function batchWrite(
  platform: Platform,
  runRef: RunRef,
  batch: number,
  work: string,
  counted: BatchBytes | undefined,
): RecordWrite {
  const data: BatchRecord = { batch, work, ...(counted && { counted }) };
  return { op: 'put', ...runRecord(runRef, `batch-${batch}`), data, expiresAt: expiry(platform) };
}

type Planned = Pick<RunPlan, 'filesTotal' | 'filesUnchanged' | 'bytesTotal'>;

function planned(platform: Platform, runRef: RunRef, count: Planned, isPlanned: boolean): RecordWrite {
  return progressWrite(platform, runRef, { set: planFields(count, isPlanned) });
}

function planFields({ filesTotal, filesUnchanged, bytesTotal }: Planned, isPlanned: boolean): JsonObject {
  return { filesTotal, filesUnchanged, bytesTotal, isPlanned };
}

function planOf(
  state: PlanState,
  { count, since, sourceIdentity, settings }: PlanStep,
  damagedAt: string | undefined,
): RunPlan {
  const { batches = 0, first = 1, isBaseDamaged = false, hasPieces = false, packsLost = 0 } = state;
  const { filesTotal, filesUnchanged, bytesTotal, filesLost } = count;
  return {
    ...{ batches, first, filesTotal, filesUnchanged, bytesTotal, since, sourceIdentity, settings },
    ...{ isBaseDamaged, hasPieces },
    damagedAt: isBaseDamaged ? (damagedAt ?? null) : null,
    lost: filesLost > 0 ? { files: filesLost, packs: packsLost } : null,
  };
}

/** Checks that the packs are there, unless they were checked recently. Lost ones are always checked. */
async function findLostPacks(platform: Platform, account: string, maxAgeMs: number): Promise<string[]> {
  const { records, blobs } = platform;
  const key = { pk: `packs-checked/${account}`, sk: 'at' };
  const checkedAt = maxAgeMs > 0 ? Number((await records.get(key))?.data.at ?? 0) : 0;
  // The clock may have been set back.
  if (Math.abs(platform.now() - checkedAt) >= maxAgeMs) {
    await checkPacks({ account, records, blobs }, platform.now());
    if (maxAgeMs > 0) await records.write([{ op: 'put', ...key, data: { at: platform.now() } as JsonObject }]);
  }
  return [...(await lostPacks({ account, records, blobs }, platform.now()))];
}
