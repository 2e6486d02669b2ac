/** A job: which source to back up. */

import type { Aggregate, Decide } from './aggregate.ts';
import { Problem } from './errors.ts';
import type { Personal } from './event.ts';

// ── Events ──
export type JobEvent =
  | { type: 'JobCreated'; data: { jobId: string; sourceId: string; name: Personal<string> } }
  | { type: 'JobRenamed'; data: { jobId: string; name: Personal<string> } }
  | { type: 'JobDeleted'; data: { jobId: string } };

// ── State ──
export type JobState = { status: 'none' } | { status: 'active'; sourceId: string } | { status: 'deleted' };

export const job: Aggregate<JobState, JobEvent> = {
  stream: 'job',
  versions: { JobCreated: 1, JobRenamed: 1, JobDeleted: 1 },
  personal: {
    JobCreated: { name: (stream) => stream.account },
    JobRenamed: { name: (stream) => stream.account },
  },
  initial: { status: 'none' },
  evolve(state, event) {
    switch (event.type) {
      case 'JobCreated':
        return { status: 'active', sourceId: event.data.sourceId };
      case 'JobRenamed':
        return state;
      case 'JobDeleted':
        return { status: 'deleted' };
    }
  },
};

// ── Decide ──
export function createJob(data: Extract<JobEvent, { type: 'JobCreated' }>['data']): Decide<JobState, JobEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'JobCreated', data }] : []);
}

/** Throws Problem `not-found`. */
export function renameJob(jobId: string, name: string): Decide<JobState, JobEvent> {
  return (state) => {
    mustBeActive(state, jobId);
    return [{ type: 'JobRenamed', data: { jobId, name } }];
  };
}

/** Throws Problem `not-found`. */
export function deleteJob(jobId: string): Decide<JobState, JobEvent> {
  return (state) => {
    mustBeActive(state, jobId);
    return [{ type: 'JobDeleted', data: { jobId } }];
  };
}

/** Throws Problem `not-found` for a job that is deleted, was never created or belongs to another account. */
export function mustBeActive(state: JobState, jobId: string): asserts state is Extract<JobState, { status: 'active' }> {
  if (state.status !== 'active')
    throw new Problem('not-found', `Job ${jobId} does not exist. List jobs with GET /jobs.`);
}
