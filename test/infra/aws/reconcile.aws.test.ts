/** Lost stream records in the AWS deployment: the reconcile finds and repairs them as if they had arrived. */

import { DeleteItemCommand } from '@aws-sdk/client-dynamodb';
import { PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkCovered, checkLog } from '../../../doctor/check-log.ts';
import type { Finding } from '../../../doctor/finding.ts';
import type { Platform, StreamNotification } from '../../../domain/ports.ts';
import { busSource } from '../../../infra/aws/bus.ts';
import type { AwsClients } from '../../../infra/aws/clients.ts';
import { type AwsPlatform, openAws } from '../../../infra/aws/platform.ts';
import { type Consumer, type ReconcileParts, reconcile } from '../../../infra/aws/reconcile.ts';
import { relayNotifications } from '../../../infra/aws/relay-notifications.ts';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { eventually } from '../../contract/eventually.ts';
import { upTo } from '../../contract/fresh.ts';
import { makeStage, ministackClients } from '../../emulator/aws-resources.ts';
import { countingJobs, currentGeneration, makeJob, write } from '../../projections/engine/jobs-world.ts';
import { creatingKeys, openTestPlatform, silent } from '../../support/embedded.ts';

const accounts = ['acc_1', 'acc_2', 'acc_3'];
const jobs = countingJobs(1);
const minute = 60_000;

let clients: AwsClients;
let platform: AwsPlatform;
let prefix = '';
/** All commits that the tests appended. */
const appended: StreamNotification[] = [];
/** How often each commit arrived from the bus, by `stream version`. */
const arrived = new Map<string, number>();
/** True after a lost answer of the bus. Then commits may arrive twice. */
let answerLost = false;

beforeAll(async () => {
  clients = ministackClients();
  const env = await makeStage(clients);
  clients.events().middlewareStack.add(
    (next) => async (call) => {
      const answer = await next(call);
      answerLost ||= answer.output.$metadata.attempts !== 1;
      return answer;
    },
    { step: 'initialize', name: 'lost-answers' },
  );
  platform = openAws(env, clients);
  platform.keys = creatingKeys(platform.keys);
  prefix = env.TABLE_PREFIX;
  const { Attributes } = await clients
    .sqs()
    .send(new GetQueueAttributesCommand({ QueueUrl: env.JOB_QUEUE_URL, AttributeNames: ['QueueArn'] }));
  const bus = { EventBusName: env.EVENT_BUS_NAME };
  const EventPattern = JSON.stringify({ source: [busSource], 'detail-type': [{ prefix: 'job.' }] });
  await clients.events().send(new PutRuleCommand({ ...bus, Name: 'jobs', EventPattern }));
  const Targets = [{ Id: 'job', Arn: Attributes?.QueueArn ?? '', InputPath: '$.detail' }];
  await clients.events().send(new PutTargetsCommand({ ...bus, Rule: 'jobs', Targets }));
});
afterAll(() => {
  platform.close();
  clients.close();
});

/** A visit by a process whose clock is ahead, and its notifications by consumer. */
function visitor(ahead = 0) {
  const notified: { [consumer in Consumer]: string[] } = { relay: [], projections: [] };
  const parts: ReconcileParts = {
    ...platform,
    now: () => Date.now() + ahead,
    projections: [jobs],
    log: silent,
    async notify(consumer, notifications) {
      notified[consumer].push(...notifications.map(nameOf));
      await (consumer === 'relay'
        ? relayNotifications(platform, notifications)
        : handleNotifications(platform, [jobs], notifications));
    },
  };
  return { parts, notified };
}

const nameOf = ({ stream, version }: StreamNotification) => `${stream} ${version}`;

function headsOf(notifications: StreamNotification[]): StreamNotification[] {
  const newest = new Map<string, number>();
  for (const { stream, version } of notifications) newest.set(stream, Math.max(version, newest.get(stream) ?? 0));
  return [...newest].map(([stream, version]) => ({ stream, version }));
}

async function drainBus(): Promise<void> {
  for (;;) {
    const received = await platform.queue.receive('job', { max: 10, visibilitySeconds: 30 });
    for (const { body, receipt } of received) {
      const name = `${body.stream} ${body.version}`;
      arrived.set(name, (arrived.get(name) ?? 0) + 1);
      await platform.queue.ack('job', receipt);
    }
    if (received.length === 0) return;
  }
}

/**
 * Expects each commit once and in order in the ledger, the same read models as on a platform that lost nothing, and
 * every commit on the bus.
 */
async function expectWhole(): Promise<void> {
  const lossless = (await openTestPlatform()).platform as Platform;
  const found: Finding[] = [];
  for (const account of accounts) {
    const checking = checkLog(platform, account, { count() {} });
    let result = await checking.next();
    for (; !result.done; result = await checking.next()) found.push(result.value);
    const heads = headsOf(appended.filter(({ stream }) => stream.startsWith(`${account}/`)));
    const versions = heads.map(({ stream, version }): [string, number] => [stream, version]);
    found.push(...checkCovered(account, result.value.heads, versions));
    const ledger = await platform.events.ledger(account, { order: 'asc', limit: 10_000 });
    expect(ledger).toHaveLength(appended.filter(({ stream }) => stream.startsWith(`${account}/`)).length);
  }
  // The test data is not encrypted, so the doctor reports its fields.
  expect(found.filter(({ what }) => what !== 'encrypted-field' && what !== 'key')).toEqual([]);
  for (const { stream } of headsOf(appended)) {
    for (const commit of await platform.events.load(stream))
      expect(await lossless.events.append(commit)).toBe('appended');
  }
  await handleNotifications(lossless, [jobs], appended);
  expect((await currentGeneration(platform)).rows).toEqual((await currentGeneration(lossless)).rows);
  await eventually(async () => {
    await drainBus();
    expect(appended.map(nameOf).filter((name) => !arrived.has(name))).toEqual([]);
  });
}

