/**
 * The same on the deployed app: reads every table item, stream record, message, event on the bus, log line and object.
 * Two stores may hold personal data in clear. The user pool containsText names and e-mails, and its user names are
 * hashes. A prepared zip lies below `exports/` for less than a day.
 */
import { randomBytes } from 'node:crypto';
import { type AttributeValue, paginateListTables, paginateScan } from '@aws-sdk/client-dynamodb';
import { PutRuleCommand, PutTargetsCommand, RemoveTargetsCommand } from '@aws-sdk/client-eventbridge';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { AwsClients } from '../../infra/aws/clients.ts';
import { defaultLimits } from '../../processors/limits.ts';
import { client, listFiles, type Run, until } from '../acceptance/client.ts';
import { ministackClients } from '../emulator/aws-resources.ts';
import { deployedUrl } from '../emulator/deployed.ts';
import { logs, streams, takeMessages } from '../emulator/raw-aws.ts';
import { containsText, plantedData } from './planted-data.ts';

const run = randomBytes(4).toString('hex');
const bus = 'listbackup-events-test';
const EventBusName = bus;
const Bucket = `source-${run}`;
/** Everything that the test read, with its location. */
const seen: { where: string; bytes: Buffer }[] = [];
const saw = (where: string, ...texts: (string | Uint8Array | undefined)[]) => {
  for (const text of texts) if (text !== undefined) seen.push({ where, bytes: Buffer.from(text) });
};

let clients: AwsClients;
let url: string;
let heard = '';

beforeAll(async () => {
  clients = ministackClients();
  url = await deployedUrl();
  const { QueueUrl = '' } = await clients.sqs().send(new CreateQueueCommand({ QueueName: `plantedData-${run}` }));
  heard = QueueUrl;
  const { Attributes } = await clients
    .sqs()
    .send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }));
  const Name = `plantedData-${run}`;
  await clients.events().send(
    new PutRuleCommand({
      Name,
      EventBusName,
      EventPattern: JSON.stringify({ account: [inject('ministack').account] }),
    }),
  );
  await clients.events().send(
    new PutTargetsCommand({
      Rule: Name,
      EventBusName,
      Targets: [{ Id: 'plantedData', Arn: Attributes?.QueueArn ?? '' }],
    }),
  );
});
afterAll(async () => {
  for (const queue of ['job-queue', 'data-queue']) await takeMessages(`listbackup-test-${queue}`, true);
  await clients
    .events()
    .send(new RemoveTargetsCommand({ Rule: `plantedData-${run}`, EventBusName, Ids: ['plantedData'] }));
  await clients.sqs().send(new DeleteQueueCommand({ QueueUrl: heard }));
  clients.close();
});

/** Reads the messages of a queue and leaves them there. Returns their number. */
async function peek(name: string): Promise<number> {
  const { QueueUrl } = await clients.sqs().send(new GetQueueUrlCommand({ QueueName: name }));
  const { Messages = [] } = await clients
    .sqs()
    .send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 0 }));
  saw(`queue ${name}`, ...Messages.map((message) => JSON.stringify(message)));
  return Messages.length;
}

const inQueue = (name: string) => until(`a message in ${name}`, async () => (await peek(name)) || undefined);

async function readBus(): Promise<void> {
  for (;;) {
    const { Messages = [] } = await clients
      .sqs()
      .send(new ReceiveMessageCommand({ QueueUrl: heard, MaxNumberOfMessages: 10 }));
    if (Messages.length === 0) return;
    saw('bus', ...Messages.map((message) => JSON.stringify(message)));
  }
}

/** All text and bytes of an attribute, at any depth. */
function scalarsOf(value: AttributeValue): (string | Uint8Array)[] {
  if (value.S !== undefined) return [value.S];
  if (value.B !== undefined) return [value.B];
  if (value.M) return Object.entries(value.M).flatMap(([name, inner]) => [name, ...scalarsOf(inner)]);
  if (value.L) return value.L.flatMap(scalarsOf);
  return [...(value.SS ?? []), ...(value.BS ?? [])];
}

async function readTables(): Promise<void> {
  for await (const { TableNames = [] } of paginateListTables({ client: clients.dynamo() }, {})) {
    for (const TableName of TableNames.filter((name) => name.startsWith('listbackup-test-'))) {
      for await (const { Items = [] } of paginateScan(
        { client: clients.dynamo() },
        { TableName, ConsistentRead: true },
      )) {
        for (const item of Items) saw(`table ${TableName}`, ...scalarsOf({ M: item }));
      }
    }
  }
}

