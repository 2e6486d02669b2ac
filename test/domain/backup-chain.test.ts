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

describe('a backup chain', () => {
  it('rejects a second run while one is open, and names the open run', () => {
    const decide = () => given(backupChain, ...requested).when(requestRun(ids('run_2'), '2026-01-01T00:00:01.000Z'));
    expect(decide).toThrow(expect.objectContaining({ code: 'run-open', extra: { runId: 'run_1' } }));
  });

  it('ignores a repeated request, also after that run created a restore point or failed', () => {
    const again = requestRun(ids('run_1'), '2026-01-01T00:00:09.000Z');
    expect(given(backupChain, ...requested).when(again)).toEqual([]);
    expect(given(backupChain, ...requested, ...restorePoint).when(again)).toEqual([]);
    const failed = given(backupChain, ...requested).when(endRun(ids('run_1'), 'failed'));
    expect(given(backupChain, ...requested, ...failed).when(again)).toEqual([]);
  });

  it('has its whole state in the last event', () => {
    const last = restorePoint.at(-1) as BackupChainEvent;
    expect(given(backupChain, last).state).toEqual(given(backupChain, ...requested, ...restorePoint).state);
    expect(last.data.backupChain).toEqual({
      openRun: null,
      newestRestorePoint: { runId: 'run_1', at: result.at, manifest: result.manifest, totals, since: null },
      runs: 1,
    });
  });

  it.each([
    ['created in the same millisecond', '2026-01-02T00:00:00.000Z', '2026-01-02T00:00:00.001Z'],
    ['created after the clock was set back', '2026-01-01T23:59:59.999Z', '2026-01-02T00:00:00.001Z'],
    ['created later', '2026-01-02T00:00:00.002Z', '2026-01-02T00:00:00.002Z'],
  ])('gives a restore point %s a later time than the one before', (_when, at, expected) => {
    const next = given(backupChain, ...requested, ...restorePoint).when(requestRun(ids('run_2'), at));
    const [event] = given(backupChain, ...next).when(createRestorePoint(ids('run_2'), { ...result, at }));
    expect(event?.data.backupChain.newestRestorePoint).toMatchObject({ runId: 'run_2', at: expected });
  });

  it('creates a restore point for the open run only, not for a repeated, unknown or failed run', () => {
    expect(given(backupChain, ...requested, ...restorePoint).when(createRestorePoint(ids('run_1'), result))).toEqual(
      [],
    );
    expect(given(backupChain, ...requested).when(createRestorePoint(ids('run_0'), result))).toEqual([]);
    const failed = given(backupChain, ...requested).when(endRun(ids('run_1'), 'failed'));
    expect(given(backupChain, ...requested, ...failed).when(createRestorePoint(ids('run_1'), result))).toEqual([]);
  });

  it('keeps the newest restore point when a run fails, and records its totals when the next run succeeds', () => {
    const next = given(backupChain, ...requested, ...restorePoint).when(
      requestRun(ids('run_2'), '2026-01-03T00:00:00.000Z'),
    );
    const failed = given(backupChain, ...next).when(endRun(ids('run_2'), 'failed'));
    expect(given(backupChain, ...failed).state.newestRestorePoint?.runId).toBe('run_1');
    const [event] = given(backupChain, ...next).when(
      createRestorePoint(ids('run_2'), { ...result, totals: { ...totals, files: 5 } }),
    );
    expect(event).toMatchObject({ type: 'RestorePointCreated', data: { before: { files: 2 }, totals: { files: 5 } } });
  });
});
