import { expect, test } from 'vitest';
import type { Run } from '../../cli/follow.ts';
import { barText, rateOf, type Seen, see } from '../../cli/progress-bar.ts';

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
    ...{ requestedAt: '', startedAt: '', finishedAt: null },
    progress: { ...counts, bytesRead, percent, ...more },
  } as Run;
}

const looks = (...of: [at: number, percent: number | null, bytes: number][]) =>
  of.reduce<Seen | undefined>((seen, [at, percent, bytes]) => see(seen, run(percent, bytes), at), undefined) as Seen;

test('is planning until there is a percentage, and never goes back after that', () => {
  expect(barText(looks([0, null, 0]), 80)).toBe('planning');
  const percents = [null, 5, 3, 50, null, 49, 100].map(
    (_, at, all) =>
      looks(...all.slice(0, at + 1).map((one, when): [number, number | null, number] => [when, one, 0])).percent,
  );
  expect(percents).toEqual([null, 5, 5, 50, 50, 50, 100]);
});

test('shows 100 only for 100, as full as it says, within the width there is', () => {
  const almost = barText(looks([0, 99.99, 0]), 100);
  expect(almost).toContain(' 99%');
  expect(almost).toContain('╌');
  const whole = barText(looks([0, 100, 3 * 1024 * 1024]), 100);
  expect(whole).toMatch(/^━{40} 100% {2}12\/24 files {2}3\.0 MiB {2}1 skipped$/);
  for (const width of [1, 8, 20, 40, 79]) expect(barText(looks([0, 50, 1]), width).length).toBeLessThanOrEqual(width);
});

test('the rate is that of the last five seconds', () => {
  expect(rateOf(looks([0, 1, 0]))).toBeUndefined();
  expect(rateOf(looks([0, 1, 0], [2000, 2, 4000]))).toBe(2000);
  expect(rateOf(looks([0, 1, 0], [1000, 2, 1_000_000], [6000, 3, 1_000_000], [11_000, 3, 1_005_000]))).toBe(1000);
});
