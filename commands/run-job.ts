/** Requests a run of a job. The event starts the run. */
import { newId } from '../activity/ids.ts';
import { load, transact } from '../activity/store.ts';
import { backupChain, backupChainId, requestRun } from '../domain/backup-chain.ts';
import { Problem } from '../domain/errors.ts';
import { streamName } from '../domain/event.ts';
import { job, mustBeActive } from '../domain/job.ts';
import type { Platform } from '../domain/ports.ts';
import { source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';

/**
 * A repeat returns the same run, even after that run has ended. The backup chain knows only its newest runs, so
 * `isKnown` tells whether there was an older one of this id. `retryOf`: see `retryRun`. Throws Problem `not-found`,
 * `run-open` (with the id of the open run), or `source-unusable` if the source is disconnected.
 */
export async function runJob(
  platform: Platform,
  context: CommandContext,
  jobId: string,
  isKnown: (runId: string) => Promise<boolean> = async () => false,
  retryOf?: string,
): Promise<{ id: string; written: Written }> {
  const { state } = await load(platform, job, streamName(context.account, 'job', jobId));
  mustBeActive(state, jobId);
  const { sourceId } = state;
  const connected = await load(platform, source, streamName(context.account, 'source', sourceId));
  if (connected.state.status !== 'connected') {
    throw new Problem('source-unusable', 'The source of this job is disconnected. Create a job for another source.');
  }
  const runId = newId(context, 'run');
  const isRepeat = await isKnown(runId);
  const request = requestRun({ runId, jobId, sourceId }, new Date(platform.now()).toISOString(), retryOf);
  const decide: typeof request = (state) => (isRepeat ? [] : request(state));
  const name = streamName(context.account, 'backup-chain', backupChainId(jobId, sourceId));
  const { stream, version } = await transact(platform, backupChain, name, decide, context);
  return { id: runId, written: { stream, version } };
}
