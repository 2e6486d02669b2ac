import { describe, expect, it } from 'vitest';
import { createJob, deleteJob, job, renameJob } from '../../domain/job.ts';
import { given } from '../support/given.ts';

const data = { jobId: 'job_1', sourceId: 'src_1', name: 'Nightly' };
const created = given(job).when(createJob(data));

describe('a job', () => {
  it('ignores a repeated creation', () => {
    expect(created).toEqual([{ type: 'JobCreated', data }]);
    expect(given(job, ...created).when(createJob(data))).toEqual([]);
  });

  it('can be renamed and deleted, and does not exist afterwards', () => {
    const renamed = given(job, ...created).when(renameJob('job_1', 'Weekly'));
    const deleted = given(job, ...created, ...renamed).when(deleteJob('job_1'));
    expect(() => given(job, ...created, ...deleted).when(renameJob('job_1', 'x'))).toThrow(
      expect.objectContaining({ code: 'not-found' }),
    );
    expect(() => given(job).when(deleteJob('job_1'))).toThrow(expect.objectContaining({ code: 'not-found' }));
  });
});
