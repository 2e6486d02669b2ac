/** Cancels a run. A new run may start at once. Workers of the cancelled run stop within half a minute. */
import { transact } from '../activity/store.ts';
import { backupChain, backupChainId, endRun, type RunIds } from '../domain/backup-chain.ts';
import { Problem } from '../domain/errors.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { type Cost, type Counts, noProgress, progressKey, type RunProgress } from '../domain/run.ts';
import type { CommandContext, Written } from './context.ts';

/** Idempotent. Throws Problem `run-over` if the run ended in another way. */
export async function cancelRun(
  platform: Platform,
  context: CommandContext,
  ids: RunIds,
): Promise<{ written: Written }> {
  const stream = streamName(context.account, 'backup-chain', backupChainId(ids.jobId, ids.sourceId));
  const progress = await readProgress(platform, context.account, ids.runId);
  const cancelled = endRun(ids, { outcome: 'cancelled', reason: null, ...progress });
  const chain = await transact(platform, backupChain, stream, cancelled, context);
  const { lastEndedRunId, lastEndedOutcome } = chain.state;
  if (!chain.appended && !(lastEndedRunId === ids.runId && lastEndedOutcome === 'cancelled'))
    throw new Problem('run-over', 'It can no longer be cancelled. See its result with GET /runs/{id}.');
  return { written: { stream: chain.stream, version: chain.version } };
}

/** The progress of an open run, as its end keeps it. */
export async function readProgress(
  { records }: Pick<Platform, 'records'>,
  account: string,
  runId: string,
): Promise<{
  startedAt: string | null;
  isPlanned: boolean;
  bytes: { bytesTotal: number; bytesHandled: number };
  counts: Counts;
  cost: Cost;
}> {
  const found = (await records.get(progressKey(account, runId)))?.data as RunProgress | undefined;
  const { startedAt, isPlanned, bytesTotal, bytesHandled, requests, usd, ...counts } = found ?? noProgress('');
  return {
    startedAt: startedAt === '' ? null : startedAt,
    isPlanned,
    bytes: { bytesTotal, bytesHandled },
    counts,
    cost: { requests, usd },
  };
}
