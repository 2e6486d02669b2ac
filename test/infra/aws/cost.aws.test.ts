/** Counts billable requests and capacity units on the emulator and compares them with docs/cost.md. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetCommand, PutCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { transact } from '../../../activity/store.ts';
import { type Command, type Measured, measure } from '../../../bench/cost/measure.ts';
import { dollars } from '../../../bench/cost/prices.ts';
import { millionFiles } from '../../../bench/cost/report.ts';
import { openStage, type Stage } from '../../../bench/cost/stage.ts';
import { unitsOf } from '../../../bench/cost/usage.ts';
import { createJob, job, renameJob } from '../../../domain/job.ts';
import type { AwsClients } from '../../../infra/aws/clients.ts';
import { type AwsPlatform, openAws } from '../../../infra/aws/platform.ts';
import { upTo } from '../../contract/fresh.ts';
import { makeStage, ministackClients } from '../../emulator/aws-resources.ts';
import { creatingKeys } from '../../support/embedded.ts';

let clients: AwsClients;
let prefix: string;
/** A platform whose appends reach no relay or projection. */
let platform: AwsPlatform;
let stage: Stage;
let folder: string;
beforeAll(async () => {
  clients = ministackClients();
  const environment = await makeStage(clients);
  prefix = environment.TABLE_PREFIX;
  stage = await openStage(clients, environment);
  platform = openAws(environment, clients);
  platform.keys = creatingKeys(platform.keys);
  folder = await mkdtemp(join(tmpdir(), 'listbackup-cost-'));
});
afterAll(async () => {
  await stage.close();
  await rm(folder, { recursive: true });
});

describe('the counter', () => {
  const item = (sk: string, bytes: number) => ({
    pk: 'a',
    sk,
    d: 'x'.repeat(bytes - 'pkaskd'.length - sk.length),
  });
  const units = async (kind: 'WRU' | 'RRU', work: () => Promise<unknown>) =>
    unitsOf((await stage.counter.during(work)).usage, kind);
  const TableName = () => `${prefix}records`;

  it.each([
    [1024, 1, 1],
    [1025, 2, 1],
    [4096, 4, 1],
    [4097, 5, 2],
  ])('counts %i bytes as %i write units and %i read units', async (bytes, writes, reads) => {
    const [Item, Key] = [item('1', bytes), { pk: 'a', sk: '1' }];
    const documents = clients.documents();
    expect(await units('WRU', () => documents.send(new PutCommand({ TableName: TableName(), Item })))).toBe(writes);
    const transaction = new TransactWriteCommand({ TransactItems: [{ Put: { TableName: TableName(), Item } }] });
    expect(await units('WRU', () => documents.send(transaction))).toBe(2 * writes);
    expect(
      await units('RRU', () => documents.send(new GetCommand({ TableName: TableName(), Key, ConsistentRead: true }))),
    ).toBe(reads);
    expect(await units('RRU', () => documents.send(new GetCommand({ TableName: TableName(), Key })))).toBe(reads / 2);
  });

  it('counts a refused write as one unit', async () => {
    const put = () =>
      clients.documents().send(
        new PutCommand({
          TableName: TableName(),
          Item: item('2', 100),
          ConditionExpression: 'attribute_not_exists(pk)',
        }),
      );
    await put();
    expect(await units('WRU', () => put().catch(() => {}))).toBe(1);
  });
});

it('loads a thousand events for at most 60 read units', async () => {
  const account = 'acc_q3c9qb0b72have8y1bwmgmeczm';
  const jobId = 'job_r2ch8xf297mxxt4rwf5s1qyf4g';
  const stream = `${account}/job/${jobId}`;
  const cause = (n: number) => ({
    account,
    actor: { type: 'user' as const, id: 'usr_66ppem28424sf2yz4cr1h7qkzw' },
    commandId: Buffer.from(platform.random(32)).toString('hex'),
    correlationId: `req_${String(n).padStart(26, '0')}`,
  });
  await transact(
    platform,
    job,
    stream,
    createJob({ jobId, sourceId: 'src_v5y32c1patxvshghh8hkqkjkrg', name: 'Every night' }),
    cause(0),
  );
  // Each rename loads all earlier commits, so the test uses a hundred and a tenth of the units.
  for (const n of upTo(99))
    await transact(platform, job, stream, renameJob(jobId, `Every night but the ${n}th`), cause(n));
  const { result, usage } = await stage.counter.during(() => platform.events.load(stream, { known: 100 }));
  expect(result).toHaveLength(100);
  expect(unitsOf(usage, 'RRU')).toBeLessThanOrEqual(6);
});

