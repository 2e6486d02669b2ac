/** Streams come into the ledger each in its order, and side by side in any: on AWS a relay that was killed brings some late. */
import { describe, expect, test } from 'vitest';
import type { AnyEvent } from '../../domain/catalogue.ts';
import type { Recorded } from '../../domain/event.ts';
import { type LineEvent, type LineState, line, nothing } from '../../domain/line.ts';
import { readFacts } from '../../processors/log-facts.ts';

const about = { runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
const manifest = { id: 'man_1', hash: 'h' };
const sums = { filesDone: 2, filesDeleted: 0, filesFailed: 0, filesSkipped: 0, bytesRead: 10 };

const open: LineState = { ...(line.initial as LineState), open: { runId: about.runId, requestedAt: '2026-01-01T00:00:00.000Z' }, runs: 1 };
const sealed: LineState = { ...open, open: null, sealed: { runId: about.runId, at: '', manifest, totals: nothing, since: null } };

const requested = on('line', { type: 'RunRequested', data: { ...about, line: open } });
const lineSealed = on('line', {
  type: 'LineSealed',
  data: { ...about, outcome: 'succeeded', manifest, totals: nothing, before: nothing, line: sealed } satisfies Extract<
    LineEvent,
    { type: 'LineSealed' }
  >['data'],
});
const started = on('run', { type: 'RunStarted', data: about });
const planned = on('run', {
  type: 'RunPlanned',
  data: { ...about, batches: 1, filesTotal: 2, filesUnchanged: 0, bytesTotal: 10, since: null },
});
const stored = on('batch', { type: 'BatchStored', data: { ...about, batch: 1, partHash: 'p', packs: ['pack_1'], counts: sums } });
const finished = (outcome: 'succeeded' | 'failed') =>
  on('run', {
    type: 'RunFinished',
    data: { ...about, outcome, counts: sums, manifest: outcome === 'failed' ? null : manifest, errorPages: 0 },
  });

function on(stream: string, event: object): Recorded & AnyEvent {
  return { stream: `acc_1/${stream}/1`, version: 1, at: '2026-01-01T00:00:00.000Z', ...event } as unknown as Recorded & AnyEvent;
}

function findings(events: Recorded[]) {
  const reader = readFacts('acc_1');
  reader.take(events);
  reader.end();
  return { findings: reader.findings.map(({ detail }) => detail), unfinished: [...reader.facts.unfinished.keys()] };
}

const whole = { findings: [], unfinished: [] };

describe('a run that is whole', () => {
  test.each([
    ['in the order of time', [requested, started, planned, stored, lineSealed, finished('succeeded')]],
    ['its line last', [requested, started, planned, stored, finished('succeeded'), lineSealed]],
    ['its batch last', [requested, started, planned, lineSealed, finished('succeeded'), stored]],
    ['its own stream first', [requested, started, planned, finished('succeeded'), lineSealed, stored]],
  ])('%s', (_, events) => {
    expect(findings(events)).toEqual(whole);
  });
});

describe('what is missing or contradicts is found, whatever came first', () => {
  test.each([
    ['no line', [requested, started, planned, stored, finished('succeeded')], /its line says otherwise \(still open\)/],
    ['no batch', [requested, started, planned, finished('succeeded'), lineSealed], /planned in 1 batches, and 0 are on record/],
    ['failed by itself, sealed by its line', [requested, started, planned, stored, finished('failed'), lineSealed], /line says otherwise/],
    ['never asked for', [started, finished('succeeded')], /never asked for/],
    ['ended twice', [requested, started, planned, stored, lineSealed, finished('succeeded'), finished('succeeded')], /ended before/],
  ])('%s', (_, events, what) => {
    const { findings: found } = findings(events);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(what);
  });
});

test('a run under way is unfinished and no finding', () => {
  expect(findings([requested, started])).toEqual({ findings: [], unfinished: ['run_1'] });
});
