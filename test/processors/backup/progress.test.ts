/** The progress of a run counts the bytes of a file in hand, each once. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { getRun } from '../../../projections/runs.ts';
import { account, makeWorld } from '../../faults/world.ts';
import { noise } from '../../vault/vault-fixture.ts';

const MiB = 1024 * 1024;

it.each([
  { where: 'with the plan', batches: 1, dies: false },
  { where: 'in a task of its own', batches: 2, dies: false },
  { where: 'with the plan, and once more after an error', batches: 1, dies: true },
  { where: 'in a task of its own, and once more after an error', batches: 2, dies: true },
])('moves by bytes while a large file is stored $where', async ({ batches, dies }) => {
  const seen: { bytesRead: number; percent: number | null }[] = [];
  const size = 24 * MiB;
  let runId = '';
  let errors = dies ? 1 : 0;
  const world = await makeWorld({
    async reached(step) {
      if (step !== 'store:checkpoint' && step !== 'store:part-saved' && step !== 'commit:manifest-written') return;
      const run = await getRun(world.platform, account, runId);
      if (!run) throw new Error('the run does not exist');
      const { bytesRead, percent } = run.progress;
      seen.push({ bytesRead, percent });
      if (seen.length > 3 && errors-- > 0) throw new Error('killed');
    },
  });
  await writeFile(join(world.source, 'large'), noise(size));
  // The large file fills its batch.
  if (batches === 2) await writeFile(join(world.source, 'small'), 'small');
  runId = await world.request();
  await world.settle();
  const { progress, status } = (await getRun(world.platform, account, runId)) ?? {};
  const total = size + (batches === 2 ? 'small'.length : 0);
  expect({ status, ...progress }).toMatchObject({ status: 'succeeded', bytesRead: total, percent: 100 });
  for (const [i, { bytesRead, percent }] of seen.entries()) {
    expect(bytesRead).toBeGreaterThanOrEqual(seen[i - 1]?.bytesRead ?? 0);
    expect(bytesRead).toBeLessThanOrEqual(total);
    expect(percent).toBe(Math.min(99, Math.floor((100 * bytesRead) / total)));
  }
  expect(new Set(seen.map(({ percent }) => percent)).size).toBeGreaterThan(4);
});
