import { describe, expect, it } from 'vitest';
import { load, transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { type JobEvent, type JobState, job } from '../../domain/job.ts';
import { line, requestRun } from '../../domain/line.ts';
import type { Decide } from '../../domain/noun.ts';
import type { Machine } from '../../domain/ports.ts';
import { openTestHome } from '../support/embedded.ts';
import { auditLedger } from '../support/ledger.ts';

const stream = 'acc_1/job/job_1';
const cause = systemContext('acc_1', 'test', 'run_1', 'what');
const create: Decide<JobState, JobEvent> = (state) =>
  state.status === 'none' ? [{ type: 'JobCreated', data: { jobId: 'job_1', sourceId: 'src_1', name: 'Nightly' } }] : [];
const rename =
  (name: string): Decide<JobState, JobEvent> =>
  () => [{ type: 'JobRenamed', data: { jobId: 'job_1', name } }];

/** The machine, with something that happens before each append. */
function before(machine: Machine, rival: () => Promise<unknown>): Machine {
  const append: Machine['events']['append'] = async (commit) => {
    await rival();
    return machine.events.append(commit);
  };
  return { ...machine, events: { ...machine.events, append } };
}

describe('a transaction', () => {
  it('appends what is decided, and tells where', async () => {
    const { machine } = await openTestHome();
    const first = await transact(machine, job, stream, create, cause);
    expect(first).toMatchObject({ stream, version: 1, appended: true, state: { status: 'active', sourceId: 'src_1' } });
    expect(await load(machine, job, stream)).toMatchObject({ state: first.state, head: { version: 1 }, at: first.at });
  });

  it('appends nothing when nothing is decided, and tells where it stands', async () => {
    const { machine } = await openTestHome();
    const { at } = await transact(machine, job, stream, create, cause);
    expect(await transact(machine, job, stream, create, cause)).toMatchObject({ version: 1, at, appended: false });
    expect(await machine.events.load(stream)).toHaveLength(1);
  });

  it('decides anew on what a rival left', async () => {
    const { machine } = await openTestHome();
    let rivals = 1;
    const rivalled = before(machine, async () => rivals-- > 0 && transact(machine, job, stream, create, cause));
    const states: string[] = [];
    const result = await transact(
      rivalled,
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
    expect(await machine.events.load(stream)).toHaveLength(1);
  });

  it('loses nothing when many append at once', async () => {
    const { machine } = await openTestHome();
    await transact(machine, job, stream, create, cause);
    await Promise.all(Array.from({ length: 6 }, (_, i) => transact(machine, job, stream, rename(`name ${i}`), cause)));
    expect(await auditLedger(machine, 'acc_1')).toEqual({ JobCreated: 1, JobRenamed: 6 });
  });

  it('gives up as a conflict when others are faster every time', async () => {
    const { machine } = await openTestHome();
    await transact(machine, job, stream, create, cause);
    const rivalled = before(machine, () => transact(machine, job, stream, rename('theirs'), cause));
    await expect(transact(rivalled, job, stream, rename('ours'), cause)).rejects.toMatchObject({
      code: 'conflict',
      extra: { retryAfter: 1 },
    });
  });

  it('throws what the decision throws, and appends nothing', async () => {
    const { machine } = await openTestHome();
    const refuse = () => {
      throw new Error('no');
    };
    await expect(transact(machine, job, stream, refuse, cause)).rejects.toThrow('no');
    expect(await machine.events.load(stream)).toEqual([]);
  });

  it('refuses a version that the caller did not know', async () => {
    const { machine } = await openTestHome();
    await transact(machine, job, stream, create, cause);
    await transact(machine, job, stream, rename('second'), { ...cause, ifVersion: [1] });
    const late = transact(machine, job, stream, rename('third'), { ...cause, ifVersion: [1] });
    await expect(late).rejects.toMatchObject({ code: 'precondition-failed' });
    expect(await transact(machine, job, stream, rename('third'), { ...cause, ifVersion: [1, 2] })).toMatchObject({ version: 3 });
  });

  it('refuses it also when the rival comes while it decides', async () => {
    const { machine } = await openTestHome();
    await transact(machine, job, stream, create, cause);
    let rivals = 1;
    const rivalled = before(machine, async () => rivals-- > 0 && transact(machine, job, stream, rename('theirs'), cause));
    const late = transact(rivalled, job, stream, rename('ours'), { ...cause, ifVersion: [1] });
    await expect(late).rejects.toMatchObject({ code: 'precondition-failed' });
  });

  it('reads one commit of a line, however long it is', async () => {
    const { machine } = await openTestHome();
    const name = 'acc_1/line/job_1.src_1';
    const about = { runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
    await transact(machine, line, name, requestRun(about, '2026-01-01T00:00:00.000Z'), cause);
    const whole = () => Promise.reject(new Error('the whole line was read'));
    const { state } = await load({ ...machine, events: { ...machine.events, load: whole } }, line, name);
    expect(state.open?.runId).toBe('run_1');
  });
});
