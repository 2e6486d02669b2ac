/** A download of backed-up data. Each has a stream of its own, so that auditors see every grant. */

import type { Aggregate, Decide } from './aggregate.ts';
import type { ManifestRef, RunIds } from './backup-chain.ts';
import type { Personal } from './event.ts';

// ── Events ──
/** The run made the restore point that the download reads. */
type DownloadRef = { downloadId: string } & RunIds;
type Request = DownloadRef & {
  manifest: ManifestRef;
  /** Time of the restore point. */
  backedUpAt: string;
  /** When the zip is deleted. */
  until: string;
  /** The chosen files and folders. A folder includes everything below it. */
  paths: Personal<string[]>;
  /** The export is this version of the only path, and no zip. */
  file?: { version: number };
};
type Grant = DownloadRef & { userId: string; version: number | null; path: Personal<string> };

export type DownloadEvent =
  /** A user got a download link for one version of a file. `version` and `path` null: for the zip of this stream. */
  | { type: 'DownloadGranted'; data: Grant }
  /** A user requested a zip. This event starts the export. */
  | { type: 'DownloadRequested'; data: Request }
  | { type: 'DownloadPrepared'; data: { downloadId: string; size: number } }
  | { type: 'DownloadFailed'; data: { downloadId: string; sourceId: string; reason: Personal<DownloadFailure> } };

/** Why the export failed. The message may name a file, so it is personal. */
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

/**
 * Milliseconds from the request of a zip to its deletion. So the last links, which live 15 minutes, end within a day.
 */
export const zipLifetime = 23 * 60 * 60_000;

/** The key of the blob of a download. S3 also has a lifecycle rule for the prefix `exports/`, as a backstop. */
export function exportKey(account: string, downloadId: string): string {
  return `exports/${account}/${downloadId}`;
}

// ── Decide ──
/** Grants one version of a file. */
export function grantFile(data: Grant & { version: number }): Decide<DownloadState, DownloadEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'DownloadGranted', data }] : []);
}

/** Requests a zip. A processor prepares it. */
export function requestZip(data: Request): Decide<DownloadState, DownloadEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'DownloadRequested', data }] : []);
}

/** Ends the export. Decides nothing unless the zip is in preparation. `size` is in bytes. */
export function zipPrepared(downloadId: string, size: number): Decide<DownloadState, DownloadEvent> {
  return (state) => (state.status === 'preparing' ? [{ type: 'DownloadPrepared', data: { downloadId, size } }] : []);
}

/** Ends the export without a zip. Decides nothing unless the zip is in preparation. */
export function zipFailed(downloadId: string, reason: DownloadFailure): Decide<DownloadState, DownloadEvent> {
  return (state) => {
    if (state.status !== 'preparing') return [];
    return [{ type: 'DownloadFailed', data: { downloadId, sourceId: state.request.sourceId, reason } }];
  };
}

/** Records one grant for each user, however often the user asks. */
export function grantZip(userId: string): Decide<DownloadState, DownloadEvent> {
  return (state) => {
    if (state.status !== 'ready' || state.grantedTo.includes(userId)) return [];
    const { downloadId, sourceId, jobId, runId } = state.request;
    return [
      { type: 'DownloadGranted', data: { downloadId, sourceId, jobId, runId, userId, version: null, path: null } },
    ];
  };
}
