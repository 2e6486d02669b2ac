/** The metrics of a run that ended, for dashboards and alarms. */
import type { Platform } from '../../domain/ports.ts';
import type { Cost, Counts, RunOutcome } from '../../domain/run.ts';

const outcomes = {
  succeeded: 'RunsSucceeded',
  partial: 'RunsPartial',
  failed: 'RunsFailed',
  cancelled: 'RunsCancelled',
} as const;

export function measureEnd(
  { log, now }: Pick<Platform, 'log' | 'now'>,
  outcome: RunOutcome,
  { startedAt, counts, cost }: { startedAt: string | null; counts: Counts; cost: Cost },
): void {
  log.measure({
    [outcomes[outcome]]: 1,
    RunFiles: counts.filesDone,
    RunFilesFailed: counts.filesFailed,
    RunBytesRead: counts.bytesRead,
    RunBytesStored: counts.bytesStored,
    RunCost: cost.usd,
    ...(startedAt !== null && { RunSeconds: (now() - Date.parse(startedAt)) / 1000 }),
  });
}
