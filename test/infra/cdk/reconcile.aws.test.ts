/** The reconcile as deployed: its role suffices to find what lost stream records left undone, and to have others do it. */
import {
  GetFunctionConfigurationCommand,
  InvokeCommand,
  ListEventSourceMappingsCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { AwsClients } from '../../../infra/aws/clients.ts';
import { type AwsMachine, openAws } from '../../../infra/aws/machine.ts';
import type { Reconciled } from '../../../infra/aws/reconcile.ts';
import { eventually } from '../../../infra/contract/eventually.ts';
import { fresh } from '../../../infra/contract/fresh.ts';
import { currentRows } from '../../../projections/generations.ts';
import { makeJob, rename } from '../../projections/jobs-world.ts';
import { ministackClients } from '../../support/aws-resources.ts';
import { deployedUrl } from '../../support/deployed.ts';

const readers = ['relay', 'projections'];
const account = fresh('acc');

let clients: AwsClients;
let machine: AwsMachine;
let mappings: string[] = [];

beforeAll(async () => {
  clients = ministackClients();
  await deployedUrl();
  const relay = await clients.lambda().send(new GetFunctionConfigurationCommand({ FunctionName: 'listbackup-test-relay' }));
  machine = openAws({
    ...inject('ministack').environment,
    ...relay.Environment?.Variables,
    AWS_ENDPOINT_URL: inject('ministack').endpoint,
  });
  const found = readers.map((reader) =>
    clients.lambda().send(new ListEventSourceMappingsCommand({ FunctionName: `listbackup-test-${reader}` })),
  );
  mappings = (await Promise.all(found)).flatMap(({ EventSourceMappings }) => EventSourceMappings?.map(({ UUID }) => UUID ?? '') ?? []);
  expect(mappings).toHaveLength(2);
});
afterAll(async () => {
  await reading(true);
  machine.close();
  clients.close();
});

async function reading(Enabled: boolean): Promise<void> {
  for (const UUID of mappings) await clients.lambda().send(new UpdateEventSourceMappingCommand({ UUID, Enabled }));
}

/** As the schedule and an operator do. */
async function invoke(order: { nightly?: boolean }): Promise<Reconciled> {
  const Payload = Buffer.from(JSON.stringify(order));
  const answer = await clients.lambda().send(new InvokeCommand({ FunctionName: 'listbackup-test-reconcile', Payload }));
  const text = Buffer.from(answer.Payload ?? []).toString();
  expect(answer.FunctionError, text).toBeUndefined();
  return JSON.parse(text);
}

const ledgerOf = async () =>
  (await machine.events.ledger(account, { order: 'asc', limit: 100 })).map(({ seq, stream, version }) => ({ seq, stream, version }));

test('what was never told of is found and done by those whose work it is, and what comes after all is not done twice', async () => {
  await reading(false);
  const before = { ...machine, now: () => Date.now() - 11 * 60_000 };
  const { jobId, stream } = await makeJob(before, account);
  await rename(before, account, jobId);
  const young = await makeJob(machine, account);
  const { outcome, counts } = await invoke({});
  expect({ outcome, ...counts }).toMatchObject({ outcome: 'done', missing: 1, untold: 0, left: 0, lacking: 0 });
  expect(counts.behind).toMatchObject({ jobs: 1 });
  const told = [1, 2].map((version) => ({ seq: version, stream, version }));
  expect(await ledgerOf()).toEqual(told);
  expect(await machine.ledger.accounts([account])).toEqual([{ account, head: 2, published: 2 }]);
  // Others' tests on this stage may have made the read model anew.
  const rows = currentRows(machine);
  expect([await rows.cursor('jobs', stream), await rows.cursor('jobs', young.stream)]).toEqual([2, 0]);
  const row = await rows.get({ table: 'jobs', pk: account, sk: `id#${jobId}` });
  expect(row).toBeDefined();

  // This night's is done.
  expect(await invoke({ nightly: true })).toEqual({ outcome: 'not-due', counts });

  await reading(true);
  await eventually(async () => expect(await ledgerOf()).toEqual([...told, { seq: 3, stream: young.stream, version: 1 }]));
  await eventually(async () => expect(await rows.cursor('jobs', young.stream)).toBe(1));
  expect(await rows.get({ table: 'jobs', pk: account, sk: `id#${jobId}` })).toEqual(row);
});
