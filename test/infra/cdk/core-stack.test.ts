import { Match } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { tables } from '../../../infra/aws/tables.ts';
import { synthesize } from './synth.ts';

const main = synthesize('main');
const core = main.templates.core;

test('every table of the public contract and of the adapters is there, named after the stage', () => {
  const contract =
    'users accounts sources jobs runs files activity oauth-states api-keys analytics-aggregates reports'.split(' ');
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

test('no table has an index: each write would be paid for again', () => {
  for (const [id, { Properties }] of main.ofType('AWS::DynamoDB::GlobalTable')) {
    const { GlobalSecondaryIndexes, LocalSecondaryIndexes } = Properties as {
      GlobalSecondaryIndexes?: object;
      LocalSecondaryIndexes?: object;
    };
    expect({ id, indexes: GlobalSecondaryIndexes ?? LocalSecondaryIndexes }).toEqual({ id, indexes: undefined });
  }
});

test('every table is on demand, encrypted and protected; every one but the subject keys can go back in time', () => {
  for (const [id, { Properties, DeletionPolicy }] of main.ofType('AWS::DynamoDB::GlobalTable')) {
    const back = Properties.TableName !== 'listbackup-main-subject-keys';
    expect({ id, ...Properties, DeletionPolicy }).toMatchObject({
      id,
      BillingMode: 'PAY_PER_REQUEST',
      SSESpecification: { SSEEnabled: true },
      Replicas: [
        { DeletionProtectionEnabled: true, PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: back } },
      ],
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
  const streamed = main
    .ofType('AWS::DynamoDB::GlobalTable')
    .filter(([, table]) => table.Properties.StreamSpecification);
  expect(streamed.map(([, { Properties }]) => [Properties.TableName, Properties.StreamSpecification])).toEqual([
    ['listbackup-main-activity', { StreamViewType: 'KEYS_ONLY' }],
  ]);
});

test('every bucket is encrypted, closed to the public and kept, and ends uploads that nobody ends', () => {
  const buckets = main.ofType('AWS::S3::Bucket');
  expect(buckets.map(([, { Properties }]) => Properties.BucketName).sort()).toEqual(
    ['checkpoints', 'data', 'failed', 'logs'].map((kind) => `listbackup-${kind}-main`),
  );
  for (const [id, { Properties, DeletionPolicy }] of buckets) {
    expect({ id, ...Properties, DeletionPolicy }).toMatchObject({
      id,
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      LifecycleConfiguration: {
        Rules: expect.arrayContaining([
          expect.objectContaining({ Status: 'Enabled', AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 } }),
        ]),
      },
      DeletionPolicy: 'Retain',
    });
  }
});

test('what users have backed up is versioned and tiered, can be fetched by the edge, and it is logged who read it', () => {
  core.hasResourceProperties('AWS::S3::Bucket', {
    BucketName: 'listbackup-data-main',
    VersioningConfiguration: { Status: 'Enabled' },
    AccelerateConfiguration: { AccelerationStatus: 'Enabled' },
    LoggingConfiguration: { DestinationBucketName: Match.anyValue(), LogFilePrefix: 'data/' },
    LifecycleConfiguration: {
      Rules: Match.arrayWith([
        Match.objectLike({
          Status: 'Enabled',
          Transitions: [{ StorageClass: 'INTELLIGENT_TIERING', TransitionInDays: 0 }],
        }),
      ]),
    },
    // What rests in the archive tiers could not be restored for hours.
    IntelligentTieringConfigurations: Match.absent(),
  });
});

test('no current object of a user ever expires but prepared exports, which do within a day', () => {
  const data = main
    .ofType('AWS::S3::Bucket')
    .filter(([, { Properties }]) => /data|checkpoints/.test(String(Properties.BucketName)));
  expect(data).toHaveLength(2);
  const rules = data.flatMap(([, { Properties }]) => Properties.LifecycleConfiguration?.Rules ?? []);
  const expiring = rules.filter((rule) => Object.keys(rule).some((name) => /^Expiration/.test(name)));
  expect(expiring).toEqual([expect.objectContaining({ Prefix: 'exports/', ExpirationInDays: 1, Status: 'Enabled' })]);
});

test('nobody can change a checkpoint for a year, but on stage test, which has to go', () => {
  core.hasResourceProperties('AWS::S3::Bucket', {
    BucketName: 'listbackup-checkpoints-main',
    ObjectLockEnabled: true,
    ObjectLockConfiguration: {
      ObjectLockEnabled: 'Enabled',
      Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 365 } },
    },
  });
  synthesize('test').templates.core.hasResourceProperties('AWS::S3::Bucket', {
    BucketName: 'listbackup-checkpoints-test',
    ObjectLockEnabled: Match.absent(),
    ObjectLockConfiguration: Match.absent(),
  });
});

test('the account is told of a batch that a stream gave up on', () => {
  core.hasResourceProperties('AWS::S3::Bucket', {
    BucketName: 'listbackup-failed-main',
    NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
  });
});

test('a suffix ends the name of every bucket', () => {
  const names = synthesize('main', { suffix: 'acme' })
    .ofType('AWS::S3::Bucket')
    .map(([, { Properties }]) => Properties.BucketName);
  expect(names).toHaveLength(4);
  for (const name of names) expect(name).toMatch(/^listbackup-[a-z]+-main-acme$/);
});

test('the bus keeps what ran over it for a month', () => {
  core.hasResourceProperties('AWS::Events::Archive', {
    ArchiveName: 'listbackup-events-main',
    EventPattern: { source: ['listbackup'] },
    RetentionDays: 30,
  });
});

test('schedules of jobs have a group of their own, and may put a message on the job queue and nothing else', () => {
  core.hasResourceProperties('AWS::Scheduler::ScheduleGroup', { Name: 'listbackup-main' });
  const [role] = Object.entries(core.findResources('AWS::IAM::Role')).filter(([, { Properties }]) =>
    JSON.stringify(Properties.AssumeRolePolicyDocument).includes('scheduler.amazonaws.com'),
  );
  expect(JSON.stringify(role)).toMatch(/aws:SourceAccount.*aws:SourceArn/);
  const statements = Object.values(core.findResources('AWS::IAM::Policy'))
    .filter(({ Properties }) => JSON.stringify(Properties.Roles).includes(String(role?.[0])))
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
  expect(statements).toEqual([
    expect.objectContaining({
      Effect: 'Allow',
      Action: 'sqs:SendMessage',
      Resource: { 'Fn::GetAtt': [expect.stringMatching(/^jobqueue/), 'Arn'] },
    }),
  ]);
});

test('the bucket and every queue refuse everyone without TLS', () => {
  const policies = [...main.ofType('AWS::S3::BucketPolicy'), ...main.ofType('AWS::SQS::QueuePolicy')];
  expect(policies).toHaveLength(main.ofType('AWS::S3::Bucket').length + main.ofType('AWS::SQS::Queue').length);
  for (const [, { Properties }] of policies) {
    expect(Properties.PolicyDocument?.Statement).toContainEqual(
      expect.objectContaining({
        Effect: 'Deny',
        Principal: { AWS: '*' },
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      }),
    );
  }
});

test('each queue gives up on a message after five tries and keeps it in its own dead-letter queue for two weeks', () => {
  for (const kind of ['job', 'data']) {
    const [dead] = Object.keys(
      core.findResources('AWS::SQS::Queue', { Properties: { QueueName: `listbackup-${kind}-queue-dlq-main` } }),
    );
    core.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: `listbackup-${kind}-queue-main`,
      RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': [dead, 'Arn'] }, maxReceiveCount: 5 },
    });
    core.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: `listbackup-${kind}-queue-dlq-main`,
      MessageRetentionPeriod: 1_209_600,
    });
    const [{ Properties } = {}] = Object.values(
      core.findResources('AWS::SQS::Queue', { Properties: { QueueName: `listbackup-${kind}-queue-dlq-main` } }),
    );
    // Dead letters of one queue alone, which is where an operator can send them back to.
    expect(Properties?.RedriveAllowPolicy).toMatchObject({
      redrivePermission: 'byQueue',
      sourceQueueArns: [expect.anything()],
    });
    expect(JSON.stringify(Properties?.RedriveAllowPolicy)).toContain(`listbackup-${kind}-queue-main`);
  }
});

