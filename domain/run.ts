/** One run of a job, from start to end. Its stream stays short: file lists are in batches and manifests. */

import type { Aggregate, Decide } from './aggregate.ts';
import type { ManifestRef, RunIds, Totals } from './backup-chain.ts';
import type { Personal } from './event.ts';

export type RunOutcome = 'succeeded' | 'partial' | 'failed' | 'cancelled';

/** Counts files and links, not folders. `bytesStored`: bytes this run wrote to blobs, after dedup and compression. */
export type Counts = {
  filesTotal: number;
  filesDone: number;
  filesUnchanged: number;
  filesDeleted: number;
  filesFailed: number;
  filesSkipped: number;
  bytesRead: number;
  bytesStored: number;
};

/** Requests the run made, and their price in US dollars at the list prices of the deployment. */
export type Cost = { requests: number; usd: number };

/** A file that the run could not back up. */
export type RunError = { path: string; code: string; message: string };

// ── Events ──
export type RunEvent =
  | { type: 'RunStarted'; data: RunIds }
  /**
   * `since` and `sourceIdentity`: see BackupChainState. They go into the restore point of this run. `first`: the number
   * of the first batch that counts. `isBaseDamaged`: the last restore point, of the time `damagedAt`, is damaged, and
   * everything is read again. `lost`: files that are read again because their packs are lost, and all lost packs.
   */
  | {
      type: 'RunPlanned';
      data: RunIds & {
        batches: number;
        filesTotal: number;
        filesUnchanged: number;
        bytesTotal: number;
        since: string | null;
        sourceIdentity?: string;
        first?: number;
        isBaseDamaged?: boolean;
        damagedAt?: string;
        lost?: { files: number; packs: number };
      };
    }
  | {
      type: 'RunFinished';
      data: RunIds & {
        outcome: RunOutcome;
        counts: Counts;
        cost: Cost;
        manifest: ManifestRef | null;
        totals: Totals | null;
        /** Why the run failed as a whole. Null unless `outcome` is `failed`. */
        reason: Personal<{ code: string; message: string }>;
        /** At most the first 100 errors. */
        errors: Personal<RunError[]>;
        /** Number of blobs that hold the complete list of errors. 0 when `errors` is complete. */
        errorPages: number;
      };
    };

// ── State ──
export type RunState =
  | { status: 'none' }
  | { status: 'running'; planned: Extract<RunEvent, { type: 'RunPlanned' }>['data'] | null }
  | { status: 'finished'; outcome: RunOutcome };

const subject = (_: unknown, data: { sourceId: string }) => data.sourceId;

export const run: Aggregate<RunState, RunEvent> = {
  stream: 'run',
  versions: { RunStarted: 1, RunPlanned: 1, RunFinished: 1 },
  personal: { RunFinished: { reason: subject, errors: subject } },
  initial: { status: 'none' },
  evolve(state, event) {
    switch (event.type) {
      case 'RunStarted':
        return state.status === 'none' ? { status: 'running', planned: null } : state;
      case 'RunPlanned':
        return { status: 'running', planned: event.data };
      case 'RunFinished':
        return { status: 'finished', outcome: event.data.outcome };
    }
  },
};

// ── Decide ──
export function startRun(ids: RunIds): Decide<RunState, RunEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'RunStarted', data: ids }] : []);
}

/** Decides nothing unless the run has started. The first plan stays. */
export function planRun(data: Extract<RunEvent, { type: 'RunPlanned' }>['data']): Decide<RunState, RunEvent> {
  return (state) => (state.status === 'running' && !state.planned ? [{ type: 'RunPlanned', data }] : []);
}

/** Ends the run, also without a plan. The first end stays. */
export function finishRun(data: Extract<RunEvent, { type: 'RunFinished' }>['data']): Decide<RunState, RunEvent> {
  return (state) => (state.status === 'finished' ? [] : [{ type: 'RunFinished', data }]);
}
