/**
 * A piece of the work of a run. It closes at 1,000 items (with folders, deletions and refusals), or after the file that
 * brings it to 64 MiB. Concurrent workers may store it twice. The first event counts.
 */
import type { Aggregate, Decide } from './aggregate.ts';
import type { RunIds } from './backup-chain.ts';
import type { Cost } from './run.ts';

export type BatchCounts = {
  filesDone: number;
  filesDeleted: number;
  filesFailed: number;
  filesSkipped: number;
  bytesRead: number;
  bytesStored: number;
};

// ── Events ──
export type BatchEvent = {
  type: 'BatchStored';
  data: RunIds & {
    batch: number;
    /** SHA-256 (hex) of the encrypted manifest part, a blob that lists the stored files (claim check). */
    partHash: string;
    packs: string[];
    counts: BatchCounts;
    cost: Cost;
  };
};

// ── State ──
export type BatchState = { status: 'none' } | { status: 'stored'; partHash: string };

export const batch: Aggregate<BatchState, BatchEvent> = {
  stream: 'batch',
  versions: { BatchStored: 1 },
  personal: {},
  initial: { status: 'none' },
  evolve(_state, event) {
    switch (event.type) {
      case 'BatchStored':
        return { status: 'stored', partHash: event.data.partHash };
    }
  },
};

export function batchId(runId: string, number: number): string {
  return `${runId}.${number}`;
}

// ── Decide ──
/** Decides nothing if a concurrent worker stored the batch first. */
export function storeBatch(data: BatchEvent['data']): Decide<BatchState, BatchEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'BatchStored', data }] : []);
}