it('appends for one write unit, and for one more marks the first commit of a stream on a day', async () => {
  const [account, jobId] = ['acc_q3c9qb0b72have8y1bwmgmeczn', 'job_r2ch8xf297mxxt4rwf5s1qyf4h'];
  const stream = `${account}/job/${jobId}`;
  const cause = (commandId: string) => ({
    ...{ account, commandId, correlationId: commandId },
    actor: { type: 'user' as const, id: 'usr_66ppem28424sf2yz4cr1h7qkzw' },
  });
  // A clock that stands still, so that midnight does not add a mark.
  const still = { ...platform, now: () => Date.UTC(2026, 0, 5) };
  const sourceId = 'src_v5y32c1patxvshghh8hkqkjkrg';
  const written = async (work: () => Promise<unknown>) => {
    const { usage } = await stage.counter.during(work);
    return Object.fromEntries([...usage].filter(([kind]) => kind.startsWith('WRU')));
  };
  const create = () => transact(still, job, stream, createJob({ jobId, sourceId, name: 'A' }), cause('one'));
  expect(await written(create)).toEqual({ 'WRU activity': 1, 'WRU records': 1, 'WRU subject-keys': 2 });
  const rename = () => transact(still, job, stream, renameJob(jobId, 'B'), cause('two'));
  expect(await written(rename)).toEqual({ 'WRU activity': 1 });
});

describe('at work', () => {
  let measured: Measured;
  beforeAll(async () => {
    measured = await measure(stage, folder, [1000, 2000], () => {});
  });

  const named = (name: string): Command => {
    const command = measured.commands.find((candidate) => candidate.name === name);
    if (!command) throw new Error(`The measurement has no command ${name}. Add it to bench/cost/measure.ts.`);
    return command;
  };

  it.each([
    ['sign up', 2, 10],
    ['connect a source', 1, 11],
    ['create a job', 1, 11],
    ['rename the job', 1, 6],
    ['ask for a run', 1, 14],
  ])('appends for %s in %i write units, and in at most %i with all read models', (name, append, most) => {
    const command = named(name);
    expect(command.events).toBe(append);
    expect(command.append).toBe(append);
    expect(command.append + unitsOf(command.projections, 'WRU')).toBeLessThanOrEqual(most);
  });

  it.each([
    ['RunRequested', 'runs', 8],
    ['JobRenamed', 'analytics-aggregates', 1],
    ['RestorePointCreated', 'files', 10],
    ['RestorePointCreated', 'runs', 4],
  ])(
    'applies %s to %s for %i write units: one without row changes, else 2 for the cursor and each row',
    (events, projection, units) => {
      const applied = measured.applied.find((entry) => entry.events === events && entry.projection === projection);
      expect(applied?.units).toBe(units);
    },
  );

  it('takes one message and at most 36 write units and 26 read units for an unchanged run', () => {
    expect(measured.runs.map(({ unchanged }) => unchanged.messages)).toEqual([1, 1]);
    const { unchanged } = millionFiles(measured.runs);
    expect(unitsOf(unchanged, 'WRU')).toBeLessThanOrEqual(36);
    expect(unitsOf(unchanged, 'RRU')).toBeLessThanOrEqual(26);
  });

  it('takes at most $1.00 of requests for the first backup of a million small files', () => {
    expect(dollars(millionFiles(measured.runs).first)).toBeLessThanOrEqual(1);
  });

  it('makes no request per file in an unchanged run', () => {
    const [small, large] = measured.runs;
    if (!small || !large) throw new Error('two runs');
    for (const kind of ['WRU', 'RRU'] as const) {
      const growth = unitsOf(large.unchanged.processors, kind) - unitsOf(small.unchanged.processors, kind);
      expect(growth, kind).toBeLessThanOrEqual(2);
    }
    // A segment of the manifest holds about a thousand entries.
    const reads = (large.unchanged.processors.get('S3 read') ?? 0) - (small.unchanged.processors.get('S3 read') ?? 0);
    expect(reads).toBeLessThanOrEqual(4);
    expect(large.unchanged.processors.get('S3 write') ?? 0).toBe(0);
  });
});
