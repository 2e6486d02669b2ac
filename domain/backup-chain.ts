/**
 * The backup chain of one (job, source): its restore points in order of time, and at most one open run. The stream
 * grows with each run. So each commit carries the whole small state, and a load reads the newest commit only.
 */

import type { Aggregate, Decide } from './aggregate.ts';
import { Problem } from './errors.ts';
import type { Personal } from './event.ts';
import type { Cost, Counts, RunError } from './run.ts';

/** The ids of one run. They name its backup chain too. */
export type RunIds = { runId: string; jobId: string; sourceId: string };

/**
 * A manifest: its id and the SHA-256 (hex) of its root. The hash binds the stored backup to the event that names it.
 */
export type ManifestRef = { id: string; hash: string };
/** The content of a restore point. `bytes` counts files at their full size. */
export type Totals = { files: number; folders: number; links: number; bytes: number };

// ── State ──
/** All times are UTC ISO-8601. */
export type BackupChainState = {
  /** The run that is in progress. Only this run can create a restore point. Null: a new run may start. */
  openRun: {
    runId: string;
    requestedAt: string;
    isPaused?: boolean;
    /** The run whose failed entries this run reads. */
    retryOf?: string;
  } | null;
  /** The base of the next run. Null before the first restore point. */
  newestRestorePoint: {
    runId: string;
    at: string;
    manifest: ManifestRef;
    totals: Totals;
    /** The cursor from which the source can list later changes. Null: the next run lists everything. */
    since: string | null;
    /** The paths of the ids of the source. Set with `since`. */
    idIndex?: ManifestRef;
    /** Set by connectors whose path or address may later lead to another source. For a folder: its inode. */
    sourceIdentity?: string;
  } | null;
  /** The last run that failed or was cancelled. It makes a repeated request of that run a no-op. */
  lastEndedRunId?: string;
  /** Set with `lastEndedRunId`. */
  lastEndedOutcome?: 'failed' | 'cancelled';
  /** Number of runs requested so far. */
  runs: number;
};

// ── Events ──
/** How a run ended. `startedAt`: null if it never started. */
type RunResult = { startedAt: string | null; counts: Counts; cost: Cost };

export type BackupChainEvent =
  /** `retryOf`: the run whose failed entries the new run reads. */
  | { type: 'RunRequested'; data: RunIds & { retryOf?: string; backupChain: BackupChainState } }
  | { type: 'RunPaused'; data: RunIds & { backupChain: BackupChainState } }
  | { type: 'RunResumed'; data: RunIds & { backupChain: BackupChainState } }
  | {
      type: 'RestorePointCreated';
      data: RunIds &
        RunResult & {
          outcome: 'succeeded' | 'partial';
          manifest: ManifestRef;
          totals: Totals;
          /** At most the first 100 errors. */
          errors: Personal<RunError[]>;
          /** Number of blobs that hold the complete list of errors. 0 when `errors` is complete. */
          errorPages: number;
          /** Totals of the restore point before this one, all 0 for the first. */
          before: Totals;
          /** Set if the manifest is that of the restore point before this one. */
          isUnchanged?: true;
          backupChain: BackupChainState;
        };
    }
  /** The run ended without a restore point. A new run may start, and the newest restore point stays. */
  | {
      type: 'RunEnded';
      data: RunIds &
        RunResult & {
          outcome: 'failed' | 'cancelled';
          /** Why the run failed as a whole. Null if it was cancelled. */
          reason: Personal<{ code: string; message: string }> | null;
          /** Whether `counts.filesTotal` is of the whole source. */
          isPlanned?: boolean;
          /** As far as it came. */
          bytes?: { bytesTotal: number; bytesHandled: number };
          backupChain: BackupChainState;
        };
    };

const subject = (_: unknown, data: { sourceId: string }) => data.sourceId;

export const backupChain: Aggregate<BackupChainState, BackupChainEvent> = {
  stream: 'backup-chain',
  versions: { RunRequested: 1, RunPaused: 1, RunResumed: 1, RestorePointCreated: 1, RunEnded: 1 },
  personal: { RestorePointCreated: { errors: subject }, RunEnded: { reason: subject } },
  initial: { openRun: null, newestRestorePoint: null, runs: 0 },
  evolve: (_state, event) => event.data.backupChain,
  load: 'last',
};

