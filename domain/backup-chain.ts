/**
 * The line of a (job, source): its backups one after another, one open run at a time, and the commit point of each. It grows with
 * time, so each commit carries the whole small state and a load reads only the last one.
 */

import type { Aggregate, Decide } from './aggregate.ts';
import { Problem } from './errors.ts';

/** Where a finished backup rests: the manifest's id and the SHA-256 (hex) of its root, which the log thereby vouches for. */
export type ManifestRef = { id: string; hash: string };
export type Totals = { files: number; folders: number; links: number; bytes: number };

// ── State ──
/**
 * `open`: the run that may seal next. `sealed`: the newest good backup, the source cursor it reached and, where the source can tell, what it is of
 * (`place`, an inode). `released`: the run that ended
 * last without a backup.
 */
export type BackupChainState = {
  open: { runId: string; requestedAt: string } | null;
  head: {
    runId: string;
    at: string;
    manifest: ManifestRef;
    totals: Totals;
    since: string | null;
    sourceIdentity?: string;
  } | null;
  lastEnded?: string;
  runs: number;
};

// ── Events ──
type RunRef = { runId: string; jobId: string; sourceId: string };
export type BackupChainEvent =
  | { type: 'RunRequested'; data: RunRef & { backupChain: BackupChainState } }
  | {
      type: 'RestorePointCreated';
      data: RunRef & {
        outcome: 'succeeded' | 'partial';
        manifest: ManifestRef;
        totals: Totals;
        before: Totals;
        backupChain: BackupChainState;
      };
    }
  /** The run ended without a backup: the line is free, its newest good backup is what it was. */
  | { type: 'RunEnded'; data: RunRef & { outcome: 'failed' | 'cancelled'; backupChain: BackupChainState } };

export const backupChain: Aggregate<BackupChainState, BackupChainEvent> = {
  stream: 'backup-chain',
  versions: { RunRequested: 1, RestorePointCreated: 1, RunEnded: 1 },
  personal: {},
  initial: { open: null, head: null, runs: 0 },
  evolve: (_state, event) => event.data.backupChain,
  load: 'last',
};

export function backupChainId(jobId: string, sourceId: string): string {
  return `${jobId}.${sourceId}`;
}

export function parseBackupChainId(id: string): { jobId: string; sourceId: string } {
  const [jobId = '', sourceId = ''] = id.split('.');
  return { jobId, sourceId };
}

// ── Decide ──
export function requestRun(runRef: RunRef, at: string): Decide<BackupChainState, BackupChainEvent> {
  return (state) => {
    if ([state.open?.runId, state.head?.runId, state.lastEnded].includes(runRef.runId)) return [];
    if (state.open) {
      throw new Problem('run-open', `Run ${state.open.runId} of this job is still open. Wait for it, or cancel it.`, {
        extra: { runId: state.open.runId },
      });
    }
    return [
      {
        type: 'RunRequested',
        data: {
          ...runRef,
          backupChain: { ...state, open: { runId: runRef.runId, requestedAt: at }, runs: state.runs + 1 },
        },
      },
    ];
  };
}

export const nothing: Totals = { files: 0, folders: 0, links: 0, bytes: 0 };

/**
 * The commit point of a run. A run that is no longer the open one has lost, and nothing of it counts. `at` (UTC ISO-8601) is the time by which
 * backups are found again, so each is later than the one before it, also where the clock was set back or ticked no further.
 */
export function createRestorePoint(
  runRef: RunRef,
  result: {
    outcome: 'succeeded' | 'partial';
    manifest: ManifestRef;
    totals: Totals;
    since: string | null;
    sourceIdentity?: string | undefined;
    at: string;
  },
): Decide<BackupChainState, BackupChainEvent> {
  const { outcome, manifest, totals, since, sourceIdentity, at } = result;
  return (state) => {
    if (state.open?.runId !== runRef.runId) return [];
    const before = state.head?.totals ?? nothing;
    const head = {
      runId: runRef.runId,
      at: laterThan(state.head?.at, at),
      manifest,
      totals,
      since,
      ...(sourceIdentity !== undefined && { sourceIdentity }),
    };
    return [
      {
        type: 'RestorePointCreated',
        data: { ...runRef, outcome, manifest, totals, before, backupChain: { ...state, open: null, head } },
      },
    ];
  };
}

/** That time, or the millisecond after the other where it is not later. */
function laterThan(before: string | undefined, at: string): string {
  return before !== undefined && at <= before ? new Date(Date.parse(before) + 1).toISOString() : at;
}

export function endRun(runRef: RunRef, outcome: 'failed' | 'cancelled'): Decide<BackupChainState, BackupChainEvent> {
  return (state) => {
    if (state.open?.runId !== runRef.runId) return [];
    return [
      {
        type: 'RunEnded',
        data: { ...runRef, outcome, backupChain: { ...state, open: null, lastEnded: runRef.runId } },
      },
    ];
  };
}
