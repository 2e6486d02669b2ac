/** The lifecycle of a stage: deploy again, deploy one group, destroy. */
import { CloudFormationClient, ListStacksCommand, paginateDescribeStackEvents } from '@aws-sdk/client-cloudformation';
import { DescribeKeyCommand, KMSClient, ListKeysCommand } from '@aws-sdk/client-kms';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { emptyStage } from '../../../infra/cdk/destroy.ts';
import { stage } from '../../../infra/cdk/stage.ts';
import { deployToMinistack, destroyOnMinistack } from '../../emulator/deploy.ts';
import { type Ministack, startMinistack } from '../../emulator/ministack.ts';

/** The options with the most resources. */
const settings = { LISTBACKUP_NETWORK: 'nat', LISTBACKUP_WARM: '1-2' } as const;
const timeout = 900_000;
let ministack: Ministack;
let cloudFormation: CloudFormationClient;
let s3: S3Client;
let ssm: SSMClient;

const connection = () => ({
  endpoint: ministack.endpoint,
  region: ministack.region,
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
});

beforeAll(async () => {
  ministack = await startMinistack();
  cloudFormation = new CloudFormationClient(connection());
  s3 = new S3Client({ ...connection(), forcePathStyle: true });
  ssm = new SSMClient(connection());
  await deployToMinistack(ministack.endpoint, { settings });
});
afterAll(async () => {
  for (const client of [cloudFormation, s3, ssm]) client.destroy();
  await ministack.stop();
});

/** Returns stack → number of its CloudFormation events. */
async function countEvents(): Promise<{ [stack: string]: number }> {
  const { StackSummaries = [] } = await cloudFormation.send(new ListStacksCommand({}));
  const counted = StackSummaries.filter(({ StackStatus }) => StackStatus !== 'DELETE_COMPLETE').map(
    async ({ StackName = '' }) => {
      let events = 0;
      for await (const page of paginateDescribeStackEvents({ client: cloudFormation }, { StackName }))
        events += page.StackEvents?.length ?? 0;
      return [StackName, events] as const;
    },
  );
  return Object.fromEntries(await Promise.all(counted));
}

type Listing = { service: string; path?: string; target?: string; form?: string };
const listings: { [kind: string]: Listing } = {
  tables: { service: 'dynamodb', target: 'DynamoDB_20120810.ListTables' },
  buckets: { service: 's3' },
  queues: { service: 'sqs', target: 'AmazonSQS.ListQueues' },
  buses: { service: 'events', target: 'AWSEvents.ListEventBuses' },
  rules: { service: 'events', target: 'AWSEvents.ListRules' },
  schedules: { service: 'scheduler', path: '/schedules' },
  scheduleGroups: { service: 'scheduler', path: '/schedule-groups' },
  functions: { service: 'lambda', path: '/2015-03-31/functions/' },
  mappings: { service: 'lambda', path: '/2015-03-31/event-source-mappings/' },
  apis: { service: 'apigateway', path: '/v2/apis' },
  pools: { service: 'cognito-idp', target: 'AWSCognitoIdentityProviderService.ListUserPools' },
  parameters: { service: 'ssm', target: 'AmazonSSM.DescribeParameters' },
  aliases: { service: 'kms', target: 'TrentService.ListAliases' },
  logs: { service: 'logs', target: 'Logs_20140328.DescribeLogGroups' },
  roles: { service: 'iam', form: 'Action=ListRoles&Version=2010-05-08' },
  networks: { service: 'ec2', form: 'Action=DescribeVpcs&Version=2016-11-15' },
  groups: { service: 'ec2', form: 'Action=DescribeSecurityGroups&Version=2016-11-15' },
};

/** Returns the emulator's raw listing of one kind of resource. */
async function list({ service, path = '/', target, form }: Listing): Promise<string> {
  const scope = `test/20260101/${ministack.region}/${service}/aws4_request`;
  const response = await fetch(`${ministack.endpoint}${path}`, {
    method: target || form ? 'POST' : 'GET',
    headers: {
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
      ...(target ? { 'x-amz-target': target, 'content-type': 'application/x-amz-json-1.1' } : {}),
      ...(form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
    },
    ...(target ? { body: target.endsWith('ListUserPools') ? '{"MaxResults":60}' : '{}' } : form ? { body: form } : {}),
  });
  const text = await response.text();
  expect([service, response.status, text]).toEqual([service, 200, expect.anything()]);
  return text;
}

const ours = /listbackup[-/]/;

test('a second deployment changes nothing', { timeout }, async () => {
  const before = await countEvents();
  await deployToMinistack(ministack.endpoint, { settings });
  expect(await countEvents()).toEqual(before);
});

test('deploying a group changes only its own stack', { timeout }, async () => {
  const before = await countEvents();
  expect(Object.keys(before)).toHaveLength(6);
  const changed = { ...settings, LISTBACKUP_RATE_LIMIT: '7' };
  await deployToMinistack(ministack.endpoint, { settings: changed, groups: ['analytics'] });
  const after = await countEvents();
  expect(after['listbackup-test-analytics']).toBeGreaterThan(before['listbackup-test-analytics'] ?? Number.NaN);
  expect({ ...after, 'listbackup-test-analytics': 0 }).toEqual({ ...before, 'listbackup-test-analytics': 0 });
});

test('refuses to destroy a protected stage', async () => {
  await expect(emptyStage(s3, ssm, stage('main'))).rejects.toThrow('Only stage test can be deleted');
});

test('destroying stage test leaves nothing behind, even with objects in its buckets', { timeout }, async () => {
  for (const Body of ['old', 'new'])
    await s3.send(new PutObjectCommand({ Bucket: 'listbackup-data-test', Key: 'packs/a', Body }));
  for (const [kind, listing] of Object.entries(listings))
    expect([kind, await list(listing)]).toEqual([kind, expect.stringMatching(ours)]);

  await destroyOnMinistack(ministack.endpoint, { settings });

  for (const [kind, listing] of Object.entries(listings)) {
    const text = await list(listing);
    expect([kind, ours.exec(text) ? text : 'none']).toEqual([kind, 'none']);
  }
  expect(await countEvents()).toEqual({});
  // KMS deletes keys after a week at the earliest.
  const kms = new KMSClient(connection());
  const { Keys = [] } = await kms.send(new ListKeysCommand({}));
  const states = await Promise.all(
    Keys.map(async ({ KeyId }) => (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata),
  );
  const remaining = states.filter(
    (key) => key?.Description?.includes('ListBackup') && key.KeyState !== 'PendingDeletion',
  );
  expect(remaining).toEqual([]);
  kms.destroy();
});
