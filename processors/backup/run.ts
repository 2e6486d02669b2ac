/** References and working records for all steps of a run. */
import { load } from '../../activity/store.ts';
import { type BackupChainState, backupChain, backupChainId, type RunIds } from '../../domain/backup-chain.ts';
import { streamName } from '../../domain/event.ts';
import type { JsonObject, Platform, RecordKey, RecordWrite } from '../../domain/ports.ts';
import { type BatchBytes, progressKey, runPartition } from '../../domain/run.ts';
import type { TaskRef } from '../../tasks/task.ts';
import { deriveVaultKeys, type VaultKeys } from '../../vault/keys.ts';

export type RunRef = { account: string } & RunIds;

/** The ids that the state of each task of a run has. Its group is the run. */
export type RunState = JsonObject & {
  jobId: string;
  sourceId: string;
  /** Bytes of the batch in hand that the progress of the run has. */
  counted?: BatchBytes;
};

export function runRefOf(
  { account, group }: Pick<TaskRef, 'account' | 'group'>,
  { jobId, sourceId }: RunState,
): RunRef {
  return { account, runId: group, jobId, sourceId };
}

export function backupChainStream({ account, jobId, sourceId }: RunRef): string {
  return streamName(account, 'backup-chain', backupChainId(jobId, sourceId));
}

/** The state of the backup chain while the run is its open run. Undefined when the run has ended. */
export async function loadOpen(platform: Platform, runRef: RunRef): Promise<BackupChainState | undefined> {
  const { state } = await load(platform, backupChain, backupChainStream(runRef));
  return state.openRun?.runId === runRef.runId ? state : undefined;
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
export function runRecord({ account, runId }: RunRef, sk: string): RecordKey {
  return { pk: runPartition(account, runId), sk };
}

/** A change of the progress that GET /runs/{id} shows. */
export function progressWrite(
  platform: Platform,
  { account, runId }: RunRef,
  change: { add?: { [field: string]: number }; set?: JsonObject },
): RecordWrite {
  return { op: 'add', ...progressKey(account, runId), ...change, expiresAt: expiry(platform) };
}

/** A first backup over a slow connection takes weeks, and its commit needs the records of its first batches. */
const keepSeconds = 30 * 24 * 3600;

/** When a working record written now expires, in seconds since the epoch. */
export function expiry(platform: Pick<Platform, 'now'>): number {
  return Math.floor(platform.now() / 1000) + keepSeconds;
}