async function readStreams(): Promise<void> {
  const { Streams } = (await streams('ListStreams', {})) as unknown as {
    Streams: { StreamArn: string; TableName: string }[];
  };
  for (const { StreamArn, TableName } of Streams.filter(({ TableName }) => TableName.startsWith('listbackup-test-'))) {
    const { StreamDescription } = (await streams('DescribeStream', { StreamArn })) as unknown as {
      StreamDescription: { Shards: { ShardId: string }[] };
    };
    for (const { ShardId } of StreamDescription.Shards) {
      const shard = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' };
      let { ShardIterator } = (await streams('GetShardIterator', shard)) as unknown as { ShardIterator?: string };
      for (let last = false; ShardIterator && !last; ) {
        const page = (await streams('GetRecords', { ShardIterator, Limit: 1000 })) as unknown as {
          Records: object[];
          NextShardIterator?: string;
        };
        saw(`stream ${TableName}`, ...page.Records.map((record) => JSON.stringify(record)));
        last = page.Records.length === 0;
        ShardIterator = page.NextShardIterator;
      }
    }
  }
}

async function readLogs(): Promise<void> {
  const { logGroups } = (await logs('DescribeLogGroups', {})) as unknown as { logGroups: { logGroupName: string }[] };
  for (const { logGroupName } of logGroups) {
    let nextToken: string | undefined;
    do {
      const page = (await logs('FilterLogEvents', {
        logGroupName,
        ...(nextToken ? { nextToken } : {}),
      })) as unknown as {
        events: { message: string }[];
        nextToken?: string;
      };
      saw(`log ${logGroupName}`, ...page.events.map(({ message }) => message));
      nextToken = page.events.length > 0 ? page.nextToken : undefined;
    } while (nextToken);
  }
}

async function readObjects(): Promise<void> {
  const { Buckets = [] } = await clients.s3().send(new ListBucketsCommand({}));
  for (const { Name } of Buckets.filter((each) => each.Name?.startsWith('listbackup-'))) {
    for await (const { Contents = [] } of paginateListObjectsV2({ client: clients.s3() }, { Bucket: Name })) {
      for (const { Key = '' } of Contents) {
        const { Body, Metadata } = await clients.s3().send(new GetObjectCommand({ Bucket: Name, Key }));
        saw(`object ${Name}/${Key}`, Key, JSON.stringify(Metadata), await Body?.transformToByteArray());
      }
    }
  }
}