/** The id of the stream: one backup chain for each (job, source). */
export function backupChainId(jobId: string, sourceId: string): string {
  return `${jobId}.${sourceId}`;
}

// ── Decide ──
/**
 * Opens a run, which may be a retry. Throws Problem `run-open` (with the id of that run) while another run is open.
 */
export function requestRun(ids: RunIds, at: string, retryOf?: string): Decide<BackupChainState, BackupChainEvent> {
  return (state) => {
    const { openRun, newestRestorePoint, lastEndedRunId } = state;
    if ([openRun?.runId, newestRestorePoint?.runId, lastEndedRunId].includes(ids.runId)) return [];
    if (openRun) {
      throw new Problem('run-open', `Wait for run ${openRun.runId}, or cancel it with POST /runs/{id}/cancel.`, {
        extra: { runId: openRun.runId },
      });
    }
    const retry = retryOf === undefined ? {} : { retryOf };
    const opened = { runId: ids.runId, requestedAt: at, ...retry };
    return [
      {
        type: 'RunRequested',
        data: { ...ids, ...retry, backupChain: { ...state, openRun: opened, runs: state.runs + 1 } },
      },
    ];
  };
}

/** The totals of an empty restore point. */
export const nothing: Totals = { files: 0, folders: 0, links: 0, bytes: 0 };

/** Pauses the open run, or lets it go on. Decides nothing if it is so already. Throws Problem `run-over`. */
export function pauseRun(ids: RunIds, isPaused: boolean): Decide<BackupChainState, BackupChainEvent> {
  return (state) => {
    const { openRun } = state;
    if (openRun?.runId !== ids.runId)
      throw new Problem('run-over', 'It has ended. See its result with GET /runs/{id}.');
    if ((openRun.isPaused ?? false) === isPaused) return [];
    const type = isPaused ? 'RunPaused' : 'RunResumed';
    return [{ type, data: { ...ids, backupChain: { ...state, openRun: { ...openRun, isPaused } } } }];
  };
}

/**
 * Commits a run. Decides nothing unless the run is the open one. Queries find restore points by their time `at`. So
 * each is later than the one before, even if the clock was set back.
 */
export function createRestorePoint(
  ids: RunIds,
  result: {
    outcome: 'succeeded' | 'partial';
    manifest: ManifestRef;
    totals: Totals;
    since: string | null;
    idIndex?: ManifestRef;
    sourceIdentity?: string | undefined;
    at: string;
    errors: RunError[];
    errorPages: number;
  } & RunResult,
): Decide<BackupChainState, BackupChainEvent> {
  const { outcome, manifest, totals, since, idIndex, sourceIdentity, at, ...rest } = result;
  return (state) => {
    if (state.openRun?.runId !== ids.runId) return [];
    const before = state.newestRestorePoint?.totals ?? nothing;
    const newestRestorePoint = {
      runId: ids.runId,
      at: laterThan(state.newestRestorePoint?.at, at),
      manifest,
      totals,
      since,
      ...(idIndex && { idIndex }),
      ...(sourceIdentity !== undefined && { sourceIdentity }),
    };
    return [
      {
        type: 'RestorePointCreated',
        data: {
          ...ids,
          outcome,
          manifest,
          totals,
          ...rest,
          before,
          ...(state.newestRestorePoint?.manifest.id === manifest.id && { isUnchanged: true }),
          backupChain: { ...state, openRun: null, newestRestorePoint },
        },
      },
    ];
  };
}

/** `at`, but at least one millisecond after `before`. */
function laterThan(before: string | undefined, at: string): string {
  return before !== undefined && at <= before ? new Date(Date.parse(before) + 1).toISOString() : at;
}

/** Ends a run without a restore point. Decides nothing unless the run is the open one. */
export function endRun(
  ids: RunIds,
  result: {
    outcome: 'failed' | 'cancelled';
    reason: { code: string; message: string } | null;
    isPlanned?: boolean;
    bytes?: { bytesTotal: number; bytesHandled: number };
  } & RunResult,
): Decide<BackupChainState, BackupChainEvent> {
  return (state) => {
    if (state.openRun?.runId !== ids.runId) return [];
    return [
      {
        type: 'RunEnded',
        data: {
          ...ids,
          ...result,
          backupChain: { ...state, openRun: null, lastEndedRunId: ids.runId, lastEndedOutcome: result.outcome },
        },
      },
    ];
  };
}
