/** The deployed reconcile: its role suffices to find lost stream records and to have them processed. */
import {
  GetFunctionConfigurationCommand,
  InvokeCommand,
  ListEventSourceMappingsCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { transact } from '../../../activity/store.ts';
import { readProgress } from '../../../commands/cancel-run.ts';
import { backupChain, backupChainId, endRun, requestRun } from '../../../domain/backup-chain.ts';
import { parseStream, streamName } from '../../../domain/event.ts';
import type { AwsClients } from '../../../infra/aws/clients.ts';
import { type AwsPlatform, openAws } from '../../../infra/aws/platform.ts';
import type { Reconciled } from '../../../infra/aws/reconcile.ts';
import { currentRows } from '../../../projections/engine/generations.ts';
import { eventually } from '../../contract/eventually.ts';
import { fresh } from '../../contract/fresh.ts';
import { ministackClients } from '../../emulator/aws-resources.ts';
import { deployedUrl } from '../../emulator/deployed.ts';
import { startBySchedule } from '../../emulator/raw-aws.ts';
import { command, makeJob, rename } from '../../projections/engine/jobs-world.ts';
import { creatingKeys } from '../../support/embedded.ts';

const readers = ['relay', 'projections'];
const account = fresh('acc');

let clients: AwsClients;
let platform: AwsPlatform;
let mappings: string[] = [];

beforeAll(async () => {
  clients = ministackClients();
  await deployedUrl();
  // The nightly schedule must not run concurrently with this test.
  await startBySchedule('listbackup-test-reconcile', false);
  const relay = await clients
    .lambda()
    .send(new GetFunctionConfigurationCommand({ FunctionName: 'listbackup-test-relay' }));
  platform = openAws({
    ...inject('ministack').environment,
    ...relay.Environment?.Variables,
    AWS_ENDPOINT_URL: inject('ministack').endpoint,
  });
  platform.keys = creatingKeys(platform.keys);
  const found = readers.map((reader) =>
    clients.lambda().send(new ListEventSourceMappingsCommand({ FunctionName: `listbackup-test-${reader}` })),
  );
  mappings = (await Promise.all(found)).flatMap(
    ({ EventSourceMappings }) => EventSourceMappings?.map(({ UUID }) => UUID ?? '') ?? [],
  );
  expect(mappings).toHaveLength(2);
});
afterAll(async () => {
  await enableReaders(true);
  await startBySchedule('listbackup-test-reconcile', true);
  platform.close();
  clients.close();
});

async function enableReaders(Enabled: boolean): Promise<void> {
  for (const UUID of mappings) await clients.lambda().send(new UpdateEventSourceMappingCommand({ UUID, Enabled }));
}

/** Invokes the reconcile as the schedule and an operator do. */
async function invoke(command: { nightly?: boolean }): Promise<Reconciled> {
  const Payload = Buffer.from(JSON.stringify(command));
  const answer = await clients.lambda().send(new InvokeCommand({ FunctionName: 'listbackup-test-reconcile', Payload }));
  const text = Buffer.from(answer.Payload ?? []).toString();
  expect(answer.FunctionError, text).toBeUndefined();
  return JSON.parse(text);
}

const ledgerOf = async () =>
  (await platform.events.ledger(account, { order: 'asc', limit: 100 })).map(({ seq, stream, version }) => ({
    seq,
    stream,
    version,
  }));

test('has commits without stream records processed, and late records are not processed twice', async () => {
  await enableReaders(false);
  const before = { ...platform, now: () => Date.now() - 11 * 60_000 };
  const { jobId, stream } = await makeJob(before, account);
  await rename(before, account, jobId);
  const run = { runId: fresh('run'), jobId, sourceId: 'src_1' };
  const requested = streamName(account, 'backup-chain', backupChainId(jobId, run.sourceId));
  await transact(
    before,
    backupChain,
    requested,
    requestRun(run, new Date(before.now()).toISOString()),
    command(account),
  );
  // Ended, so that no function works on the run.
  await transact(
    before,
    backupChain,
    requested,
    endRun(run, { outcome: 'cancelled', reason: null, ...(await readProgress(before, account, run.runId)) }),
    command(account),
  );
  const young = await makeJob(platform, account);
  const { outcome, counts } = await invoke({});
  expect({ outcome, ...counts }).toMatchObject({
    outcome: 'done',
    missing: 2,
    unpublished: 0,
    notRepaired: 0,
    ledgerGaps: 0,
  });
  expect(counts.behind).toMatchObject({ jobs: 1, runs: 1, files: 1 });
  const entries = await ledgerOf();
  const missed = [
    { stream, version: 1 },
    { stream, version: 2 },
    { stream: requested, version: 1 },
    { stream: requested, version: 2 },
  ];
  expect(entries.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  expect(entries.map(({ stream, version }) => ({ stream, version }))).toEqual(expect.arrayContaining(missed));
  expect(await platform.ledger.accounts([account])).toEqual([{ account, head: 4, published: 4 }]);
  // Other tests on this stage may have rebuilt the read model.
  const rows = currentRows(platform);
  expect([await rows.cursor('jobs', stream), await rows.cursor('jobs', young.stream)]).toEqual([2, 0]);
  const row = await rows.get({ table: 'jobs', pk: account, sk: `id#${jobId}` });
  expect(row).toBeDefined();
  expect(await rows.cursor('runs', requested)).toBe(2);

  // The scan of this night is complete.
  expect(await invoke({ nightly: true })).toEqual({ outcome: 'not-due', counts });

  await enableReaders(true);
  // Processing the run request appends to the run's own stream.
  const withoutRuns = async () => (await ledgerOf()).filter((entry) => parseStream(entry.stream).type !== 'run');
  await eventually(async () =>
    expect(await withoutRuns()).toEqual([...entries, { seq: expect.any(Number), stream: young.stream, version: 1 }]),
  );
  await eventually(async () => expect(await rows.cursor('jobs', young.stream)).toBe(1));
  expect(await rows.get({ table: 'jobs', pk: account, sk: `id#${jobId}` })).toEqual(row);
});
