import { expect, test } from 'vitest';
import { handleAdminCommand } from '../../../projections/engine/admin-commands.ts';
import { readGenerations } from '../../../projections/engine/generations.ts';
import { maintainProjections } from '../../../projections/engine/maintain.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { openTestPlatform } from '../../support/embedded.ts';
import { countingJobs, failing, makeJob, rename } from './jobs-world.ts';

const model = countingJobs(1);

test('operators list what is parked, let it go on, and have a read model rebuilt', async () => {
  const { platform } = await openTestPlatform();
  await maintainProjections(platform, [model]);
  const streams: string[] = [];
  for (const account of ['acc_1', 'acc_2']) {
    const { stream, jobId } = await makeJob(platform, account);
    await handleNotifications(platform, [failing(model)], [await rename(platform, account, jobId)]);
    streams.push(stream);
  }
  const [stream = ''] = streams;
  const list = async (only: object) => {
    const { items } = (await handleAdminCommand(platform, [model], { parked: only })) as {
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

test('wake-ups that never came are given by hand', async () => {
  const { platform } = await openTestPlatform();
  const { stream, jobId } = await makeJob(platform, 'acc_1');
  const other = await makeJob(platform, 'acc_1');
  const renamed = await rename(platform, 'acc_1', jobId);
  expect(await handleAdminCommand(platform, [model], { wake: [renamed] })).toEqual({ woken: 1 });
  expect([await platform.rows.cursor('jobs', stream), await platform.rows.cursor('jobs', other.stream)]).toEqual([
    2, 0,
  ]);
});

test('what there is not is said', async () => {
  const { platform } = await openTestPlatform();
  await expect(handleAdminCommand(platform, [model], { rebuild: { projection: 'job' } })).rejects.toThrow(
    'there is no projection job, but jobs',
  );
  await expect(handleAdminCommand(platform, [model], {} as never)).rejects.toThrow(
    'one of parked, unpark, rebuild and wake',
  );
});
