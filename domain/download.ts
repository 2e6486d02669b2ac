/** Somebody takes backed-up data out: one short stream a download, so that auditors see who was given what. */

import type { Aggregate, Decide } from './aggregate.ts';
import type { ManifestRef } from './backup-chain.ts';
import type { Personal } from './event.ts';

// ── Events ──
/** From which backup. */
type DownloadRef = { downloadId: string; sourceId: string; jobId: string; runId: string };
type Request = DownloadRef & {
  manifest: ManifestRef;
  /** When that backup was made. */
  backedUpAt: string;
  /** When the prepared file goes. */
  until: string;
  /** What was chosen; everything below a folder too. */
  paths: Personal<string[]>;
};
type Grant = DownloadRef & { userId: string; version: number | null; path: Personal<string> };

export type DownloadEvent =
  /** An address was given out to that person: for one version of a file, or (`version` and `path` null) for the zip of this stream. */
  | { type: 'DownloadGranted'; data: Grant }
  /** A zip was asked for; it is prepared because of this event. */
  | { type: 'DownloadRequested'; data: Request }
  | { type: 'DownloadPrepared'; data: { downloadId: string; size: number } }
  | { type: 'DownloadFailed'; data: { downloadId: string; sourceId: string; reason: Personal<DownloadFailure> } };

/** Why there is no zip; the message may name a file. */
export type DownloadFailure = { code: 'too-large' | 'damaged' | 'storage-full' | 'internal'; message: string };

// ── State ──
export type DownloadState =
  | { status: 'none' }
  | { status: 'file' }
  | { status: 'preparing'; request: Request }
  | { status: 'ready'; request: Request; size: number; grantedTo: string[] }
  | { status: 'failed'; request: Request; reason: Personal<DownloadFailure> };

const subject = (_: unknown, data: { sourceId: string }) => data.sourceId;

export const download: Aggregate<DownloadState, DownloadEvent> = {
  stream: 'download',
  versions: { DownloadGranted: 1, DownloadRequested: 1, DownloadPrepared: 1, DownloadFailed: 1 },
  personal: {
    DownloadGranted: { path: subject },
    DownloadRequested: { paths: subject },
    DownloadFailed: { reason: subject },
  },
  initial: { status: 'none' },
  evolve(state, event) {
    switch (event.type) {
      case 'DownloadGranted':
        return state.status === 'ready'
          ? { ...state, grantedTo: [...state.grantedTo, event.data.userId] }
          : { status: 'file' };
      case 'DownloadRequested':
        return { status: 'preparing', request: event.data };
      case 'DownloadPrepared':
        return state.status === 'preparing'
          ? { ...state, status: 'ready', size: event.data.size, grantedTo: [] }
          : state;
      case 'DownloadFailed':
        return state.status === 'preparing'
          ? { status: 'failed', request: state.request, reason: event.data.reason }
          : state;
    }
  },
};

/** Milliseconds that a zip is kept from when it was asked for: it is gone within a day, addresses given out at the last moment included. */
export const zipLifetime = 23 * 60 * 60_000;

// ── Decide ──
export function grantFile(data: Grant & { version: number }): Decide<DownloadState, DownloadEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'DownloadGranted', data }] : []);
}

export function requestZip(data: Request): Decide<DownloadState, DownloadEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'DownloadRequested', data }] : []);
}

export function zipPrepared(downloadId: string, size: number): Decide<DownloadState, DownloadEvent> {
  return (state) => (state.status === 'preparing' ? [{ type: 'DownloadPrepared', data: { downloadId, size } }] : []);
}

export function zipFailed(downloadId: string, reason: DownloadFailure): Decide<DownloadState, DownloadEvent> {
  return (state) => {
    if (state.status !== 'preparing') return [];
    return [{ type: 'DownloadFailed', data: { downloadId, sourceId: state.request.sourceId, reason } }];
  };
}

/** Once a person, however often they ask. */
export function grantZip(userId: string): Decide<DownloadState, DownloadEvent> {
  return (state) => {
    if (state.status !== 'ready' || state.grantedTo.includes(userId)) return [];
    const { downloadId, sourceId, jobId, runId } = state.request;
    return [
      { type: 'DownloadGranted', data: { downloadId, sourceId, jobId, runId, userId, version: null, path: null } },
    ];
  };
}
