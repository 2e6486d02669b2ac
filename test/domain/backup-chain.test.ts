import { describe, expect, it } from 'vitest';
import {
  type BackupChainEvent,
  backupChain,
  createRestorePoint,
  endRun,
  requestRun,
} from '../../domain/backup-chain.ts';
import { given } from '../support/given.ts';

const ids = (runId: string) => ({ runId, jobId: 'job_1', sourceId: 'src_1' });
const totals = { files: 2, folders: 1, links: 0, bytes: 30 };
const result = {
  outcome: 'succeeded',
  manifest: { id: 'm1', hash: 'h1' },
  totals,
  since: null,
  at: '2026-01-02T00:00:00.000Z',
} as const;
const requested = given(backupChain).when(requestRun(ids('run_1'), '2026-01-01T00:00:00.000Z'));
const restorePoint = given(backupChain, ...requested).when(createRestorePoint(ids('run_1'), result));

describe('a line', () => {
  it('opens for one run at a time and names the open one to the second', () => {
    const decide = () => given(backupChain, ...requested).when(requestRun(ids('run_2'), '2026-01-01T00:00:01.000Z'));
    expect(decide).toThrow(expect.objectContaining({ code: 'run-open', extra: { runId: 'run_1' } }));
  });

  it('answers a repeated request with nothing new, also after that run has sealed or was released', () => {
    const again = requestRun(ids('run_1'), '2026-01-01T00:00:09.000Z');
    expect(given(backupChain, ...requested).when(again)).toEqual([]);
    expect(given(backupChain, ...requested, ...restorePoint).when(again)).toEqual([]);
    const released = given(backupChain, ...requested).when(endRun(ids('run_1'), 'failed'));
    expect(given(backupChain, ...requested, ...released).when(again)).toEqual([]);
  });

  it('carries its whole state in each event, so that the last one is enough', () => {
    const last = restorePoint.at(-1) as BackupChainEvent;
    expect(given(backupChain, last).state).toEqual(given(backupChain, ...requested, ...restorePoint).state);
    expect(last.data.backupChain).toEqual({
      open: null,
      head: { runId: 'run_1', at: result.at, manifest: result.manifest, totals, since: null },
      runs: 1,
    });
  });

  it.each([
    ['in the same millisecond', '2026-01-02T00:00:00.000Z', '2026-01-02T00:00:00.001Z'],
    ['by a clock that was set back', '2026-01-01T23:59:59.999Z', '2026-01-02T00:00:00.001Z'],
    ['later', '2026-01-02T00:00:00.002Z', '2026-01-02T00:00:00.002Z'],
  ])('has its backups one after another in time: the next one %s', (_when, at, kept) => {
    const next = given(backupChain, ...requested, ...restorePoint).when(requestRun(ids('run_2'), at));
    const [event] = given(backupChain, ...next).when(createRestorePoint(ids('run_2'), { ...result, at }));
    expect(event?.data.backupChain.head).toMatchObject({ runId: 'run_2', at: kept });
  });

  it('seals only for the open run: a twin, a late one and a released one change nothing', () => {
    expect(given(backupChain, ...requested, ...restorePoint).when(createRestorePoint(ids('run_1'), result))).toEqual(
      [],
    );
    expect(given(backupChain, ...requested).when(createRestorePoint(ids('run_0'), result))).toEqual([]);
    const released = given(backupChain, ...requested).when(endRun(ids('run_1'), 'failed'));
    expect(given(backupChain, ...requested, ...released).when(createRestorePoint(ids('run_1'), result))).toEqual([]);
  });

  it('keeps the last good backup when a later run fails, and says what it was before when one succeeds', () => {
    const next = given(backupChain, ...requested, ...restorePoint).when(
      requestRun(ids('run_2'), '2026-01-03T00:00:00.000Z'),
    );
    const failed = given(backupChain, ...next).when(endRun(ids('run_2'), 'failed'));
    expect(given(backupChain, ...failed).state.head?.runId).toBe('run_1');
    const [event] = given(backupChain, ...next).when(
      createRestorePoint(ids('run_2'), { ...result, totals: { ...totals, files: 5 } }),
    );
    expect(event).toMatchObject({ type: 'RestorePointCreated', data: { before: { files: 2 }, totals: { files: 5 } } });
  });
});
