/**
 * The ledger keeps the order within a stream, but not between streams. On AWS a killed relay enters some streams late.
 */
import { describe, expect, test } from 'vitest';
import { readFacts } from '../../doctor/log-facts.ts';
import { type BackupChainEvent, type BackupChainState, backupChain, nothing } from '../../domain/backup-chain.ts';
import type { AnyEvent } from '../../domain/catalogue.ts';
import type { Recorded } from '../../domain/event.ts';

const runRef = { runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
const manifest = { id: 'man_1', hash: 'h' };
const sums = { filesDone: 2, filesDeleted: 0, filesFailed: 0, filesSkipped: 0, bytesRead: 10 };

const open: BackupChainState = {
  ...(backupChain.initial as BackupChainState),
  openRun: { runId: runRef.runId, requestedAt: '2026-01-01T00:00:00.000Z' },
  runs: 1,
};
const restorePoint: BackupChainState = {
  ...open,
  openRun: null,
  newestRestorePoint: { runId: runRef.runId, at: '', manifest, totals: nothing, since: null },
};

const requested = on('backup-chain', { type: 'RunRequested', data: { ...runRef, backupChain: open } });
const restorePointCreated = on('backup-chain', {
  type: 'RestorePointCreated',
  data: {
    ...runRef,
    outcome: 'succeeded',
    manifest,
    totals: nothing,
    before: nothing,
    backupChain: restorePoint,
  } satisfies Extract<BackupChainEvent, { type: 'RestorePointCreated' }>['data'],
});
const started = on('run', { type: 'RunStarted', data: runRef });
const planned = on('run', {
  type: 'RunPlanned',
  data: { ...runRef, batches: 1, filesTotal: 2, filesUnchanged: 0, bytesTotal: 10, since: null },
});
const stored = on('batch', {
  type: 'BatchStored',
  data: { ...runRef, batch: 1, partHash: 'p', packs: ['pack_1'], counts: sums },
});
const finished = (outcome: 'succeeded' | 'failed') =>
  on('run', {
    type: 'RunFinished',
    data: { ...runRef, outcome, counts: sums, manifest: outcome === 'failed' ? null : manifest, errorPages: 0 },
  });

function on(stream: string, event: object): Recorded & AnyEvent {
  return { stream: `acc_1/${stream}/1`, version: 1, at: '2026-01-01T00:00:00.000Z', ...event } as unknown as Recorded &
    AnyEvent;
}

function findings(events: Recorded[]) {
  const reader = readFacts('acc_1');
  reader.take(events);
  reader.end();
  return { findings: reader.findings.map(({ detail }) => detail), unfinished: [...reader.facts.unfinished.keys()] };
}

const clean = { findings: [], unfinished: [] };

describe('a complete run gives no findings', () => {
  test.each([
    [
      'with its events in order of time',
      [requested, started, planned, stored, restorePointCreated, finished('succeeded')],
    ],
    ['with its backup chain last', [requested, started, planned, stored, finished('succeeded'), restorePointCreated]],
    ['with its batch last', [requested, started, planned, restorePointCreated, finished('succeeded'), stored]],
    ['with its own stream first', [requested, started, planned, finished('succeeded'), restorePointCreated, stored]],
  ])('%s', (_, events) => {
    expect(findings(events)).toEqual(clean);
  });
});

describe('one finding', () => {
  test.each([
    [
      'when the backup chain has no end',
      [requested, started, planned, stored, finished('succeeded')],
      /its backup chain says that it is open/,
    ],
    [
      'when a batch is missing',
      [requested, started, planned, finished('succeeded'), restorePointCreated],
      /planned with 1 batches, but 0 are stored/,
    ],
    [
      'when the run failed but its backup chain has a restore point',
      [requested, started, planned, stored, finished('failed'), restorePointCreated],
      /its backup chain says RestorePointCreated/,
    ],
    ['when a run finished without a request', [started, finished('succeeded')], /never requested/],
    [
      'when a run finished twice',
      [requested, started, planned, stored, restorePointCreated, finished('succeeded'), finished('succeeded')],
      /had finished before/,
    ],
  ])('%s', (_, events, detail) => {
    const { findings: found } = findings(events);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(detail);
  });
});

test('lists a running run as unfinished, without a finding', () => {
  expect(findings([requested, started])).toEqual({ findings: [], unfinished: ['run_1'] });
});