test('plantedData secrets are in clear in no item, stream record, message, event, log line or object', async () => {
  const { endpoint, region } = inject('ministack');
  const s3 = clients.s3();
  await s3.send(new CreateBucketCommand({ Bucket }));
  const Key = `${plantedData.prefix}/${plantedData.path}`;
  await s3.send(new PutObjectCommand({ Bucket, Key, Body: plantedData.content }));
  await s3.send(
    new PutObjectCommand({
      Bucket,
      Key: `${plantedData.prefix}/${plantedData.frozen}`,
      Body: 'x',
      StorageClass: 'GLACIER',
    }),
  );

  // It fills a batch, so that the run has a second batch, and messages in the data queue
  const large = `${plantedData.prefix}/0 large`;
  await s3.send(new PutObjectCommand({ Bucket, Key: large, Body: Buffer.alloc(defaultLimits.batchBytes) }));

  const headers = { 'idempotency-key': `plantedData-${run}` };
  const nobody = client(url);
  const person = { email: `${run}.${plantedData.email}`, password: plantedData.password };
  await nobody.expect(201, 'POST', '/auth/register', { body: { ...person, name: plantedData.person }, headers });
  const { accessToken, refreshToken } = await nobody.expect(200, 'POST', '/auth/login', { body: person, headers });
  const api = client(url, String(accessToken));
  const config = { bucket: Bucket, endpoint, region, prefix: `${plantedData.prefix}/` };
  const credentials = { accessKeyId: 'test', secretAccessKey: plantedData.secret };
  const body = { type: 's3', name: plantedData.source, config, credentials };
  const source = await api.expect(201, 'POST', '/sources', { body, headers });
  const job = await api.expect(201, 'POST', '/jobs', { body: { name: plantedData.job, sourceId: source.id }, headers });

  // Stop the workers of each queue, so that the test can read its messages
  for (const queue of ['job-queue', 'data-queue']) await takeMessages(`listbackup-test-${queue}`, false);
  const requested = await api.expect(202, 'POST', `/jobs/${job.id}/run`);
  await inQueue('listbackup-job-queue-test');
  await takeMessages('listbackup-test-job-queue', true);
  await inQueue('listbackup-data-queue-test');
  await takeMessages('listbackup-test-data-queue', true);
  const ended = (id: unknown) =>
    until('the run ends', async () => {
      const answer = await api.call('GET', `/runs/${id}`);
      return answer.body.finishedAt ? (answer.body as Run) : undefined;
    });
  // The owner sees the personal data
  expect(await ended(requested.id)).toMatchObject({ status: 'partial', errors: [{ path: plantedData.frozen }] });
  const files = await listFiles(api, `sourceId=${source.id}&recursive=true`);
  const file = files.find(({ path }) => path === plantedData.path);
  expect(file).toBeDefined();

  // Download a file, and a zip, which rests in clear
  const { url: address } = await api.expect(200, 'POST', '/data/download', { body: { fileId: file?.id } });
  expect(await (await fetch(String(address))).text()).toBe(plantedData.content);
  const zip = await api.expect(202, 'POST', '/data/download', {
    body: { sourceId: source.id, paths: [plantedData.path] },
  });
  await until('the zip is ready', async () => {
    const answer = await api.expect(200, 'GET', `/data/downloads/${zip.id}`);
    return answer.status === 'ready' ? answer : undefined;
  });

  // Error answers contain no secret
  const refusals = await Promise.all([
    nobody.call('POST', '/auth/login', { body: { ...person, password: `${plantedData.password} not` } }),
    nobody.call('POST', '/auth/register', { body: { ...person, name: plantedData.person, extra: plantedData.secret } }),
    api.call('POST', '/sources', { body: { ...body, credentials: { ...credentials, more: plantedData.secret } } }),
    api.call('PUT', `/sources/${source.id}`, {
      body: { name: plantedData.source, config, credentials: { accessKeyId: plantedData.secret } },
    }),
  ]);
  for (const refusal of refusals) {
    expect(refusal.status).toBeGreaterThanOrEqual(400);
    for (const secret of [plantedData.secret, plantedData.password])
      expect(JSON.stringify(refusal.body)).not.toContain(secret);
  }
  for (const each of [Key, `${plantedData.prefix}/${plantedData.frozen}`, large])
    await s3.send(new DeleteObjectCommand({ Bucket, Key: each }));
  await s3.send(new DeleteBucketCommand({ Bucket }));
  const failed = await api.expect(202, 'POST', `/jobs/${job.id}/run`);
  expect(await ended(failed.id)).toMatchObject({ status: 'failed' });
  await until('the failed run on the bus', async () => {
    await readBus();
    return seen.some(({ where, bytes }) => where === 'bus' && bytes.includes('run.ended.v1')) ? true : undefined;
  });
  const isLogged = () => seen.some(({ where, bytes }) => where.startsWith('log ') && bytes.includes(String(failed.id)));
  await until('the failed run in the log', async () => {
    await readLogs();
    if (isLogged()) return true;
    // The emulator logs late output of a function with its next call
    const { id } = await api.expect(202, 'POST', `/jobs/${job.id}/run`);
    await ended(id);
    return undefined;
  });
  await Promise.all([
    readTables(),
    readStreams(),
    readObjects(),
    peek('listbackup-job-queue-dlq-test'),
    peek('listbackup-data-queue-dlq-test'),
  ]);

  // The ids of job and run are no secrets. They prove that the test read each kind of location.
  const isNamed = (bytes: Buffer) => [job.id, requested.id].some((id) => containsText(bytes, String(id)));
  const locations = [...new Set(seen.filter(({ bytes }) => isNamed(bytes)).map(({ where }) => where))];
  for (const location of [
    'table listbackup-test-activity',
    'table listbackup-test-runs',
    'stream listbackup-test-activity',
    'queue listbackup-job-queue-test',
    'queue listbackup-data-queue-test',
    'bus',
  ]) {
    expect(locations).toContain(location);
  }
  expect(seen.filter(({ where }) => where.startsWith('object ')).length).toBeGreaterThan(5);

  const found = new Set<string>();
  for (const [what, text] of Object.entries({
    ...plantedData,
    accessToken: String(accessToken),
    refreshToken: String(refreshToken),
  })) {
    for (const { where, bytes } of seen) if (containsText(bytes, text)) found.add(`${what} in ${where}`);
  }
  const inZip = (one: string) => /^(path|content) in object listbackup-data-test\/exports\//.test(one);
  expect([...found].filter((one) => !inZip(one))).toEqual([]);
  expect([...found].some(inZip)).toBe(true);
});
