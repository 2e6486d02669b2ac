/** Cancels a run. A new run may start at once. Workers of the cancelled run stop at their next step. */
import { load, transact } from '../activity/store.ts';
import { backupChain, backupChainId, endRun, type RunIds } from '../domain/backup-chain.ts';
import { Problem } from '../domain/errors.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { run } from '../domain/run.ts';
import type { CommandContext, Written } from './context.ts';

/** Idempotent. Throws Problem `run-over` if the run ended in another way. */
export async function cancelRun(
  platform: Platform,
  context: CommandContext,
  ids: RunIds,
): Promise<{ written: Written }> {
  const chainStream = streamName(context.account, 'backup-chain', backupChainId(ids.jobId, ids.sourceId));
  const chain = await transact(platform, backupChain, chainStream, endRun(ids, 'cancelled'), context);
  if (!chain.appended) {
    const { state } = await load(platform, run, streamName(context.account, 'run', ids.runId));
    const endedOtherwise = state.status === 'finished' && state.outcome !== 'cancelled';
    if (endedOtherwise || chain.state.newestRestorePoint?.runId === ids.runId)
      throw new Problem('run-over', 'It can no longer be cancelled. See its result with GET /runs/{id}.');
  }
  return { written: { stream: chain.stream, version: chain.version } };
}