test('the key that wraps is rotated; the key that signs can only sign; both can be had in another region', () => {
  core.hasResourceProperties('AWS::KMS::Key', { EnableKeyRotation: true, KeySpec: Match.absent() });
  core.hasResourceProperties('AWS::KMS::Key', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
  for (const [, key] of main.ofType('AWS::KMS::Key'))
    expect(key).toMatchObject({ DeletionPolicy: 'Retain', Properties: { MultiRegion: true } });
});

test('stage test can be deleted as a whole', () => {
  const kept = ['AWS::DynamoDB::GlobalTable', 'AWS::S3::Bucket', 'AWS::KMS::Key', 'AWS::Cognito::UserPool'].flatMap(
    synthesize('test').ofType,
  );
  for (const [id, { DeletionPolicy }] of kept) expect([id, DeletionPolicy]).toEqual([id, 'Delete']);
});

test('e-mails come from a domain of your own where it is told, over TLS alone, and never again to who complained', () => {
  const { templates } = synthesize('main', { mailDomain: 'mail.example.com' });
  templates.core.hasResourceProperties('AWS::SES::EmailIdentity', { EmailIdentity: 'mail.example.com' });
  templates.core.hasResourceProperties('AWS::SES::ConfigurationSet', {
    Name: 'listbackup-mail-main',
    DeliveryOptions: { TlsPolicy: 'REQUIRE' },
    SuppressionOptions: { SuppressedReasons: ['BOUNCE', 'COMPLAINT'] },
  });
  // What proves the domain is told before the user pool needs it to be proven.
  const outputs = Object.keys(templates.core.findOutputs('*'));
  expect(outputs.filter((name) => name.startsWith('MailRecord'))).toHaveLength(3);
  templates.auth.hasResourceProperties('AWS::Cognito::UserPool', {
    EmailConfiguration: { EmailSendingAccount: 'DEVELOPER', From: 'ListBackup <no-reply@mail.example.com>' },
  });
  main.templates.auth.hasResourceProperties('AWS::Cognito::UserPool', { EmailConfiguration: Match.absent() });
});
