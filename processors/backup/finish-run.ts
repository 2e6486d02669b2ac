/** The end of a run in its own stream, and its metrics for dashboards and alarms. */
import { transact } from '../../activity/store.ts';
import type { CommandContext } from '../../commands/context.ts';
import type { Platform } from '../../domain/ports.ts';
import { type Counts, finishRun, type RunEvent, run } from '../../domain/run.ts';
import { idsOf, type RunRef, runStream } from './run.ts';
import type { Sums } from './tally.ts';

const outcomes = {
  succeeded: 'RunsSucceeded',
  partial: 'RunsPartial',
  failed: 'RunsFailed',
  cancelled: 'RunsCancelled',
} as const;

type Finished = Extract<RunEvent, { type: 'RunFinished' }>['data'];

export type Ending = {
  result: Pick<Finished, 'outcome' | 'manifest' | 'totals' | 'reason' | 'errors' | 'errorPages'>;
  plan: Pick<Counts, 'filesTotal' | 'filesUnchanged'>;
  sums: Sums;
  /** Undefined after a crash, when the backup chain no longer has it. Then RunSeconds is left out. */
  requestedAt: string | undefined;
};

/** Idempotent: the first end stays, and is measured once. */
export async function appendFinished(
  platform: Platform,
  runRef: RunRef,
  { result, plan: { filesTotal, filesUnchanged }, sums: { requests, usd, ...stored }, requestedAt }: Ending,
  cause: CommandContext,
): Promise<void> {
  const counts = { filesTotal, filesUnchanged, ...stored };
  const data = { ...idsOf(runRef), ...result, counts, cost: { requests, usd } };
  const { appended } = await transact(platform, run, runStream(runRef), finishRun(data), cause);
  if (!appended) return;
  platform.log.measure({
    [outcomes[result.outcome]]: 1,
    RunFiles: counts.filesDone,
    RunFilesFailed: counts.filesFailed,
    RunBytesRead: counts.bytesRead,
    RunBytesStored: counts.bytesStored,
    RunCost: usd,
    ...(requestedAt !== undefined && { RunSeconds: (platform.now() - Date.parse(requestedAt)) / 1000 }),
  });
}
