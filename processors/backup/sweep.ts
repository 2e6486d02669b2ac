/** Revives runs that have stopped, and deletes expired exports. Safe at any time, because every step can repeat. */
import { allOf, pagesOf } from '../../domain/pages.ts';
import type { Platform } from '../../domain/ports.ts';
import { removeExpiredExports } from '../../vault/exports.ts';
import type { Deployment } from '../deployment.ts';
import { failRun, finishEndedRun } from './fail-run.ts';
import { loadRun, type RunRef, runRecord, send, type Task } from './run.ts';
import { readStep } from './step.ts';
import { commitIfComplete } from './tally.ts';
import { openRuns, signsOfLife, type Watched } from './watch.ts';
import { clearRun } from './work.ts';

/** A run is checked when nothing has changed for this time, and fails after this many checks without a change. */
const quietMs = 60 * 60_000;
const maxChecks = 24;

/** An error at one run or export does not stop the others. The first error is thrown at the end. */
export async function sweep(deployment: Deployment): Promise<void> {
  const errors: unknown[] = [];
  const failed = (error: unknown) => void errors.push(error);
  await sweepRuns(deployment, failed).catch(failed);
  await removeExpiredExports(deployment.platform).catch(failed);
  if (errors.length > 0) throw errors[0];
}

/** Sends messages again that may have been lost. */
async function sweepRuns(deployment: Deployment, failed: (error: unknown) => void): Promise<void> {
  const { platform } = deployment;
  for await (const { data } of allOf((page) => platform.records.query(openRuns, page))) {
    const run = data as Watched;
    if (platform.now() - run.quietSince >= quietMs) await look(deployment, run).catch(failed);
  }
}

async function look(deployment: Deployment, watched: Watched): Promise<void> {
  const { platform } = deployment;
  const { quietSince: _, checks: before, seen, ...runRef } = watched;
  const { run, backupChain } = await loadRun(platform, runRef);
  if (run.status === 'finished') return clearRun(platform, runRef);
  if (backupChain.openRun?.runId !== runRef.runId) await finishEndedRun(deployment, runRef);
  const now = await progressOf(platform, runRef);
  const checks = now === seen ? before + 1 : 1;
  if (checks > maxChecks) {
    await failRun(deployment, runRef, {
      code: 'stalled',
      message: 'The run made no progress for a day. Run the job again.',
    });
    return;
  }
  const next: Watched = { ...runRef, quietSince: platform.now(), checks, seen: now };
  await platform.records.write([{ op: 'put', pk: openRuns, sk: runRef.runId, data: next, if: 'present' }]);
  if (now !== seen && seen !== '') return;
  platform.log.warn('reviving a run without progress', { runId: runRef.runId, checks });
  platform.log.measure({ RunsStalled: 1 });
  if (run.status === 'none' || !run.planned) await send(platform, [{ type: 'plan', ...runRef }]);
  await sendMissing(platform, runRef);
  await commitIfComplete(platform, runRef);
}

/** A text that changes whenever the run makes progress. */
async function progressOf(platform: Platform, runRef: RunRef): Promise<string> {
  const [step, tally, signs] = await Promise.all([
    readStep(platform, runRef),
    platform.records.get(runRecord(runRef, 'tally')),
    signsOfLife(platform, runRef),
  ]);
  return `${step.step}/${tally?.data.stored ?? 0}/${signs}`;
}

async function sendMissing(platform: Platform, runRef: RunRef): Promise<void> {
  const { pk } = runRecord(runRef, '');
  for await (const page of pagesOf((page) => platform.records.query(pk, { prefix: 'batch-', ...page }), 100)) {
    const batches = page.map(({ data }) => data as { batch: number; work: string });
    const stored = await platform.records.getMany(batches.map(({ batch }) => runRecord(runRef, `stored-${batch}`)));
    const done = new Set(stored.map(({ sk }) => sk));
    const missing = batches.filter(({ batch }) => !done.has(`stored-${batch}`));
    await send(
      platform,
      missing.map(({ batch, work }): Task => ({ type: 'store', ...runRef, batch, work })),
    );
  }
}
