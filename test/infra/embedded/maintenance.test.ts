import { expect, onTestFinished, test } from 'vitest';
import { startMaintenance } from '../../../infra/embedded/maintenance.ts';
import { startServer } from '../../../infra/embedded/server.ts';
import { readSettings } from '../../../infra/embedded/settings.ts';
import { readGenerations } from '../../../projections/engine/generations.ts';
import { parked } from '../../../projections/engine/parking.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { projections } from '../../../projections/index.ts';
import {
  countingJobs,
  currentGeneration,
  failing,
  folded,
  makeJob,
  rename,
} from '../../projections/engine/jobs-world.ts';
import { openTestPlatform, silent, testFolder } from '../../support/embedded.ts';

const [one, two] = [countingJobs(1), countingJobs(2)];
const account = 'acc_1';

/** Resolves once the condition holds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(setImmediate);
}

test('retries parked streams at start', async () => {
  const { platform } = await openTestPlatform();
  const { stream, jobId } = await makeJob(platform, account);
  await handleNotifications(platform, [failing(one)], [await rename(platform, account, jobId)]);
  const stop = startMaintenance(platform, [one]);
  await until(async () => (await platform.rows.cursor('jobs', stream)) === 2);
  await stop();
  expect((await parked(platform).next()).done).toBe(true);
});

test('creates the first generation of every read model before the server answers', async () => {
  const settings = readSettings([], { PORT: '0', LISTBACKUP_DATA: await testFolder() });
  const deployment = await startServer(settings, silent);
  onTestFinished(() => deployment.close());
  const generations = await readGenerations(deployment.embedded.platform);
  for (const { name, version } of projections)
    expect(generations.get(name)).toMatchObject({ current: 1, version, building: null });
});

test('continues an interrupted rebuild at the next start', async () => {
  const data = await testFolder();
  const first = await openTestPlatform({ data });
  await startMaintenance(first.platform, [one])();
  const made = await Promise.all(Array.from({ length: 450 }, () => makeJob(first.platform, account)));
  await handleNotifications(first.platform, [one], made);
  const stop = startMaintenance(first.platform, [two]);
  await until(async () => ((await readGenerations(first.platform)).get('jobs')?.building?.cursor ?? null) !== null);
  await stop();
  const { building } = (await readGenerations(first.platform)).get('jobs') ?? {};
  expect(building).toMatchObject({ generation: 2, version: 2, walked: false });
  await first.close();

  const { platform } = await openTestPlatform({ data });
  const stopAgain = startMaintenance(platform, [two]);
  await until(async () => (await readGenerations(platform)).get('jobs')?.version === 2);
  await stopAgain();
  const { generation, rows } = await currentGeneration(platform);
  expect([generation, rows]).toEqual([2, await folded(platform, two, [account])]);
});
