/** The step that a plan has reached: one record, moved only by a worker at that step. */
import type { Platform } from '../../domain/ports.ts';
import { type RunRef, runRecord } from './run.ts';

/** `cursor` names the encrypted record with the listing position and the work that is not in a batch yet. */
export type Step = {
  step: number;
  batches: number;
  filesTotal: number;
  filesUnchanged: number;
  bytesTotal: number;
  filesLost: number;
  /** Lost packs of the account, of which some may not matter to this job. */
  packsLost: number;
  done: boolean;
  cursor: string | null;
  /** Batches of this step, which may not have been sent yet. */
  pending: { batch: number; work: string }[];
  /** The first batch that counts. It is above 1 if the plan started again. */
  first: number;
  /** The last restore point is damaged, and everything is read again. */
  isBaseDamaged: boolean;
  /** Changes alone cannot be used, so everything is listed. */
  isFull: boolean;
  /** How often the plan started again. */
  restarts: number;
  /** Whether the listing was sorted in pieces, which are blobs. */
  hasPieces: boolean;
  /** The listing's cursor for the next run, and the source identity. Each step sets them. Final once `done`. */
  since: string | null;
  sourceIdentity: string | null;
};

export async function readStep(platform: Platform, runRef: RunRef): Promise<Step> {
  const record = await platform.records.get(runRecord(runRef, 'plan'));
  if (record) return record.data as Step;
  return {
    ...{ step: 0, batches: 0, filesTotal: 0, filesUnchanged: 0, bytesTotal: 0, filesLost: 0, packsLost: 0 },
    ...{ done: false, cursor: null, pending: [], first: 1, restarts: 0, isBaseDamaged: false, isFull: false },
    ...{ hasPieces: false, since: null, sourceIdentity: null },
  };
}
