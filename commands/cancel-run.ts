/** A run is called off: its line is free at once, and whatever still works for it finds that out at its next step. */
import { load, transact } from '../activity/store.ts';
import { backupChain, backupChainId, endRun } from '../domain/backup-chain.ts';
import { Problem } from '../domain/errors.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { run } from '../domain/run.ts';
import type { CommandContext, Written } from './context.ts';

/** Done again it changes nothing. Throws Problem `run-over` when the run ended in another way. */
export async function cancelRun(
  platform: Platform,
  context: CommandContext,
  runRef: { runId: string; jobId: string; sourceId: string },
): Promise<{ written: Written }> {
  const name = streamName(context.account, 'backup-chain', backupChainId(runRef.jobId, runRef.sourceId));
  const released = await transact(platform, backupChain, name, endRun(runRef, 'cancelled'), context);
  if (!released.appended) {
    const { state } = await load(platform, run, streamName(context.account, 'run', runRef.runId));
    const over = state.status === 'finished' && state.outcome !== 'cancelled';
    if (over || released.state.head?.runId === runRef.runId)
      throw new Problem('run-over', 'The run had ended before it could be cancelled.');
  }
  return { written: { stream: released.stream, version: released.version } };
}
