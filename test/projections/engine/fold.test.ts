import { expect, test } from 'vitest';
import type { Row } from '../../../domain/ports.ts';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import { foldAsOf } from '../../../projections/engine/fold.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { openTestPlatform } from '../../support/embedded.ts';
import { countingJobs, currentGeneration, makeJob, poison, rename, write } from './jobs-world.ts';

const model = countingJobs(1);
const accounts = ['acc_1', 'acc_2'];

test.each([1, 2, 3])('a fold as of any time equals the rows at that time (seed %i)', async (seed) => {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const { platform } = await openTestPlatform({ now: () => clock.now });
  const snapshots: { at: string; rows: Row[] }[] = [{ at: new Date(clock.now - 1).toISOString(), rows: [] }];
  for (let step = 0; step < 12; step++) {
    await write(
      platform,
      accounts,
      25,
      makeChaos(seed * 100 + step),
      (notification) => void notifications.push(notification),
    );
    await handleNotifications(platform, [model], notifications.splice(0));
    snapshots.push({ at: new Date(clock.now).toISOString(), rows: (await currentGeneration(platform)).rows });
    clock.now += 1;
  }
  for (const { at, rows } of snapshots) {
    for (const account of accounts) {
      const { rows: folded, stopped } = await foldAsOf(platform, model, account, at);
      expect(stopped).toEqual([]);
      expect(folded).toEqual(rows.filter(({ pk }) => pk.startsWith(account)));
    }
  }
  expect((await foldAsOf(platform, model, 'acc_1')).rows).toEqual(
    snapshots.at(-1)?.rows.filter(({ pk }) => pk.startsWith('acc_1')),
  );
});

const notifications: { stream: string; version: number }[] = [];

test('a fold stops only the stream of a damaged commit', async () => {
  const { platform } = await openTestPlatform();
  const [bad, good] = [await makeJob(platform, 'acc_1'), await makeJob(platform, 'acc_1')];
  await poison(platform, bad.stream);
  await rename(platform, 'acc_1', good.jobId);
  const { rows, stopped } = await foldAsOf(platform, model, 'acc_1');
  expect(stopped).toEqual([{ stream: bad.stream, version: 2, fault: 'damaged' }]);
  expect(rows.find(({ sk }) => sk === 'count')?.data).toEqual({ 'events-1': 3 });
});

test('a fold writes nothing', async () => {
  const { platform } = await openTestPlatform();
  const { stream } = await makeJob(platform, 'acc_1');
  await foldAsOf(platform, model, 'acc_1');
  expect(await platform.rows.cursor('jobs', stream)).toBe(0);
  expect((await platform.rows.scan('jobs', { limit: 10 })).items).toEqual([]);
});
