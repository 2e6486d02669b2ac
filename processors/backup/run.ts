/** References, tasks and working records for all steps of a run. */
import { load } from '../../activity/store.ts';
import { type BackupChainState, backupChain, backupChainId, type RunIds } from '../../domain/backup-chain.ts';
import { streamName } from '../../domain/event.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import { type RunState, run } from '../../domain/run.ts';
import { deriveVaultKeys, type VaultKeys } from '../../vault/keys.ts';

export type RunRef = { account: string } & RunIds;

/** The body of a queue message: ids, never personal data. `work` names the record with the batch's work list. */
export type Task = RunRef & ({ type: 'plan' | 'commit' | 'finish' } | { type: 'store'; batch: number; work: string });

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

/** The ids without the account, as events carry them. */
export function idsOf({ runId, jobId, sourceId }: RunRef): RunIds {
  return { runId, jobId, sourceId };
}

export async function vaultKeys(platform: Platform, account: string): Promise<VaultKeys> {
  const key = await platform.keys.accountKey(account);
  if (!key) throw new Error(`The key of account ${account} was destroyed, so its backups cannot be read.`);
  return deriveVaultKeys(key);
}

/** Key of a working record of a run. Working records expire. */
export function runRecord({ account, runId }: RunRef, sk: string) {
  return { pk: `run#${account}#${runId}`, sk };
}

/** A first backup over a slow connection takes weeks, and its commit needs the records of its first batches. */
const keepSeconds = 30 * 24 * 3600;

/** When a working record written now expires, in seconds since the epoch. */
export function expiry(platform: Platform): number {
  return Math.floor(platform.now() / 1000) + keepSeconds;
}

export async function send(platform: Platform, tasks: Task[]): Promise<void> {
  const bodies = tasks.map((task) => ({ body: task as JsonObject }));
  if (bodies.length > 0) await platform.queue.send(tasks[0]?.type === 'store' ? 'data' : 'job', bodies);
}
