import { describe, expect, it } from 'vitest';
import {
  type BackupChainEvent,
  backupChain,
  createRestorePoint,
  endRun,
  pauseRun,
  requestRun,
} from '../../domain/backup-chain.ts';
import { noErrors, noWork } from '../support/backups.ts';
import { given } from '../support/given.ts';

const ids = (runId: string) => ({ runId, jobId: 'job_1', sourceId: 'src_1' });
const totals = { files: 2, folders: 1, links: 0, bytes: 30 };
const result = {
  outcome: 'succeeded',
  manifest: { id: 'm1', hash: 'h1' },
  totals,
  since: null,
  at: '2026-01-02T00:00:00.000Z',
  ...noErrors,
  ...noWork,
} as const;
const failure = { outcome: 'failed', reason: { code: 'internal', message: 'x' }, ...noWork } as const;
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
    const failed = given(backupChain, ...requested).when(endRun(ids('run_1'), failure));
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
    const failed = given(backupChain, ...requested).when(endRun(ids('run_1'), failure));
    expect(given(backupChain, ...requested, ...failed).when(createRestorePoint(ids('run_1'), result))).toEqual([]);
  });

  it('keeps the newest restore point when a run fails, and records its totals when the next run succeeds', () => {
    const next = given(backupChain, ...requested, ...restorePoint).when(
      requestRun(ids('run_2'), '2026-01-03T00:00:00.000Z'),
    );
    const failed = given(backupChain, ...next).when(endRun(ids('run_2'), failure));
    expect(given(backupChain, ...failed).state.newestRestorePoint?.runId).toBe('run_1');
    const [event] = given(backupChain, ...next).when(
      createRestorePoint(ids('run_2'), { ...result, totals: { ...totals, files: 5 } }),
    );
    expect(event).toMatchObject({ type: 'RestorePointCreated', data: { before: { files: 2 }, totals: { files: 5 } } });
  });

  it('ends with the start, the counts and the cost of the run, whatever the outcome', () => {
    const done = {
      startedAt: '2026-01-01T00:00:01.000Z',
      counts: { ...noWork.counts, filesTotal: 9, filesDone: 4 },
      cost: { requests: 7, usd: 0.5 },
    };
    const cancelled = endRun(ids('run_1'), { outcome: 'cancelled', reason: null, ...done });
    for (const end of [cancelled, createRestorePoint(ids('run_1'), { ...result, ...done })])
      expect(given(backupChain, ...requested).when(end)).toMatchObject([{ data: done }]);
  });

  it('pauses its open run and resumes it, each once, and keeps the rest of its state', () => {
    const [pause, resume] = [pauseRun(ids('run_1'), true), pauseRun(ids('run_1'), false)];
    expect(given(backupChain, ...requested).when(resume)).toEqual([]);
    const paused = given(backupChain, ...requested).when(pause);
    expect(paused).toMatchObject([
      { type: 'RunPaused', data: { runId: 'run_1', backupChain: { openRun: { isPaused: true }, runs: 1 } } },
    ]);
    expect(given(backupChain, ...requested, ...paused).when(pause)).toEqual([]);
    const resumed = given(backupChain, ...requested, ...paused).when(resume);
    expect(resumed).toMatchObject([{ type: 'RunResumed', data: { backupChain: { openRun: { isPaused: false } } } }]);
    const { openRun: _, ...before } = given(backupChain, ...requested).state;
    expect(resumed[0]?.data.backupChain).toMatchObject(before);
  });

  it.each([true, false])('rejects the pause (%s) of a run that is not open', (isPaused) => {
    const pause = (runId: string) => pauseRun(ids(runId), isPaused);
    const over = expect.objectContaining({ code: 'run-over' });
    expect(() => given(backupChain, ...requested, ...restorePoint).when(pause('run_1'))).toThrow(over);
    expect(() => given(backupChain, ...requested).when(pause('run_0'))).toThrow(over);
  });

  it('lets a paused run end, and the next run starts unpaused', () => {
    const paused = given(backupChain, ...requested).when(pauseRun(ids('run_1'), true));
    const ended = given(backupChain, ...requested, ...paused).when(endRun(ids('run_1'), failure));
    const at = '2026-01-03T00:00:00.000Z';
    const next = given(backupChain, ...requested, ...paused, ...ended).when(requestRun(ids('run_2'), at));
    expect(next[0]?.data.backupChain.openRun).toEqual({ runId: 'run_2', requestedAt: at });
  });
});
