/** A run of a job: its counts, its cost, and its progress while it is open. The backup chain has its events. */
import type { RecordKey } from './ports.ts';

export type RunOutcome = 'succeeded' | 'partial' | 'failed' | 'cancelled';

/** What a batch adds to the counts of its run. */
export type BatchCounts = {
  filesDone: number;
  filesDeleted: number;
  filesFailed: number;
  filesSkipped: number;
  bytesRead: number;
  bytesStored: number;
};

/** Counts files and links, not folders. `bytesStored`: bytes this run wrote to blobs, after dedup and compression. */
export type Counts = { filesTotal: number; filesUnchanged: number } & BatchCounts;

/** Requests the run made, and their price in US dollars at the list prices of the deployment. */
export type Cost = { requests: number; usd: number };

/** A file that the run could not back up. */
export type RunError = { path: string; code: string; message: string };

/** Bytes of a batch so far. `bytesHandled`: of `bytesTotal`, with the files that failed once the batch is done. */
export type BatchBytes = { bytesRead: number; bytesHandled: number };

/** The record of an open run. `filesTotal` is of the files found so far, until `isPlanned`. */
export type RunProgress = { startedAt: string; isPlanned: boolean; bytesTotal: number; bytesHandled: number } & Counts &
  Cost;

export function noProgress(startedAt: string): RunProgress {
  return {
    ...{ startedAt, isPlanned: false, bytesTotal: 0, bytesHandled: 0, filesTotal: 0, filesUnchanged: 0 },
    ...{ filesDone: 0, filesDeleted: 0, filesFailed: 0, filesSkipped: 0, bytesRead: 0, bytesStored: 0 },
    ...{ requests: 0, usd: 0 },
  };
}

/** The partition of the working records of a run. */
export function runPartition(account: string, runId: string): string {
  return `run#${account}#${runId}`;
}

export function progressKey(account: string, runId: string): RecordKey {
  return { pk: runPartition(account, runId), sk: 'progress' };
}
