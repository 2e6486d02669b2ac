/** Pauses a run, or lets it go on. Its workers stop within half a minute and keep what they stored. */
import { transact } from '../activity/store.ts';
import { backupChain, backupChainId, pauseRun as decidePause, type RunIds } from '../domain/backup-chain.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import type { CommandContext, Written } from './context.ts';

/** Idempotent. Throws Problem `run-over` if the run has ended. */
export async function pauseRun(
  platform: Platform,
  context: CommandContext,
  ids: RunIds,
  isPaused: boolean,
): Promise<{ written: Written }> {
  const name = streamName(context.account, 'backup-chain', backupChainId(ids.jobId, ids.sourceId));
  const { stream, version } = await transact(platform, backupChain, name, decidePause(ids, isPaused), context);
  return { written: { stream, version } };
}
