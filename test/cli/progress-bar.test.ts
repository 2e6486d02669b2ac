import { expect, test } from 'vitest';
import type { Run } from '../../cli/follow.ts';
import { barText, nextProgress, type Progress, rateOf } from '../../cli/progress-bar.ts';

function run(percent: number | null, bytesRead: number, more: Partial<Run['progress']> = {}): Run {
  const counts = {
    filesTotal: 24,
    filesDone: 8,
    filesUnchanged: 3,
    filesDeleted: 5,
    filesFailed: 0,
    filesSkipped: 1,
    bytesStored: 0,
  };
  return {
    ...{ id: 'run_1', jobId: 'job_1', sourceId: 'src_1', status: 'running', errors: [], cost: { requests: 0, usd: 0 } },
    ...{ requestedAt: '', startedAt: '', finishedAt: null, kind: 'backup', trigger: 'manual', result: null },
    progress: { ...counts, bytesRead, percent, ...more },
  } as Run;
}

/** Returns the progress after these states of a run. */
const after = (...states: [at: number, percent: number | null, bytes: number][]) =>
  states.reduce<Progress | undefined>(
    (progress, [at, percent, bytes]) => nextProgress(progress, run(percent, bytes), at),
    undefined,
  ) as Progress;

test('shows planning until there is a percentage, and the percentage never goes back', () => {
  expect(barText(after([0, null, 0]), 80)).toBe('planning');
  const percents = [null, 5, 3, 50, null, 49, 100].map(
    (_, at, all) =>
      after(...all.slice(0, at + 1).map((percent, time): [number, number | null, number] => [time, percent, 0]))
        .percent,
  );
  expect(percents).toEqual([null, 5, 5, 50, 50, 50, 100]);
});

test('shows a full bar only at 100 %, and fits the width', () => {
  const almost = barText(after([0, 99.99, 0]), 100);
  expect(almost).toContain(' 99%');
  expect(almost).toContain('╌');
  const whole = barText(after([0, 100, 3 * 1024 * 1024]), 100);
  expect(whole).toMatch(/^━{40} 100% {2}12\/24 files {2}3\.0 MiB {2}1 skipped$/);
  for (const width of [1, 8, 20, 40, 79]) expect(barText(after([0, 50, 1]), width).length).toBeLessThanOrEqual(width);
});

test('measures the rate of the last five seconds', () => {
  expect(rateOf(after([0, 1, 0]))).toBeUndefined();
  expect(rateOf(after([0, 1, 0], [2000, 2, 4000]))).toBe(2000);
  expect(rateOf(after([0, 1, 0], [1000, 2, 1_000_000], [6000, 3, 1_000_000], [11_000, 3, 1_005_000]))).toBe(1000);
});
