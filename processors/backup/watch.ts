/** The list of open runs, for the sweeper, and signs that a run is alive. */
import { load } from '../../activity/store.ts';
import { backupChain } from '../../domain/backup-chain.ts';
import type { Platform } from '../../domain/ports.ts';
import { backupChainStream, expiry, type RunRef, runRecord } from './run.ts';

export const openRuns = 'open-runs';

export type Watched = RunRef & { quietSince: number; checks: number; seen: string };

export async function watchRun(platform: Platform, runRef: RunRef): Promise<void> {
  const data: Watched = { ...runRef, quietSince: platform.now(), checks: 0, seen: '' };
  await platform.records.write([{ op: 'put', pk: openRuns, sk: runRef.runId, data, if: 'absent' }]);
}

export async function unwatchRun(platform: Platform, runRef: RunRef): Promise<void> {
  await platform.records.write([{ op: 'delete', pk: openRuns, sk: runRef.runId }]);
}

/** The run was cancelled or has ended, so its content is no longer needed. */
export class RunCancelled extends Error {}

/** Whether the run is still the open run of its backup chain. */
export async function isOpen(platform: Platform, runRef: RunRef): Promise<boolean> {
  return (await load(platform, backupChain, backupChainStream(runRef))).state.openRun?.runId === runRef.runId;
}

/** How often a long piece of work looks whether its run was cancelled. */
const checkMs = 10_000;
/** How often it notes that the run is alive. The sweeper checks a run after one hour without a change. */
const noteMs = 10 * 60_000;

/**
 * Does the work with a signal that aborts with RunCancelled when the run is no longer open. It notes every 10 minutes
 * that the run is alive, because nothing else of a run changes while one large file is read for hours.
 */
export async function whileOpen<T>(
  platform: Platform,
  runRef: RunRef,
  work: (stop: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  let noted = platform.now();
  const check = async () => {
    if (!(await isOpen(platform, runRef))) stop.abort(new RunCancelled(`run ${runRef.runId} is over`));
    if (Math.abs(platform.now() - noted) < noteMs) return;
    noted = platform.now();
    await platform.records.add(aliveRecord(runRef), { signs: 1 }, expiry(platform));
  };
  const timer = setInterval(
    () => check().catch((error) => platform.log.warn('a run could not be checked', { reason: String(error) })),
    checkMs,
  );
  try {
    return await work(stop.signal);
  } finally {
    clearInterval(timer);
  }
}

/** How often the run was noted as alive. */
export async function signsOfLife(platform: Platform, runRef: RunRef): Promise<number> {
  return Number((await platform.records.get(aliveRecord(runRef)))?.data.signs ?? 0);
}

const aliveRecord = (runRef: RunRef) => runRecord(runRef, 'alive');
