/** One backup of a line from request to end. Short: its bulk is in batches and manifests. */

import type { Aggregate, Decide } from './aggregate.ts';
import type { ManifestRef, Totals } from './backup-chain.ts';
import type { Personal } from './event.ts';

export type RunOutcome = 'succeeded' | 'partial' | 'failed' | 'cancelled';

/** Folders are not counted; links are. `bytesStored`: bytes put to blobs by this run, after dedup and compression. */
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

/** Requests made for the run, and their price in US dollars at the home's list prices. */
export type Cost = { requests: number; usd: number };

/** A file that is not in the backup, and why: `failed` should have been, `skipped` cannot be by its nature. */
export type RunError = { path: string; code: string; message: string };

// ── Events ──
type RunRef = { runId: string; jobId: string; sourceId: string };
export type RunEvent =
  | { type: 'RunStarted'; data: RunRef }
  /** `since`: the source cursor the next run may start from, once this one is sealed. `place`: what was listed, where the source can tell (an inode). */
  | {
      type: 'RunPlanned';
      data: RunRef & {
        batches: number;
        filesTotal: number;
        filesUnchanged: number;
        bytesTotal: number;
        since: string | null;
        sourceIdentity?: string;
      };
    }
  | {
      type: 'RunFinished';
      data: RunRef & {
        outcome: RunOutcome;
        counts: Counts;
        cost: Cost;
        manifest: ManifestRef | null;
        totals: Totals | null;
        /** Why the whole run failed. */
        reason: Personal<{ code: string; message: string }>;
        /** The first hundred, or fewer; all of them are in so many pages of blobs, none when these are all. */
        errors: Personal<RunError[]>;
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
export function startRun(runRef: RunRef): Decide<RunState, RunEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'RunStarted', data: runRef }] : []);
}

export function planRun(data: Extract<RunEvent, { type: 'RunPlanned' }>['data']): Decide<RunState, RunEvent> {
  return (state) => (state.status === 'running' && !state.planned ? [{ type: 'RunPlanned', data }] : []);
}

export function finishRun(data: Extract<RunEvent, { type: 'RunFinished' }>['data']): Decide<RunState, RunEvent> {
  return (state) => (state.status === 'finished' ? [] : [{ type: 'RunFinished', data }]);
}
