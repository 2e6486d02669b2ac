import { describe, expect, test } from 'vitest';
import { readFacts } from '../../doctor/log-facts.ts';
import {
  type BackupChainEvent,
  type BackupChainState,
  backupChain,
  createRestorePoint,
  endRun,
  nothing,
  pauseRun,
  requestRun,
} from '../../domain/backup-chain.ts';
import type { AnyEvent } from '../../domain/catalogue.ts';
import type { Recorded } from '../../domain/event.ts';
import { noErrors, noWork } from '../support/backups.ts';
import { given } from '../support/given.ts';

const runIds = { runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
const at = '2026-01-01T00:00:00.000Z';
const manifest = { id: 'man_1', hash: 'h' };
const result = { outcome: 'succeeded', manifest, totals: nothing, since: null, at, ...noErrors, ...noWork } as const;

/** The only event of a decision. */
function next(decide: Parameters<ReturnType<typeof chain>['when']>[0], ...before: BackupChainEvent[]) {
  const [event] = chain(...before).when(decide);
  if (!event) throw new Error('nothing was decided');
  return event;
}
const chain = (...events: BackupChainEvent[]) => given(backupChain, ...events);

const requested = next(requestRun(runIds, at));
const paused = next(pauseRun(runIds, true), requested);
const resumed = next(pauseRun(runIds, false), requested, paused);
const committed = next(createRestorePoint(runIds, result), requested);
const failed = next(endRun(runIds, { outcome: 'failed', reason: null, ...noWork }), requested);

/** The event, with another state of the backup chain. */
function changed(event: BackupChainEvent, state: Partial<BackupChainState>): BackupChainEvent {
  const backupChain = { ...event.data.backupChain, ...state };
  return { ...event, data: { ...event.data, backupChain } } as BackupChainEvent;
}

function factsOf(events: BackupChainEvent[]) {
  const reader = readFacts('acc_1');
  const stream = 'acc_1/backup-chain/job_1.src_1';
  reader.take(events.map((event, i) => ({ stream, version: i + 1, at, ...event }) as unknown as Recorded & AnyEvent));
  reader.end();
  return {
    findings: reader.findings.map(({ detail }) => detail),
    unfinished: [...reader.facts.unfinished.keys()],
    manifests: reader.facts.manifests.map(({ ref }) => ref),
  };
}

test.each<[string, BackupChainEvent[], { unfinished: string[]; manifests: object[] }]>([
  ['that was requested', [requested], { unfinished: ['run_1'], manifests: [] }],
  ['that is paused', [requested, paused], { unfinished: ['run_1'], manifests: [] }],
  ['that goes on after a pause', [requested, paused, resumed], { unfinished: ['run_1'], manifests: [] }],
  ['with a restore point', [requested, committed], { unfinished: [], manifests: [manifest] }],
  ['that failed', [requested, failed], { unfinished: [], manifests: [] }],
])('knows from the log a run %s, without a finding', (_, events, facts) => {
  expect(factsOf(events)).toEqual({ findings: [], ...facts });
});

describe('one finding', () => {
  const otherHead = next(createRestorePoint(runIds, { ...result, manifest: { id: 'man_2', hash: 'x' } }), requested)
    .data.backupChain.newestRestorePoint;

  test.each<[string, BackupChainEvent[], RegExp]>([
    [
      'when a run was requested while another was open',
      [requested, changed(requested, { runs: 2 })],
      /run_1 was still open/,
    ],
    ['when a restore point has no open run', [committed], /it was not the open run/],
    ['when a run ended twice', [requested, failed, failed], /it was not the open run/],
    ['when a run failed after its restore point', [requested, committed, failed], /it was not the open run/],
    ['when a run was paused after its end', [requested, failed, paused], /it was not the open run/],
    [
      'when a pause changed more than the open run',
      [requested, changed(paused, { runs: 5 })],
      /it changed more than the open run/,
    ],
    [
      'when a run stays open after its end',
      [requested, changed(failed, requested.data.backupChain)],
      /still has an open run after it/,
    ],
    [
      'when a failed run changed the last good backup',
      [requested, changed(failed, { newestRestorePoint: otherHead })],
      /it changed the last good backup/,
    ],
    [
      'when a restore point is not the last good backup',
      [requested, changed(committed, { newestRestorePoint: otherHead })],
      /it is not the last good backup/,
    ],
  ])('%s', (_, events, detail) => {
    const { findings } = factsOf(events);
    expect(findings[0]).toMatch(detail);
    expect(findings).toHaveLength(1);
  });
});
