/** Parking and rebuilds on AWS, where several processes work at once and transactions conflict. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StreamNotification } from '../../../domain/ports.ts';
import { type AwsPlatform, openAws } from '../../../infra/aws/platform.ts';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import { readGenerations } from '../../../projections/engine/generations.ts';
import { maintainProjections } from '../../../projections/engine/maintain.ts';
import { parked, unpark } from '../../../projections/engine/parking.ts';
import { rebuild } from '../../../projections/engine/rebuild.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { fresh } from '../../contract/fresh.ts';
import { makeStage, ministackClients } from '../../emulator/aws-resources.ts';
import { creatingKeys } from '../../support/embedded.ts';
import {
  countingJobs,
  currentGeneration,
  deliver,
  failing,
  folded,
  makeJob,
  poison,
  rename,
  rowsByGeneration,
  write,
} from './jobs-world.ts';

const accounts = ['acc_1', 'acc_2', 'acc_3'];
const [account = ''] = accounts;
const [one, two] = [countingJobs(1), countingJobs(2)] as const;

describe('on AWS', () => {
  let stage: Awaited<ReturnType<typeof makeStage>>;
  let clockAhead = 0;
  const open: AwsPlatform[] = [];
  /** A platform with caches of its own, like another process. */
  const process = () => {
    const platform = openAws(stage);
    open.push(platform);
    return { ...platform, keys: creatingKeys(platform.keys), now: () => Date.now() + clockAhead };
  };
  /** Enters commits in the ledger, as the relay does in a deployment. */
  const notifications: StreamNotification[] = [];
  const fillLedger = (platform: AwsPlatform) => platform.relay.sequence(notifications.splice(0));

  beforeAll(async () => {
    const clients = ministackClients();
    stage = await makeStage(clients);
    clients.close();
  });
  afterAll(() => {
    for (const platform of open) platform.close();
  });

  test('two concurrent rebuilds under writes equal a fresh fold, with a feed that repeats, shuffles and delays', async () => {
    const [platform, other] = [process(), process()];
    const chaos = makeChaos(1);
    await maintainProjections(platform, [one]);
    expect((await readGenerations(platform)).get('jobs')).toMatchObject({ current: 1, version: 1, building: null });
    const before = deliver(platform, () => [one], chaos);
    const recording = (notify: (notification: StreamNotification) => void) => (notification: StreamNotification) => {
      notifications.push(notification);
      notify(notification);
    };
    await write(platform, accounts, 40, chaos, recording(before.notify));
    await before.settle();
    const during = deliver(other, () => [two], chaos);
    await Promise.all([
      rebuild(platform, two),
      rebuild(other, two),
      write(platform, accounts, 40, chaos, recording(during.notify)),
    ]);
    await during.settle();
    await maintainProjections(platform, [two]);
    expect((await readGenerations(platform)).get('jobs')).toMatchObject({ version: 2, building: null });
    await fillLedger(platform);
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, two, accounts));
  });

  test('clears the retired generation', async () => {
    const platform = process();
    clockAhead += 5 * 60_000;
    await maintainProjections(platform, [two]);
    const { generation, rows } = await currentGeneration(platform);
    expect([...(await rowsByGeneration(platform)).keys()]).toEqual([generation]);
    expect((await readGenerations(platform)).get('jobs')?.retired).toEqual([]);
    expect(rows).toEqual(await folded(platform, two, accounts));
    const { items } = await platform.events.streams({ limit: 50 });
    for (const { stream } of items) expect(await platform.rows.cursor('jobs', stream)).toBe(0);
  });

  test('parks the streams at fault, and concurrent unparks continue the stream that a bug parked', async () => {
    const [platform, other] = [process(), process()];
    const bad = await makeJob(platform, account);
    const made = await makeJob(platform, account);
    const batch = [
      await poison(platform, bad.stream),
      await rename(platform, account, made.jobId),
      await makeJob(platform, account, fresh('job')),
    ];
    await handleNotifications(platform, [failing(two)], batch);
    const found: string[] = [];
    for await (const { stream, version, fault } of parked(platform)) found.push(`${stream} ${version} ${fault}`);
    expect(found.sort()).toEqual([`${bad.stream} 2 damaged`, `${made.stream} 2 unprojectable`].sort());
    await Promise.all([
      unpark(platform, two),
      unpark(other, two),
      unpark(platform, two, made.stream),
      handleNotifications(other, [two], batch),
    ]);
    const left: string[] = [];
    for await (const { stream } of parked(platform)) left.push(stream);
    expect(left).toEqual([bad.stream]);
    notifications.push(bad, made, ...batch);
    await fillLedger(platform);
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, two, accounts));
  });

  test('parks an add to a field that is no number as a fault of the fold', async () => {
    const platform = process();
    const { stream, version } = await makeJob(platform, account);
    const broken = {
      ...two,
      on: { JobCreated: () => [{ op: 'update', table: 'jobs', pk: 'text', sk: 'row', add: { text: 1 } } as const] },
    };
    await platform.rows.apply(fresh('other'), fresh('stream'), 1, [
      {
        op: 'put',
        table: 'jobs',
        pk: `g${(await currentGeneration(platform)).generation}~text`,
        sk: 'row',
        data: { text: 'no number' },
      },
    ]);
    await handleNotifications(platform, [broken], [{ stream, version }]);
    const found: string[] = [];
    for await (const each of parked(platform)) if (each.stream === stream) found.push(each.fault);
    expect(found).toEqual(['refused']);
  });
});
