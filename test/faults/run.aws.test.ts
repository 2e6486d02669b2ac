/** Whole runs with faults in three of ten calls end as undisturbed runs do. */
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { expect, it, onTestFailed, onTestFinished } from 'vitest';
import { createJob } from '../../commands/create-job.ts';
import { renameJob } from '../../commands/rename-job.ts';
import { openBucket } from '../../infra/embedded/bucket.ts';
import { fresh } from '../contract/fresh.ts';
import { ministackClients } from '../emulator/aws-resources.ts';
import { expectClean } from '../support/check.ts';
import { auditLedger } from '../support/ledger.ts';
import { makeAwsWorld, pauseDivisor } from './aws-world.ts';
import { changeCorpus, hashesOf, makeCorpus } from './corpus.ts';
import { calm, type Fault, failingCalls, share, startFaultProxy, upToAttempt } from './fault-proxy.ts';
import { account, command, type Handle, makeWorld, pictureOf } from './world.ts';

type Runs = { source: string; request(): Promise<string>; settle(how?: Handle): Promise<void> };

/** Two runs with changes between them. */
async function twoRuns(world: Runs, how?: Handle): Promise<void> {
  await makeCorpus(world.source);
  for (const change of [async () => {}, changeCorpus]) {
    await change(world.source);
    await world.request();
    await world.settle(how);
  }
}

let known: ReturnType<typeof pictureOf> | undefined;
/** The outcome of two self-hosted runs without faults. */
function undisturbed(): ReturnType<typeof pictureOf> {
  known ??= makeWorld().then(async (world) => {
    await twoRuns(world);
    return pictureOf(world);
  });
  return known;
}

it.each([1, 2, 3])('on AWS with faults of DynamoDB, SQS, S3, EventBridge and KMS (%i)', async (seed) => {
  const world = await makeAwsWorld(seed);
  world.proxy.plan = failingCalls(0.005, share(0.3));
  await twoRuns(world);
  expect(world.proxy.total().withFaults).toBeGreaterThan(100);
  const after = { ...world, platform: world.calm };
  expect(await pictureOf(after)).toEqual(await undisturbed());
  await expectClean(world.calm, { deployment: { ...world.deployment, platform: world.calm } });
});

it.each([1, 4, 5, 7])('self-hosted with blobs in a bucket and faults of S3 (%i)', async (seed) => {
  const clients = ministackClients();
  onTestFinished(() => clients.close());
  const bucket = fresh('bucket').replaceAll('_', '-');
  await clients.s3().send(new CreateBucketCommand({ Bucket: bucket }));
  const environment = { ...process.env };
  const proxy = await startFaultProxy({ target: environment.AWS_ENDPOINT_URL ?? '', seed, plan: calm });
  onTestFailed(() => console.error(proxy.summary()));
  const opened = await openBucket(
    { bucket, prefix: 'ours/', environment: { ...environment, AWS_ENDPOINT_URL: proxy.endpoint } },
    pauseDivisor,
  );
  onTestFinished(async () => {
    opened.close();
    await proxy.close();
  });
  const world = await makeWorld({ blobs: opened.blobs });
  proxy.plan = failingCalls(0.03, share(0.3));
  // Injected faults must not use up the receives of a message
  const untilDone: Handle = (body) => world.handle(body).catch(() => untilDone(body));
  await twoRuns(world, untilDone);
  // Nothing repeats a failed read, so the SDK must succeed
  proxy.plan = upToAttempt(3, share(0.3));
  expect(await pictureOf(world)).toEqual(await undisturbed());
  // A run of a few files makes about twenty calls to the bucket
  expect(proxy.total().withFaults).toBeGreaterThan(0);
  proxy.plan = calm;
  await expectClean(world.platform, { deployment: world.deployment });
});

it('a bus that fails for ten minutes does not stop the ledger, and gets all events in order afterwards', async () => {
  const world = await makeAwsWorld(1);
  const { calm: platform, proxy } = world;
  await makeCorpus(world.source);
  await world.settle();
  const kinds: Fault[] = ['failed', 'refused', 'throttled'];
  let minutes = 0;
  proxy.plan = ({ service }) => (service === 'events' ? kinds[minutes % kinds.length] : undefined);
  await world.request();
  const { id: other } = await createJob(world.platform, command(), { name: 'Weekly', sourceId: world.sourceId });
  const entries = () => platform.events.ledger(account, { order: 'asc', limit: 1000 });
  const before = (await entries()).length + 2;
  while (minutes < 10) {
    await renameJob(world.platform, command(), other, `Weekly ${minutes}`);
    await world.follow();
    await world.minute();
    minutes++;
    expect(await entries()).toHaveLength(before + minutes);
  }
  expect(await platform.queue.receive('job', { max: 1, visibilitySeconds: 0 })).toEqual([]);
  proxy.plan = calm;
  await world.settle();
  // Throws unless the commits of each stream are complete and in order
  expect(await auditLedger(platform, account)).toMatchObject({ JobRenamed: 10, RestorePointCreated: 1 });
  const { runs, restored } = await pictureOf({ ...world, platform });
  expect(runs).toMatchObject([{ status: 'succeeded' }]);
  expect(new Map(Object.entries(restored))).toEqual(await hashesOf(world.source));
  expect(await platform.relay.publish(account, () => [])).toBe(0);
  await expectClean(platform, { deployment: { ...world.deployment, platform } });
});
