import { describe, expect, it } from 'vitest';
import { finishRun, planRun, run, startRun } from '../../domain/run.ts';
import { given } from '../support/given.ts';

const ids = { runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
const plan = { ...ids, batches: 2, filesTotal: 9, filesUnchanged: 1, bytesTotal: 100, since: null };
const counts = {
  filesTotal: 9,
  filesDone: 8,
  filesUnchanged: 1,
  filesDeleted: 0,
  filesFailed: 0,
  filesSkipped: 0,
  bytesRead: 100,
  bytesStored: 50,
};
const end = {
  ...ids,
  outcome: 'succeeded',
  counts,
  cost: { requests: 1, usd: 0 },
  manifest: null,
  totals: null,
  reason: null,
  errorPages: 0,
} as const;
const started = given(run).when(startRun(ids));
const planned = given(run, ...started).when(planRun(plan));
const finished = given(run, ...started, ...planned).when(finishRun({ ...end, errors: [] }));

describe('a run', () => {
  it('ignores a repeated start, plan or end', () => {
    expect([started, planned, finished].map((events) => events.length)).toEqual([1, 1, 1]);
    const whole = given(run, ...started, ...planned, ...finished);
    expect(whole.when(startRun(ids))).toEqual([]);
    expect(whole.when(planRun(plan))).toEqual([]);
    expect(whole.when(finishRun({ ...end, errors: [], outcome: 'failed' }))).toEqual([]);
    expect(whole.state).toEqual({ status: 'finished', outcome: 'succeeded' });
  });

  it('keeps its first plan when a slow concurrent worker makes another', () => {
    expect(given(run, ...started, ...planned).when(planRun({ ...plan, batches: 7 }))).toEqual([]);
  });

  it('rejects a plan before the start, but can end without a plan', () => {
    expect(given(run).when(planRun(plan))).toEqual([]);
    expect(given(run, ...started).when(finishRun({ ...end, errors: [], outcome: 'failed' }))).toHaveLength(1);
  });
});
