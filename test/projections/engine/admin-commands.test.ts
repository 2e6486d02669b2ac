import { expect, test } from 'vitest';
import { handleAdminCommand } from '../../../projections/engine/admin-commands.ts';
import { readGenerations } from '../../../projections/engine/generations.ts';
import { maintainProjections } from '../../../projections/engine/maintain.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { openTestPlatform } from '../../support/embedded.ts';
import { countingJobs, failing, makeJob, rename } from './jobs-world.ts';

const model = countingJobs(1);

test('lists parked streams, unparks them and starts a rebuild', async () => {
  const { platform } = await openTestPlatform();
  await maintainProjections(platform, [model]);
  const streams: string[] = [];
  for (const account of ['acc_1', 'acc_2']) {
    const { stream, jobId } = await makeJob(platform, account);
    await handleNotifications(platform, [failing(model)], [await rename(platform, account, jobId)]);
    streams.push(stream);
  }
  const [stream = ''] = streams;
  const list = async (filter: object) => {
    const { items } = (await handleAdminCommand(platform, [model], { parked: filter })) as {
      items: { stream: string }[];
    };
    return items.map((item) => item.stream).sort();
  };
  expect(await list({})).toEqual(streams);
  expect(await list({ projection: 'jobs', account: 'acc_1' })).toEqual([stream]);
  expect(await list({ projection: 'runs' })).toEqual([]);
  expect(await handleAdminCommand(platform, [model], { unpark: { projection: 'jobs', stream } })).toEqual({
    healed: 1,
    parked: 0,
  });
  expect(await handleAdminCommand(platform, [model], { unpark: { projection: 'jobs' } })).toEqual({
    healed: 1,
    parked: 0,
  });
  expect(await list({})).toEqual([]);
  expect(await handleAdminCommand(platform, [model], { rebuild: { projection: 'jobs' } })).toEqual({ generation: 2 });
  await maintainProjections(platform, [model]);
  expect((await readGenerations(platform)).get('jobs')).toMatchObject({ current: 2, building: null });
});

test('applies stream notifications that were lost', async () => {
  const { platform } = await openTestPlatform();
  const { stream, jobId } = await makeJob(platform, 'acc_1');
  const other = await makeJob(platform, 'acc_1');
  const renamed = await rename(platform, 'acc_1', jobId);
  expect(await handleAdminCommand(platform, [model], { notify: [renamed] })).toEqual({ notified: 1 });
  expect([await platform.rows.cursor('jobs', stream), await platform.rows.cursor('jobs', other.stream)]).toEqual([
    2, 0,
  ]);
});

test('rejects an unknown projection or command and names the known ones', async () => {
  const { platform } = await openTestPlatform();
  await expect(handleAdminCommand(platform, [model], { rebuild: { projection: 'job' } })).rejects.toThrow(
    'Projection job does not exist. Use one of jobs.',
  );
  await expect(handleAdminCommand(platform, [model], {} as never)).rejects.toThrow(
    'Unknown admin command. Send one of parked, unpark, rebuild and notify.',
  );
});
