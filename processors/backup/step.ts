/** Where a plan stands: one record, moved only by whoever stands at its present step. */
import type { Platform } from '../../domain/ports.ts';
import { type RunRef, runRecord } from './run.ts';

/** `place` names the sealed record with the cursor, the last key and the work not yet cut into a batch: all of them names. */
export type Step = {
  step: number;
  batches: number;
  filesTotal: number;
  filesUnchanged: number;
  bytesTotal: number;
  done: boolean;
  cursor: string | null;
  /** Batches decided in this step and perhaps not yet sent. */
  pending: { batch: number; work: string }[];
};

export async function readStep(platform: Platform, runRef: RunRef): Promise<Step> {
  const record = await platform.records.get(runRecord(runRef, 'plan'));
  if (record) return record.data as Step;
  return {
    step: 0,
    batches: 0,
    filesTotal: 0,
    filesUnchanged: 0,
    bytesTotal: 0,
    done: false,
    cursor: null,
    pending: [],
  };
}