test('finds exactly the lost records and repairs them as if they had arrived', async () => {
  const chaos = makeChaos(11);
  const world: StreamNotification[] = [];
  await write(platform, accounts, 90, chaos, (notification) => world.push(notification));
  appended.push(...world);
  const heads = headsOf(world);
  const lost = { relay: heads.filter(() => chaos.chance(0.25)), projections: heads.filter(() => chaos.chance(0.25)) };
  expect(Math.min(lost.relay.length, lost.projections.length)).toBeGreaterThan(3);
  const without = (some: StreamNotification[]) =>
    world.filter(({ stream }) => !some.some((lost) => lost.stream === stream));
  await relayNotifications(platform, without(lost.relay));
  await handleNotifications(platform, [jobs], without(lost.projections));

  const early = visitor();
  expect((await reconcile(early.parts)).counts).toMatchObject({
    streams: heads.length,
    missing: 0,
    behind: {},
    repaired: 0,
  });
  const { parts, notified } = visitor(11 * minute);
  // The first walk scanned all streams, this one reads the marked ones.
  expect(await reconcile(parts)).toMatchObject({
    outcome: 'done',
    counts: {
      ...{
        accounts: 3,
        missing: lost.relay.length,
        unpublished: 0,
        behind: { jobs: lost.projections.length },
      },
      ...{ repaired: lost.relay.length + lost.projections.length, notRepaired: 0, ledgerGaps: 0 },
    },
  });
  expect(notified.relay.sort()).toEqual(lost.relay.map(nameOf).sort());
  expect(notified.projections.sort()).toEqual(lost.projections.map(nameOf).sort());
  await expectWhole();
  // No commit was published twice.
  if (!answerLost) expect(Math.max(...arrived.values())).toBe(1);
  const again = visitor(11 * minute);
  expect((await reconcile(again.parts)).counts).toMatchObject({ missing: 0, unpublished: 0, behind: {}, repaired: 0 });
});

test('publishes ledger entries that never reached the bus', async () => {
  const created = await Promise.all(upTo(5).map(() => makeJob(platform, 'acc_1')));
  appended.push(...created);
  await handleNotifications(platform, [jobs], created);
  // A relay that dies before it publishes.
  for (const { error } of await platform.relay.sequence(created)) expect(error).toBeUndefined();
  const { parts, notified } = visitor(11 * minute);
  expect((await reconcile(parts)).counts).toMatchObject({
    missing: 0,
    unpublished: 1,
    behind: {},
    repaired: 1,
    notRepaired: 0,
  });
  expect(notified.relay).toHaveLength(1);
  await expectWhole();
});

test('loses and repeats nothing when visits race with appends whose notifications are late, repeated or lost', async () => {
  const chaos = makeChaos(23);
  const delivered: Promise<unknown>[] = [];
  const world: StreamNotification[] = [];
  let writing = true;
  const written = write(platform, accounts, 50, chaos, (notification) => {
    world.push(notification);
    for (const deliver of [
      () => relayNotifications(platform, [notification]),
      () => handleNotifications(platform, [jobs], [notification]),
    ]) {
      if (chaos.chance(0.5)) delivered.push(deliver());
      if (chaos.chance(0.2)) delivered.push(deliver());
    }
  }).finally(() => {
    writing = false;
  });
  // Without grace, commits in flight count as lost.
  const visits = upTo(3).map(async () => {
    while (writing) await reconcile(visitor(minute).parts, { graceMilliseconds: 0 });
  });
  await Promise.all([written, ...visits]);
  await Promise.all(delivered);
  appended.push(...world);
  const last = await Promise.all(upTo(3).map(() => reconcile(visitor(11 * minute).parts)));
  expect(last.map(({ outcome }) => outcome)).toContain('done');
  expect((await reconcile(visitor(11 * minute).parts)).counts).toMatchObject({
    missing: 0,
    unpublished: 0,
    behind: {},
    ledgerGaps: 0,
  });
  await expectWhole();
});

test('divides the activity into disjoint shares that together contain all streams', async () => {
  const found = await Promise.all(
    upTo(4).map(async (n) => {
      const streams = new Set<string>();
      for (let cursor: string | undefined; ; ) {
        const { items, next } = await platform.streamShares({
          share: { index: n - 1, of: 4 },
          limit: 7,
          ...(cursor ? { cursor } : {}),
        });
        for (const { stream } of items) streams.add(stream);
        if (next === null) return [...streams];
        cursor = next;
      }
    }),
  );
  expect(found.flat().sort()).toEqual(
    headsOf(appended)
      .map(({ stream }) => stream)
      .sort(),
  );
});

test('counts an entry that was deleted from the ledger', async () => {
  const [entry] = await platform.events.ledger('acc_2', { order: 'asc', afterSeq: 3, limit: 1 });
  const Key = { account: { S: 'acc_2' }, seq: { N: String(entry?.seq) } };
  await clients.dynamo().send(new DeleteItemCommand({ TableName: `${prefix}ledger`, Key }));
  // A nightly walk checks new entries only.
  expect((await reconcile(visitor(11 * minute).parts)).counts).toMatchObject({ ledgerGaps: 0 });
  expect((await reconcile(visitor(11 * minute).parts, { all: true })).counts).toMatchObject({ ledgerGaps: 1 });
});
