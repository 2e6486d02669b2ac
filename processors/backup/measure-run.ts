/** Metrics of a finished run, for dashboards and alarms. */
import type { Platform } from '../../domain/ports.ts';
import type { Cost, Counts, RunOutcome } from '../../domain/run.ts';

const outcomes = {
  succeeded: 'RunsSucceeded',
  partial: 'RunsPartial',
  failed: 'RunsFailed',
  cancelled: 'RunsCancelled',
} as const;

/** `requestedAt` is undefined after a crash, when the backup chain no longer has it. Then RunSeconds is left out. */
export function measureRun(
  { log, now }: Pick<Platform, 'log' | 'now'>,
  { outcome, counts, cost }: { outcome: RunOutcome; counts: Counts; cost: Cost },
  requestedAt: string | undefined,
): void {
  log.measure({
    [outcomes[outcome]]: 1,
    RunFiles: counts.filesDone,
    RunFilesFailed: counts.filesFailed,
    RunBytesRead: counts.bytesRead,
    RunBytesStored: counts.bytesStored,
    RunCost: cost.usd,
    ...(requestedAt === undefined ? {} : { RunSeconds: (now() - Date.parse(requestedAt)) / 1000 }),
  });
}
