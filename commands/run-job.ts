/** A run of a job is asked for; everything else follows from the event. */
import { newId } from '../activity/ids.ts';
import { load, transact } from '../activity/store.ts';
import { backupChain, backupChainId, requestRun } from '../domain/backup-chain.ts';
import { Problem } from '../domain/errors.ts';
import { streamName } from '../domain/event.ts';
import { job, mustBeActive } from '../domain/job.ts';
import type { Platform } from '../domain/ports.ts';
import { run } from '../domain/run.ts';
import { source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';

/** Asked for again with the same command it is the same run, also long after it has ended. Throws Problem `not-found`, `run-open` (with the open run's id) or `source-unusable` when the source was disconnected. */
export async function runJob(
  platform: Platform,
  context: CommandContext,
  jobId: string,
): Promise<{ id: string; written: Written }> {
  const { state } = await load(platform, job, streamName(context.account, 'job', jobId));
  mustBeActive(state, jobId);
  const { sourceId } = state;
  const connected = await load(platform, source, streamName(context.account, 'source', sourceId));
  if (connected.state.status !== 'connected') {
    throw new Problem('source-unusable', 'The source of this job was disconnected. Create a job for another source.');
  }
  const runId = newId(context, 'run');
  // The line remembers the newest runs alone
  const before = await load(platform, run, streamName(context.account, 'run', runId));
  const request = requestRun({ runId, jobId, sourceId }, new Date(platform.now()).toISOString());
  const decide: typeof request = (state) => (before.state.status === 'none' ? request(state) : []);
  const name = streamName(context.account, 'backup-chain', backupChainId(jobId, sourceId));
  const { stream, version } = await transact(platform, backupChain, name, decide, context);
  return { id: runId, written: { stream, version } };
}
