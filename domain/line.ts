/**
 * The line of a (job, source): its backups one after another, one open run at a time, and the commit point of each. It grows with
 * time, so each commit carries the whole small state and a load reads only the last one.
 */
import { Problem } from './errors.ts';
import type { Decide, Noun } from './noun.ts';

/** Where a finished backup rests: the manifest's id and the SHA-256 (hex) of its root, which the log thereby vouches for. */
export type ManifestRef = { id: string; hash: string };
export type Totals = { files: number; folders: number; links: number; bytes: number };

// ── State ──
/**
 * `open`: the run that may seal next. `sealed`: the newest good backup, the source cursor it reached and, where the source can tell, what it is of
 * (`place`, an inode). `released`: the run that ended
 * last without a backup.
 */
export type LineState = {
  open: { runId: string; requestedAt: string } | null;
  sealed: { runId: string; at: string; manifest: ManifestRef; totals: Totals; since: string | null; place?: string } | null;
  released?: string;
  runs: number;
};

// ── Events ──
type About = { runId: string; jobId: string; sourceId: string };
export type LineEvent =
  | { type: 'RunRequested'; data: About & { line: LineState } }
  | {
      type: 'LineSealed';
      data: About & { outcome: 'succeeded' | 'partial'; manifest: ManifestRef; totals: Totals; before: Totals; line: LineState };
    }
  /** The run ended without a backup: the line is free, its newest good backup is what it was. */
  | { type: 'LineReleased'; data: About & { outcome: 'failed' | 'cancelled'; line: LineState } };

export const line: Noun<LineState, LineEvent> = {
  stream: 'line',
  versions: { RunRequested: 1, LineSealed: 1, LineReleased: 1 },
  personal: {},
  initial: { open: null, sealed: null, runs: 0 },
  evolve: (_state, event) => event.data.line,
  load: 'last',
};

export function lineId(jobId: string, sourceId: string): string {
  return `${jobId}.${sourceId}`;
}

export function parseLineId(id: string): { jobId: string; sourceId: string } {
  const [jobId = '', sourceId = ''] = id.split('.');
  return { jobId, sourceId };
}

// ── Decide ──
export function requestRun(about: About, at: string): Decide<LineState, LineEvent> {
  return (state) => {
    if ([state.open?.runId, state.sealed?.runId, state.released].includes(about.runId)) return [];
    if (state.open) {
      throw new Problem('run-open', `Run ${state.open.runId} of this job is still open. Wait for it, or cancel it.`, {
        extra: { runId: state.open.runId },
      });
    }
    return [
      { type: 'RunRequested', data: { ...about, line: { ...state, open: { runId: about.runId, requestedAt: at }, runs: state.runs + 1 } } },
    ];
  };
}

export const nothing: Totals = { files: 0, folders: 0, links: 0, bytes: 0 };

/**
 * The commit point of a run. A run that is no longer the open one has lost, and nothing of it counts. `at` (UTC ISO-8601) is the time by which
 * backups are found again, so each is later than the one before it, also where the clock was set back or ticked no further.
 */
export function sealLine(
  about: About,
  result: {
    outcome: 'succeeded' | 'partial';
    manifest: ManifestRef;
    totals: Totals;
    since: string | null;
    place?: string | undefined;
    at: string;
  },
): Decide<LineState, LineEvent> {
  const { outcome, manifest, totals, since, place, at } = result;
  return (state) => {
    if (state.open?.runId !== about.runId) return [];
    const before = state.sealed?.totals ?? nothing;
    const sealed = {
      runId: about.runId,
      at: laterThan(state.sealed?.at, at),
      manifest,
      totals,
      since,
      ...(place !== undefined && { place }),
    };
    return [{ type: 'LineSealed', data: { ...about, outcome, manifest, totals, before, line: { ...state, open: null, sealed } } }];
  };
}

/** That time, or the millisecond after the other where it is not later. */
function laterThan(before: string | undefined, at: string): string {
  return before !== undefined && at <= before ? new Date(Date.parse(before) + 1).toISOString() : at;
}

export function releaseLine(about: About, outcome: 'failed' | 'cancelled'): Decide<LineState, LineEvent> {
  return (state) => {
    if (state.open?.runId !== about.runId) return [];
    return [{ type: 'LineReleased', data: { ...about, outcome, line: { ...state, open: null, released: about.runId } } }];
  };
}
