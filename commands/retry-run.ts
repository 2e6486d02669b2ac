/** Requests a run that reads what an earlier run could not read. */
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';
import type { CommandContext, Written } from './context.ts';
import { runJob } from './run-job.ts';

const ended: ReadonlySet<string> = new Set(['succeeded', 'cancelled', 'partial', 'failed']);

/**
 * A repeat returns the same run. Throws as `runJob`, Problem `run-open` if the given run is open, or `nothing-to-retry`
 * if it neither failed nor is partial.
 */
export async function retryRun(
  platform: Platform,
  context: CommandContext,
  { id, jobId, status }: { id: string; jobId: string; status: string },
  isKnown: (runId: string) => Promise<boolean>,
): Promise<{ id: string; written: Written }> {
  if (!ended.has(status)) {
    const detail = `Wait for run ${id}, or cancel it with POST /runs/{id}/cancel.`;
    throw new Problem('run-open', detail, { extra: { runId: id } });
  }
  if (status !== 'partial' && status !== 'failed') {
    const what = status === 'cancelled' ? 'was cancelled' : 'saved all files';
    throw new Problem('nothing-to-retry', `Run ${id} ${what}. Start a new run with POST /jobs/{id}/run.`);
  }
  return runJob(platform, context, jobId, isKnown, id);
}
