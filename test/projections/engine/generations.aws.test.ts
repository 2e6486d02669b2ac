/** Parking and rebuilding on the AWS home, where many processes are at it and a transaction may lose against another. */
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
  let ahead = 0;
  const open: AwsPlatform[] = [];
  /** A process of its own, as it were. */
  const process = () => {
    const platform = openAws(stage);
    open.push(platform);
    return { ...platform, now: () => Date.now() + ahead };
  };
  /** What the relay does when deployed. */
  const notifications: StreamNotification[] = [];
  const ledgered = (platform: AwsPlatform) => platform.relay.sequence(notifications.splice(0));

  beforeAll(async () => {
    const clients = ministackClients();
    stage = await makeStage(clients);
    clients.close();
  });
  afterAll(() => {
    for (const platform of open) platform.close();
  });

  test('a rebuild under writes, by two at once and with a feed that repeats, shuffles and delays, equals a fresh fold', async () => {
    const [platform, other] = [process(), process()];
    const chaos = makeChaos(1);
    await maintainProjections(platform, [one]);
    expect((await readGenerations(platform)).get('jobs')).toMatchObject({ current: 1, version: 1, building: null });
    const before = deliver(platform, () => [one], chaos);
    const noted = (wake: (notification: StreamNotification) => void) => (notification: StreamNotification) => {
      notifications.push(notification);
      wake(notification);
    };
    await write(platform, accounts, 40, chaos, noted(before.wake));
    await before.settle();
    const during = deliver(other, () => [two], chaos);
    await Promise.all([
      rebuild(platform, two),
      rebuild(other, two),
      write(platform, accounts, 40, chaos, noted(during.wake)),
    ]);
    await during.settle();
    await maintainProjections(platform, [two]);
    expect((await readGenerations(platform)).get('jobs')).toMatchObject({ version: 2, building: null });
    await ledgered(platform);
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, two, accounts));
  });

  test('what is no longer read goes', async () => {
    const platform = process();
    ahead += 5 * 60_000;
    await maintainProjections(platform, [two]);
    const { generation, rows } = await currentGeneration(platform);
    expect([...(await rowsByGeneration(platform)).keys()]).toEqual([generation]);
    expect((await readGenerations(platform)).get('jobs')?.retired).toEqual([]);
    expect(rows).toEqual(await folded(platform, two, accounts));
    const { items } = await platform.events.streams({ limit: 50 });
    for (const { stream } of items) expect(await platform.rows.cursor('jobs', stream)).toBe(0);
  });

  test('a poison commit parks alone, and what a bug parked goes on with unpark, by several at once', async () => {
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
    await ledgered(platform);
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, two, accounts));
  });

  test('an add to what is no number is the fault of the fold, not of the machine', async () => {
    const platform = process();
    const { stream, version } = await makeJob(platform, account);
    const spoilt = {
      ...two,
      on: { JobCreated: () => [{ op: 'update', table: 'jobs', pk: 'spoilt', sk: 'row', add: { text: 1 } } as const] },
    };
    await platform.rows.apply(fresh('other'), fresh('stream'), 1, [
      {
        op: 'put',
        table: 'jobs',
        pk: `g${(await currentGeneration(platform)).generation}~spoilt`,
        sk: 'row',
        data: { text: 'no number' },
      },
    ]);
    await handleNotifications(platform, [spoilt], [{ stream, version }]);
    const found: string[] = [];
    for await (const each of parked(platform)) if (each.stream === stream) found.push(each.fault);
    expect(found).toEqual(['refused']);
  });
});
