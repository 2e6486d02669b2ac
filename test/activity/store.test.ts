import { describe, expect, it } from 'vitest';
import { load, transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import type { Decide } from '../../domain/aggregate.ts';
import { backupChain, requestRun } from '../../domain/backup-chain.ts';
import { type JobEvent, type JobState, job } from '../../domain/job.ts';
import type { Platform } from '../../domain/ports.ts';
import { openTestPlatform } from '../support/embedded.ts';
import { auditLedger } from '../support/ledger.ts';

const stream = 'acc_1/job/job_1';
const cause = systemContext('acc_1', 'test', 'run_1', 'what');
const create: Decide<JobState, JobEvent> = (state) =>
  state.status === 'none' ? [{ type: 'JobCreated', data: { jobId: 'job_1', sourceId: 'src_1', name: 'Nightly' } }] : [];
const rename =
  (name: string): Decide<JobState, JobEvent> =>
  () => [{ type: 'JobRenamed', data: { jobId: 'job_1', name } }];

/** The platform, with a concurrent action before each append. */
function interrupted(platform: Platform, concurrent: () => Promise<unknown>): Platform {
  const append: Platform['events']['append'] = async (commit) => {
    await concurrent();
    return platform.events.append(commit);
  };
  return { ...platform, events: { ...platform.events, append } };
}

describe('transact', () => {
  it('appends the decided events and returns their version', async () => {
    const { platform } = await openTestPlatform();
    const first = await transact(platform, job, stream, create, cause);
    expect(first).toMatchObject({ stream, version: 1, appended: true, state: { status: 'active', sourceId: 'src_1' } });
    expect(await load(platform, job, stream)).toMatchObject({ state: first.state, head: { version: 1 }, at: first.at });
  });

  it('appends nothing when nothing is decided, and returns the current version', async () => {
    const { platform } = await openTestPlatform();
    const { at } = await transact(platform, job, stream, create, cause);
    expect(await transact(platform, job, stream, create, cause)).toMatchObject({ version: 1, at, appended: false });
    expect(await platform.events.load(stream)).toHaveLength(1);
  });

  it('decides again after a concurrent command appended', async () => {
    const { platform } = await openTestPlatform();
    let remaining = 1;
    const platformWithConcurrentAppend = interrupted(
      platform,
      async () => remaining-- > 0 && transact(platform, job, stream, create, cause),
    );
    const states: string[] = [];
    const result = await transact(
      platformWithConcurrentAppend,
      job,
      stream,
      (state) => {
        states.push(state.status);
        return create(state);
      },
      cause,
    );
    expect(states).toEqual(['none', 'active']);
    expect(result).toMatchObject({ version: 1, appended: false });
    expect(await platform.events.load(stream)).toHaveLength(1);
  });

  it('loses no event when many commands append at once', async () => {
    const { platform } = await openTestPlatform();
    await transact(platform, job, stream, create, cause);
    await Promise.all(Array.from({ length: 6 }, (_, i) => transact(platform, job, stream, rename(`name ${i}`), cause)));
    expect(await auditLedger(platform, 'acc_1')).toEqual({ JobCreated: 1, JobRenamed: 6 });
  });

  it('throws a conflict when a concurrent command is first every time', async () => {
    const { platform } = await openTestPlatform();
    await transact(platform, job, stream, create, cause);
    const platformWithConcurrentAppend = interrupted(platform, () =>
      transact(platform, job, stream, rename('theirs'), cause),
    );
    await expect(transact(platformWithConcurrentAppend, job, stream, rename('ours'), cause)).rejects.toMatchObject({
      code: 'conflict',
      extra: { retryAfter: 1 },
    });
  });

  it('throws the error of the decision, and appends nothing', async () => {
    const { platform } = await openTestPlatform();
    const reject = () => {
      throw new Error('no');
    };
    await expect(transact(platform, job, stream, reject, cause)).rejects.toThrow('no');
    expect(await platform.events.load(stream)).toEqual([]);
  });

  it('rejects a stream version that is not in ifVersion', async () => {
    const { platform } = await openTestPlatform();
    await transact(platform, job, stream, create, cause);
    await transact(platform, job, stream, rename('second'), { ...cause, ifVersion: [1] });
    const late = transact(platform, job, stream, rename('third'), { ...cause, ifVersion: [1] });
    await expect(late).rejects.toMatchObject({ code: 'precondition-failed' });
    expect(await transact(platform, job, stream, rename('third'), { ...cause, ifVersion: [1, 2] })).toMatchObject({
      version: 3,
    });
  });

  it('rejects it also when the concurrent command appends during the decision', async () => {
    const { platform } = await openTestPlatform();
    await transact(platform, job, stream, create, cause);
    let remaining = 1;
    const platformWithConcurrentAppend = interrupted(
      platform,
      async () => remaining-- > 0 && transact(platform, job, stream, rename('theirs'), cause),
    );
    const late = transact(platformWithConcurrentAppend, job, stream, rename('ours'), { ...cause, ifVersion: [1] });
    await expect(late).rejects.toMatchObject({ code: 'precondition-failed' });
  });

  it('loads only the last commit of a backup chain', async () => {
    const { platform } = await openTestPlatform();
    const name = 'acc_1/backup-chain/job_1.src_1';
    const runRef = { runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
    await transact(platform, backupChain, name, requestRun(runRef, '2026-01-01T00:00:00.000Z'), cause);
    const loadAll = () => Promise.reject(new Error('the whole stream was loaded'));
    const { state } = await load({ ...platform, events: { ...platform.events, load: loadAll } }, backupChain, name);
    expect(state.openRun?.runId).toBe('run_1');
  });
});
