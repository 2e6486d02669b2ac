/** How a run ended according to its backup chain, which decides whether the run made a backup. */
import { decode } from '../../activity/decode.ts';
import type { BackupChainEvent } from '../../domain/backup-chain.ts';
import type { Platform, StoredCommit } from '../../domain/ports.ts';
import { backupChainStream, type RunRef } from './run.ts';

export type RunEnd = Extract<BackupChainEvent, { type: 'RestorePointCreated' | 'RunEnded' }>;

/** Undefined while the run is open. Costs one read for the newest run, and the whole backup chain for an older one. */
export async function findRunEnd(platform: Platform, runRef: RunRef): Promise<RunEnd | undefined> {
  const last = await platform.events.last(backupChainStream(runRef));
  const found = last && (await endIn(platform, runRef, last));
  if (found) return found;
  for (const commit of (await platform.events.load(backupChainStream(runRef))).reverse()) {
    const earlier = await endIn(platform, runRef, commit);
    if (earlier) return earlier;
  }
  return undefined;
}

async function endIn(platform: Platform, runRef: RunRef, commit: StoredCommit): Promise<RunEnd | undefined> {
  const events = (await decode<BackupChainEvent>(platform, commit)) as BackupChainEvent[];
  return events.find((event): event is RunEnd => event.type !== 'RunRequested' && event.data.runId === runRef.runId);
}
