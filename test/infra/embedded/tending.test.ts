import { expect, onTestFinished, test } from 'vitest';
import { startHome } from '../../../infra/embedded/home.ts';
import { readSettings } from '../../../infra/embedded/settings.ts';
import { startTending } from '../../../infra/embedded/tending.ts';
import { readGenerations } from '../../../projections/generations.ts';
import { projections } from '../../../projections/index.ts';
import { parked } from '../../../projections/parking.ts';
import { handleWakeups } from '../../../projections/runner.ts';
import { countingJobs, currentGeneration, failing, folded, makeJob, rename } from '../../projections/jobs-world.ts';
import { openTestHome, silent, testFolder } from '../../support/embedded.ts';

const [one, two] = [countingJobs(1), countingJobs(2)];
const account = 'acc_1';

/** Resolves once it holds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(setImmediate);
}

test('a start tries again what stands still: the version that starts may get past it', async () => {
  const { machine } = await openTestHome();
  const { stream, jobId } = await makeJob(machine, account);
  await handleWakeups(machine, [failing(one)], [await rename(machine, account, jobId)]);
  const stop = startTending(machine, [one]);
  await until(async () => (await machine.rows.cursor('jobs', stream)) === 2);
  await stop();
  expect((await parked(machine).next()).done).toBe(true);
});

test('a new home has its read models in their first generation before anybody can ask it for anything', async () => {
  const settings = readSettings([], { PORT: '0', LISTBACKUP_DATA: await testFolder() });
  const home = await startHome(settings, silent);
  onTestFinished(() => home.close());
  const generations = await readGenerations(home.embedded.machine);
  for (const { name, version } of projections) expect(generations.get(name)).toMatchObject({ current: 1, version, building: null });
});

test('a rebuild is cut off by the end of a home and goes on at its next start', async () => {
  const data = await testFolder();
  const first = await openTestHome({ data });
  await startTending(first.machine, [one])();
  const made = await Promise.all(Array.from({ length: 450 }, () => makeJob(first.machine, account)));
  await handleWakeups(first.machine, [one], made);
  const stop = startTending(first.machine, [two]);
  await until(async () => ((await readGenerations(first.machine)).get('jobs')?.building?.cursor ?? null) !== null);
  await stop();
  const { building } = (await readGenerations(first.machine)).get('jobs') ?? {};
  expect(building).toMatchObject({ generation: 2, version: 2, walked: false });
  await first.close();

  const { machine } = await openTestHome({ data });
  const stopAgain = startTending(machine, [two]);
  await until(async () => (await readGenerations(machine)).get('jobs')?.version === 2);
  await stopAgain();
  const { generation, rows } = await currentGeneration(machine);
  expect([generation, rows]).toEqual([2, await folded(machine, two, [account])]);
});
