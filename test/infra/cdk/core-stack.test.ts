import { Match } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { tables } from '../../../infra/aws/tables.ts';
import { synthesize } from './synth.ts';

const main = synthesize('main');
const core = main.templates.core;

test('every table of the public contract and of the adapters is there, named after the stage', () => {
  const contract = 'users accounts sources jobs runs files activity oauth-states api-keys analytics-aggregates reports'.split(' ');
  const names = main.ofType('AWS::DynamoDB::GlobalTable').map(([, table]) => table.Properties.TableName);
  for (const name of [...contract, ...Object.keys(tables)]) expect(names).toContain(`listbackup-main-${name}`);
});

test('bucket, queues and bus have the names of the public contract', () => {
  core.hasResourceProperties('AWS::S3::Bucket', { BucketName: 'listbackup-data-main' });
  core.hasResourceProperties('AWS::SQS::Queue', { QueueName: 'listbackup-job-queue-main' });
  core.hasResourceProperties('AWS::SQS::Queue', { QueueName: 'listbackup-data-queue-main' });
  core.hasResourceProperties('AWS::Events::EventBus', { Name: 'listbackup-events-main' });
});

test.for(Object.entries(tables))('table %s has the keys its adapter reads', ([name, shape]) => {
  core.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
    TableName: `listbackup-main-${name}`,
    KeySchema: [
      { AttributeName: shape.pk[0], KeyType: 'HASH' },
      { AttributeName: shape.sk[0], KeyType: 'RANGE' },
    ],
    AttributeDefinitions: Match.arrayWith([
      { AttributeName: shape.pk[0], AttributeType: shape.pk[1] },
      { AttributeName: shape.sk[0], AttributeType: shape.sk[1] },
    ]),
  });
});

test('every table is on demand, encrypted and protected; every one but the subject keys can go back in time', () => {
  for (const [id, { Properties, DeletionPolicy }] of main.ofType('AWS::DynamoDB::GlobalTable')) {
    const back = Properties.TableName !== 'listbackup-main-subject-keys';
    expect({ id, ...Properties, DeletionPolicy }).toMatchObject({
      id,
      BillingMode: 'PAY_PER_REQUEST',
      SSESpecification: { SSEEnabled: true },
      Replicas: [{ DeletionProtectionEnabled: true, PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: back } }],
      DeletionPolicy: 'Retain',
    });
  }
});

test.for(['records', 'oauth-states', 'api-keys', 'reports'])('rows of %s expire', (name) => {
  core.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
    TableName: `listbackup-main-${name}`,
    TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
  });
});

test('nothing of the activity, its order or its keys expires', () => {
  for (const name of ['activity', 'ledger', 'subject-keys']) {
    core.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
      TableName: `listbackup-main-${name}`,
      TimeToLiveSpecification: Match.absent(),
    });
  }
});

test('only the activity is streamed, and of it only keys', () => {
  const streamed = main.ofType('AWS::DynamoDB::GlobalTable').filter(([, table]) => table.Properties.StreamSpecification);
  expect(streamed.map(([, { Properties }]) => [Properties.TableName, Properties.StreamSpecification])).toEqual([
    ['listbackup-main-activity', { StreamViewType: 'KEYS_ONLY' }],
  ]);
});

test('the bucket is versioned, encrypted, tiered and closed to the public', () => {
  core.hasResource('AWS::S3::Bucket', {
    DeletionPolicy: 'Retain',
    Properties: {
      VersioningConfiguration: { Status: 'Enabled' },
      BucketEncryption: { ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }] },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      LifecycleConfiguration: {
        Rules: Match.arrayWith([
          Match.objectLike({ Status: 'Enabled', Transitions: [{ StorageClass: 'INTELLIGENT_TIERING', TransitionInDays: 0 }] }),
          Match.objectLike({ Status: 'Enabled', AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 } }),
        ]),
      },
    },
  });
});

test('no current object ever expires but prepared exports, which do within a day', () => {
  const rules = main.ofType('AWS::S3::Bucket')[0]?.[1].Properties.LifecycleConfiguration?.Rules ?? [];
  const expiring = rules.filter((rule) => Object.keys(rule).some((name) => /^Expiration/.test(name)));
  expect(expiring).toEqual([expect.objectContaining({ Prefix: 'exports/', ExpirationInDays: 1, Status: 'Enabled' })]);
});

test('the bucket and every queue refuse everyone without TLS', () => {
  const policies = [...main.ofType('AWS::S3::BucketPolicy'), ...main.ofType('AWS::SQS::QueuePolicy')];
  expect(policies).toHaveLength(main.ofType('AWS::S3::Bucket').length + main.ofType('AWS::SQS::Queue').length);
  for (const [, { Properties }] of policies) {
    expect(Properties.PolicyDocument?.Statement).toContainEqual(
      expect.objectContaining({ Effect: 'Deny', Principal: { AWS: '*' }, Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
    );
  }
});

test('each queue gives up on a message after five tries and keeps it in its own dead-letter queue for two weeks', () => {
  for (const kind of ['job', 'data']) {
    const [dead] = Object.keys(core.findResources('AWS::SQS::Queue', { Properties: { QueueName: `listbackup-${kind}-queue-dlq-main` } }));
    core.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: `listbackup-${kind}-queue-main`,
      RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': [dead, 'Arn'] }, maxReceiveCount: 5 },
    });
    core.hasResourceProperties('AWS::SQS::Queue', { QueueName: `listbackup-${kind}-queue-dlq-main`, MessageRetentionPeriod: 1_209_600 });
  }
});

test('the key that wraps is rotated; the key that signs can only sign', () => {
  core.hasResourceProperties('AWS::KMS::Key', { EnableKeyRotation: true, KeySpec: Match.absent() });
  core.hasResourceProperties('AWS::KMS::Key', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
  for (const [, key] of main.ofType('AWS::KMS::Key')) expect(key.DeletionPolicy).toBe('Retain');
});

test('stage test can be deleted as a whole', () => {
  const kept = ['AWS::DynamoDB::GlobalTable', 'AWS::S3::Bucket', 'AWS::KMS::Key', 'AWS::Cognito::UserPool'].flatMap(
    synthesize('test').ofType,
  );
  for (const [id, { DeletionPolicy }] of kept) expect([id, DeletionPolicy]).toEqual([id, 'Delete']);
});
