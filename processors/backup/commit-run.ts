/**
 * Merges a run's parts into a new manifest and appends its restore point to the backup chain. That append commits the
 * run. The run's own RunFinished follows from it. A repeat appends it, should a crash come in between.
 */
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { type BackupChainEvent, backupChain, createRestorePoint } from '../../domain/backup-chain.ts';
import { displayPath, type Refusal } from '../../domain/entry.ts';
import type { Platform } from '../../domain/ports.ts';
import { type Cost, type Counts, finishRun, type RunError, run } from '../../domain/run.ts';
import type { VaultKeys } from '../../vault/keys.ts';
import { type Change, writeManifest } from '../../vault/manifest.ts';
import { changesOfPart, type Part } from '../../vault/part.ts';
import { openManifest } from '../../vault/reader.ts';
import { errorsPerPage, putErrors } from '../../vault/run-errors.ts';
import type { Deployment } from '../deployment.ts';
import { addCosts, metered } from '../meter.ts';
import { finishEndedRun } from './fail-run.ts';
import { measureRun } from './measure-run.ts';
import { readParts } from './parts.ts';
import { backupChainStream, idsOf, loadRun, type RunRef, runStream, vaultKeys } from './run.ts';
import { findRunEnd } from './run-end.ts';
import { unwatchRun } from './watch.ts';

type Plan = {
  batches: number;
  filesTotal: number;
  filesUnchanged: number;
  since: string | null;
  sourceIdentity?: string;
};
type RestorePoint = Extract<BackupChainEvent, { type: 'RestorePointCreated' }>['data'];

export async function commitRun(deployment: Deployment, runRef: RunRef): Promise<void> {
  const meter = metered(deployment.platform, deployment.prices);
  const { platform } = meter;
  const state = await loadRun(platform, runRef);
  if (state.run.status === 'finished') return unwatchRun(platform, runRef);
  if (state.run.status !== 'running' || !state.run.planned) return;
  const plan = state.run.planned;
  const keys = await vaultKeys(platform, runRef.account);
  const sums = await sumParts(platform, keys, runRef, plan);
  await deployment.reached?.('commit:summed');

  if (state.backupChain.openRun?.runId === runRef.runId) {
    const ctx = { account: runRef.account, keys, blobs: platform.blobs };
    const base = state.backupChain.newestRestorePoint
      ? await openManifest(ctx, state.backupChain.newestRestorePoint.manifest)
      : undefined;
    const at = new Date(platform.now()).toISOString();
    const written = await writeManifest({
      ...ctx,
      random: platform.random,
      runId: runRef.runId,
      at,
      ...(base ? { base } : {}),
      changes: changes(readParts(platform, keys, runRef, plan.batches)),
    });
    await deployment.reached?.('commit:manifest-written');
    const outcome = sums.counts.filesFailed > 0 ? 'partial' : 'succeeded';
    const result = {
      outcome,
      manifest: written.manifest,
      totals: written.totals,
      since: plan.since,
      sourceIdentity: plan.sourceIdentity,
      at,
    } as const;
    await transact(
      platform,
      backupChain,
      backupChainStream(runRef),
      createRestorePoint(idsOf(runRef), result),
      cause(runRef),
    );
    await deployment.reached?.('commit:committed');
  }
  const end = await findRunEnd(platform, runRef);
  if (end?.type !== 'RestorePointCreated') return finishEndedRun(deployment, runRef);
  await finish(platform, runRef, end.data, sums, meter, state.backupChain.openRun?.requestedAt);
  await deployment.reached?.('commit:finished');
  await unwatchRun(platform, runRef);
}

const cause = (runRef: RunRef) => systemContext(runRef.account, 'commit-run', runRef.runId, runRef.runId);

/** `errors` holds the first errors. When there are more, `errorPages` pages of blobs hold all of them. */
type Sums = { counts: Counts; cost: Cost; errors: RunError[]; errorPages: number };

/** Adds up the counts, costs and errors of all parts. */
async function sumParts(platform: Platform, keys: VaultKeys, runRef: RunRef, plan: Plan): Promise<Sums> {
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
  const sums: Sums = { counts, cost: { requests: 0, usd: 0 }, errors: [], errorPages: 0 };
  const vault = { account: runRef.account, keys, blobs: platform.blobs };
  let page: RunError[] = [];
  for await (const { part, counts: partCounts, cost } of readParts(platform, keys, runRef, plan.batches)) {
    for (const field of Object.keys(partCounts) as (keyof typeof partCounts)[]) counts[field] += partCounts[field];
    sums.cost = addCosts([sums.cost, cost]);
    page.push(...[...part.failed, ...part.skipped].map(asError));
    if (sums.errorPages === 0) sums.errors = firstErrors(page);
    for (; page.length >= errorsPerPage; page = page.slice(errorsPerPage)) {
      await putErrors(vault, runRef.runId, sums.errorPages++, page.slice(0, errorsPerPage));
    }
  }
  if (page.length > 0 && (sums.errorPages > 0 || page.length > sums.errors.length)) {
    await putErrors(vault, runRef.runId, sums.errorPages++, page);
  }
  return sums;
}

function asError({ key, code, message }: Refusal): RunError {
  return { path: displayPath(key).path, code, message };
}

async function* changes(parts: AsyncIterable<{ part: Part }>): AsyncGenerator<Change> {
  for await (const { part } of parts) yield* changesOfPart(part);
}

async function finish(
  platform: Platform,
  runRef: RunRef,
  restorePoint: RestorePoint,
  sums: Sums,
  meter: { cost(): Cost; bytesStored(): number },
  requestedAt: string | undefined,
): Promise<void> {
  const data = {
    ...idsOf(runRef),
    outcome: restorePoint.outcome,
    counts: { ...sums.counts, bytesStored: sums.counts.bytesStored + meter.bytesStored() },
    cost: addCosts([sums.cost, meter.cost()]),
    manifest: restorePoint.manifest,
    totals: restorePoint.totals,
    reason: null,
    errors: sums.errors,
    errorPages: sums.errorPages,
  };
  const { appended } = await transact(platform, run, runStream(runRef), finishRun(data), cause(runRef));
  if (appended) measureRun(platform, data, requestedAt);
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
