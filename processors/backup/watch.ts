/** The list of open runs, for the sweeper. */
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

/** The sweeper checks a run after one hour without a change. */
const heartbeatMs = 10 * 60_000;

/** The run was cancelled or has ended, so its content is no longer needed. */
export class RunCancelled extends Error {}

/** Whether the run is still the open run of its backup chain. */
export async function isOpen(platform: Platform, runRef: RunRef): Promise<boolean> {
  return (await load(platform, backupChain, backupChainStream(runRef))).state.openRun?.runId === runRef.runId;
}

/**
 * Passes content on and notes every 10 minutes that the run is alive. Nothing else of a run changes while one large
 * file is read for hours.
 * @throws RunCancelled within 10 minutes after the run was cancelled
 */
export function noteAlive(
  platform: Platform,
  runRef: RunRef,
): (content: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array> {
  let noted = platform.now();
  return async function* (content) {
    for await (const piece of content) {
      if (Math.abs(platform.now() - noted) >= heartbeatMs) {
        noted = platform.now();
        await platform.records.add(aliveRecord(runRef), { signs: 1 }, expiry(platform));
        if (!(await isOpen(platform, runRef))) throw new RunCancelled(`run ${runRef.runId} is over`);
      }
      yield piece;
    }
  };
}

/** How often the run was noted as alive. */
export async function signsOfLife(platform: Platform, runRef: RunRef): Promise<number> {
  return Number((await platform.records.get(aliveRecord(runRef)))?.data.signs ?? 0);
}

const aliveRecord = (runRef: RunRef) => runRecord(runRef, 'alive');
