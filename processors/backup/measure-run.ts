/** What a run that has ended is in numbers, for whoever watches the whole. */
import type { Platform } from '../../domain/ports.ts';
import type { Cost, Counts, RunOutcome } from '../../domain/run.ts';

const outcomes = {
  succeeded: 'RunsSucceeded',
  partial: 'RunsPartial',
  failed: 'RunsFailed',
  cancelled: 'RunsCancelled',
} as const;

/** `requestedAt`: undefined when another step, before a crash, was the last to know it. */
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
