/**
 * The task `commit`: merges a run's parts into a new manifest and appends its restore point to the backup chain. That
 * append ends the run.
 */
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { backupChain, createRestorePoint } from '../../domain/backup-chain.ts';
import type { JsonObject, Platform, RecordWrite } from '../../domain/ports.ts';
import { type BatchCounts, type Cost, progressKey, type RunError } from '../../domain/run.ts';
import type { Outcome, Task, TaskKind } from '../../tasks/task.ts';
import type { Deployment } from '../deployment.ts';
import { metered } from '../meter.ts';
import { failRun, leaveRun, retryOf } from './fail-run.ts';
import { engineOf } from './in-thread-engine.ts';
import { measureEnd } from './measure-end.ts';
import { commitRecord } from './merge-parts.ts';
import { loadPart } from './parts.ts';
import {
  backupChainStream,
  expiry,
  idsOf,
  loadOpen,
  type RunRef,
  type RunState,
  runRecord,
  runRefOf,
  vaultKeys,
} from './run.ts';
import type { StoredBatch } from './store-batch.ts';
import { loadWork, removeWork, type Saved, saveWork } from './work.ts';

export const commitKind: TaskKind<Deployment, RunState> = {
  name: 'commit',
  v: 1,
  queue: 'job',
  step: commitRun,
  onError: retryOf,
  fail: failRun,
  leave: leaveRun,
};

/**
 * What a plan found. `first`: the number of the first batch that counts. `isBaseDamaged`: the last restore point, of
 * the time `damagedAt`, is damaged, and everything is read again. `lost`: files that are read again because their packs
 * are lost, and all lost packs. `since` and `sourceIdentity`: see BackupChainState. `settings`: a hash
 * of the settings of the source.
 */
export type RunPlan = {
  batches: number;
  first: number;
  filesTotal: number;
  filesUnchanged: number;
  bytesTotal: number;
  since: string | null;
  sourceIdentity: string | null;
  settings: string;
  isBaseDamaged: boolean;
  damagedAt: string | null;
  lost: { files: number; packs: number } | null;
  hasPieces: boolean;
};

const planName = 'plan';

export function planRecord(platform: Platform, runRef: RunRef, plan: RunPlan): RecordWrite {
  return { op: 'put', ...runRecord(runRef, planName), data: plan as JsonObject, expiresAt: expiry(platform) };
}

async function commitRun(deployment: Deployment, task: Task<RunState>): Promise<Outcome<RunState>> {
  const { platform } = deployment;
  const runRef = runRefOf(task.ref, task.state);
  const plan = (await platform.records.get(runRecord(runRef, planName)))?.data as RunPlan | undefined;
  if (!plan) throw new Error(`The plan of run ${runRef.runId} is missing.`);
  const outcome = await commitPlanned(deployment, task, runRef, plan, new Map());
  return outcome === 'paused' ? { type: 'again', state: task.state } : { type: 'done', endsGroup: true };
}

/** Commits a run, unless it has ended. `stored`: the parts that are not saved. Idempotent. */
export async function commitPlanned(
  deployment: Deployment,
  task: Pick<Task<never>, 'stop' | 'isOver'>,
  runRef: RunRef,
  plan: RunPlan,
  stored: Map<number, StoredBatch>,
): Promise<'paused' | 'ended'> {
  const meter = metered(deployment.platform, deployment.prices);
  const { platform } = meter;
  const chain = await loadOpen(platform, runRef);
  if (chain) {
    const { newestRestorePoint: head } = chain;
    const at = new Date(platform.now()).toISOString();
    const isSaved = stored.size === 0 && plan.batches > 0;
    const resume = isSaved && (await platform.records.get(runRecord(runRef, commitRecord)));
    const request = {
      ...{ runRef, at, first: plan.first, last: plan.batches, settings: plan.settings },
      base: plan.isBaseDamaged ? null : (head?.manifest ?? null),
      ids: plan.since === null ? null : { last: head?.idIndex ?? null },
      keys: await vaultKeys(platform, runRef.account),
      resume: resume ? { where: commitRecord, bytes: await loadWork(platform, runRef, commitRecord) } : null,
    };
    let sums = noSums;
    const part = async (batch: number) => {
      const inHand = stored.get(batch);
      const { record, bytes } = inHand
        ? { record: inHand, bytes: inHand.part }
        : await loadPart(platform, runRef, batch);
      sums = addTo(sums, { ...record.counts, ...record.cost });
      return bytes;
    };
    const checkpoint = (saved: Saved) => saveWork(platform, runRef, saved);
    const calls = { part, checkpoint, isOver: () => task.isOver() };
    const result = await engineOf({ ...deployment, platform }).commit(request, calls, task.stop);
    if ('paused' in result) return 'paused';
    await deployment.reached?.('commit:manifest-written');
    const { manifest, totals, idIndex } = result;
    const errors = [...result.errors];
    if (plan.lost) errors.unshift(packsLost(plan.lost));
    if (plan.isBaseDamaged) errors.unshift(baseDamaged(plan.damagedAt, sums.filesFailed));
    sums = addTo(sums, { bytesStored: result.bytesStored, ...meter.cost() });
    const { requests, usd, ...counts } = sums;
    const progress = (await platform.records.get(progressKey(runRef.account, runRef.runId)))?.data;
    const end = {
      startedAt: typeof progress?.startedAt === 'string' ? progress.startedAt : at,
      counts: { filesTotal: plan.filesTotal, filesUnchanged: plan.filesUnchanged, ...counts },
      cost: { requests, usd },
    };
    const outcome = sums.filesFailed > 0 ? 'partial' : 'succeeded';
    const { since, sourceIdentity } = plan;
    const restorePoint = createRestorePoint(idsOf(runRef), {
      ...{ outcome, manifest, totals, at, errors, errorPages: result.errorPages, ...end },
      ...(idIndex ? { since, idIndex } : { since: null }),
      ...(sourceIdentity !== null && { sourceIdentity }),
    });
    const context = systemContext(runRef.account, 'commit-run', runRef.runId, runRef.runId);
    const { appended } = await transact(platform, backupChain, backupChainStream(runRef), restorePoint, context);
    await deployment.reached?.('commit:committed');
    if (appended) measureEnd(platform, outcome, end);
  }
  if (plan.hasPieces || (plan.batches > 0 && stored.size === 0)) await removeWork(platform, runRef);
  return 'ended';
}

type Sums = BatchCounts & Cost;

const noSums: Sums = {
  ...{ filesDone: 0, filesDeleted: 0, filesFailed: 0, filesSkipped: 0, bytesRead: 0, bytesStored: 0 },
  ...{ requests: 0, usd: 0 },
};

function addTo(sums: Sums, more: { [field in keyof Sums]?: number }): Sums {
  const added = Object.entries(sums).map(([field, sum]) => [field, sum + (more[field as keyof Sums] ?? 0)]);
  return Object.fromEntries(added);
}

function baseDamaged(at: string | null, failed: number): RunError {
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
