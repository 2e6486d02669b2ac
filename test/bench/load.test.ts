import { expect, it } from 'vitest';
import { loadTable, measureLoad } from '../../bench/load.ts';

it('answers all requests of a load, and lists every created job', async () => {
  const load = { requests: 200, atOnce: 50 };
  const measured = await measureLoad(load);
  expect(measured).toMatchObject({ errors: {}, written: 40, found: 40 });
  expect(measured.p50).toBeLessThanOrEqual(measured.p99);
  expect(measured.p99).toBeLessThanOrEqual(measured.slowest);
  expect(loadTable([{ load, measured }])).toMatch(/\| 200 \| 50 \|.*\| 40 of 40 \| none \|$/);
});
