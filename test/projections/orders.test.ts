import { expect, test } from 'vitest';
import { readGenerations } from '../../projections/generations.ts';
import { handleOrder } from '../../projections/orders.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { tendProjections } from '../../projections/tend.ts';
import { openTestHome } from '../support/embedded.ts';
import { countingJobs, failing, makeJob, rename } from './jobs-world.ts';

const model = countingJobs(1);

test('operators list what is parked, let it go on, and have a read model rebuilt', async () => {
  const { machine } = await openTestHome();
  await tendProjections(machine, [model]);
  const streams: string[] = [];
  for (const account of ['acc_1', 'acc_2']) {
    const { stream, jobId } = await makeJob(machine, account);
    await handleWakeups(machine, [failing(model)], [await rename(machine, account, jobId)]);
    streams.push(stream);
  }
  const [stream = ''] = streams;
  const list = async (only: object) => {
    const { items } = (await handleOrder(machine, [model], { parked: only })) as { items: { stream: string }[] };
    return items.map((item) => item.stream).sort();
  };
  expect(await list({})).toEqual(streams);
  expect(await list({ projection: 'jobs', account: 'acc_1' })).toEqual([stream]);
  expect(await list({ projection: 'runs' })).toEqual([]);
  expect(await handleOrder(machine, [model], { unpark: { projection: 'jobs', stream } })).toEqual({ healed: 1, parked: 0 });
  expect(await handleOrder(machine, [model], { unpark: { projection: 'jobs' } })).toEqual({ healed: 1, parked: 0 });
  expect(await list({})).toEqual([]);
  expect(await handleOrder(machine, [model], { rebuild: { projection: 'jobs' } })).toEqual({ generation: 2 });
  await tendProjections(machine, [model]);
  expect((await readGenerations(machine)).get('jobs')).toMatchObject({ current: 2, building: null });
});

test('wake-ups that never came are given by hand', async () => {
  const { machine } = await openTestHome();
  const { stream, jobId } = await makeJob(machine, 'acc_1');
  const other = await makeJob(machine, 'acc_1');
  const renamed = await rename(machine, 'acc_1', jobId);
  expect(await handleOrder(machine, [model], { wake: [renamed] })).toEqual({ woken: 1 });
  expect([await machine.rows.cursor('jobs', stream), await machine.rows.cursor('jobs', other.stream)]).toEqual([2, 0]);
});

test('what there is not is said', async () => {
  const { machine } = await openTestHome();
  await expect(handleOrder(machine, [model], { rebuild: { projection: 'job' } })).rejects.toThrow('there is no projection job, but jobs');
  await expect(handleOrder(machine, [model], {} as never)).rejects.toThrow('one of parked, unpark, rebuild and wake');
});
