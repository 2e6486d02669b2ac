/** Parking and rebuilding on the AWS home, where many processes are at it and a transaction may lose against another. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Wakeup } from '../../domain/ports.ts';
import { type AwsMachine, openAws } from '../../infra/aws/machine.ts';
import { fresh } from '../../infra/contract/fresh.ts';
import { makeTrouble } from '../../infra/embedded/trouble.ts';
import { readGenerations } from '../../projections/generations.ts';
import { parked, unpark } from '../../projections/parking.ts';
import { rebuild } from '../../projections/rebuild.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { tendProjections } from '../../projections/tend.ts';
import { makeStage, ministackClients } from '../support/aws-resources.ts';
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
  const open: AwsMachine[] = [];
  /** A process of its own, as it were. */
  const process = () => {
    const machine = openAws(stage);
    open.push(machine);
    return { ...machine, now: () => Date.now() + ahead };
  };
  /** What the relay does when deployed. */
  const wakeups: Wakeup[] = [];
  const ledgered = (machine: AwsMachine) => machine.relay.sequence(wakeups.splice(0));

  beforeAll(async () => {
    const clients = ministackClients();
    stage = await makeStage(clients);
    clients.close();
  });
  afterAll(() => {
    for (const machine of open) machine.close();
  });

  test('a rebuild under writes, by two at once and with a feed that repeats, shuffles and delays, equals a fresh fold', async () => {
    const [machine, other] = [process(), process()];
    const trouble = makeTrouble(1);
    await tendProjections(machine, [one]);
    expect((await readGenerations(machine)).get('jobs')).toMatchObject({ current: 1, version: 1, building: null });
    const before = deliver(machine, () => [one], trouble);
    const noted = (wake: (wakeup: Wakeup) => void) => (wakeup: Wakeup) => {
      wakeups.push(wakeup);
      wake(wakeup);
    };
    await write(machine, accounts, 40, trouble, noted(before.wake));
    await before.settle();
    const during = deliver(other, () => [two], trouble);
    await Promise.all([rebuild(machine, two), rebuild(other, two), write(machine, accounts, 40, trouble, noted(during.wake))]);
    await during.settle();
    await tendProjections(machine, [two]);
    expect((await readGenerations(machine)).get('jobs')).toMatchObject({ version: 2, building: null });
    await ledgered(machine);
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, two, accounts));
  });

  test('what is no longer read goes', async () => {
    const machine = process();
    ahead += 5 * 60_000;
    await tendProjections(machine, [two]);
    const { generation, rows } = await currentGeneration(machine);
    expect([...(await rowsByGeneration(machine)).keys()]).toEqual([generation]);
    expect((await readGenerations(machine)).get('jobs')?.retired).toEqual([]);
    expect(rows).toEqual(await folded(machine, two, accounts));
    const { items } = await machine.events.streams({ limit: 50 });
    for (const { stream } of items) expect(await machine.rows.cursor('jobs', stream)).toBe(0);
  });

  test('a poison commit parks alone, and what a bug parked goes on with unpark, by several at once', async () => {
    const [machine, other] = [process(), process()];
    const bad = await makeJob(machine, account);
    const made = await makeJob(machine, account);
    const batch = [
      await poison(machine, bad.stream),
      await rename(machine, account, made.jobId),
      await makeJob(machine, account, fresh('job')),
    ];
    await handleWakeups(machine, [failing(two)], batch);
    const found: string[] = [];
    for await (const { stream, version, fault } of parked(machine)) found.push(`${stream} ${version} ${fault}`);
    expect(found.sort()).toEqual([`${bad.stream} 2 damaged`, `${made.stream} 2 unprojectable`].sort());
    await Promise.all([unpark(machine, two), unpark(other, two), unpark(machine, two, made.stream), handleWakeups(other, [two], batch)]);
    const left: string[] = [];
    for await (const { stream } of parked(machine)) left.push(stream);
    expect(left).toEqual([bad.stream]);
    wakeups.push(bad, made, ...batch);
    await ledgered(machine);
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, two, accounts));
  });

  test('an add to what is no number is the fault of the fold, not of the machine', async () => {
    const machine = process();
    const { stream, version } = await makeJob(machine, account);
    const spoilt = {
      ...two,
      on: { JobCreated: () => [{ op: 'update', table: 'jobs', pk: 'spoilt', sk: 'row', add: { text: 1 } } as const] },
    };
    await machine.rows.apply(fresh('other'), fresh('stream'), 1, [
      { op: 'put', table: 'jobs', pk: `g${(await currentGeneration(machine)).generation}~spoilt`, sk: 'row', data: { text: 'no number' } },
    ]);
    await handleWakeups(machine, [spoilt], [{ stream, version }]);
    const found: string[] = [];
    for await (const each of parked(machine)) if (each.stream === stream) found.push(each.fault);
    expect(found).toEqual(['refused']);
  });
});
