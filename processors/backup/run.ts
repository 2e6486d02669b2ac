/** What every step of a run knows and needs. */
import { load } from '../../activity/store.ts';
import { type BackupChainState, backupChain, backupChainId, type RunIds } from '../../domain/backup-chain.ts';
import { streamName } from '../../domain/event.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import { type RunState, run } from '../../domain/run.ts';
import { deriveVaultKeys, type VaultKeys } from '../../vault/keys.ts';

export type RunRef = { account: string } & RunIds;

/** What goes over the queues: ids, never personal data. */
export type Task =
  | ({ type: 'plan' | 'finish' } & RunRef)
  | ({ type: 'store'; batch: number; work: string } & RunRef)
  | ({ type: 'commit' } & RunRef);

export function backupChainStream({ account, jobId, sourceId }: RunRef): string {
  return streamName(account, 'backup-chain', backupChainId(jobId, sourceId));
}

export function runStream({ account, runId }: RunRef): string {
  return streamName(account, 'run', runId);
}

export async function loadRun(
  platform: Platform,
  runRef: RunRef,
): Promise<{ backupChain: BackupChainState; run: RunState }> {
  const [backupChains, runs] = await Promise.all([
    load(platform, backupChain, backupChainStream(runRef)),
    load(platform, run, runStream(runRef)),
  ]);
  return { backupChain: backupChains.state, run: runs.state };
}

/** The ids alone, as events and messages carry them. */
export function idsOf({ runId, jobId, sourceId }: RunRef): RunIds {
  return { runId, jobId, sourceId };
}

export async function vaultKeys(platform: Platform, account: string): Promise<VaultKeys> {
  const key = await platform.keys.accountKey(account);
  if (!key) throw new Error(`the key of account ${account} has been destroyed`);
  return deriveVaultKeys(key);
}

/** Working state of a run, in Records: gone by itself once nobody can need it. */
export function runRecord({ account, runId }: RunRef, sk: string) {
  return { pk: `run#${account}#${runId}`, sk };
}

/** A first backup over a slow line takes weeks, and its end needs what its beginning put. */
const keepSeconds = 30 * 24 * 3600;

export function expiry(platform: Platform): number {
  return Math.floor(platform.now() / 1000) + keepSeconds;
}

export async function send(platform: Platform, tasks: Task[]): Promise<void> {
  const bodies = tasks.map((task) => ({ body: task as JsonObject }));
  if (bodies.length > 0) await platform.queue.send(tasks[0]?.type === 'store' ? 'data' : 'job', bodies);
}
