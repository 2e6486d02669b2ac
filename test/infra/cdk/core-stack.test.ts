import { Match } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { tables } from '../../../infra/aws/tables.ts';
import { synthesize } from './synth.ts';

const main = synthesize('main');
const core = main.templates.core;

test('every table of the public contract and of the adapters exists and is named after the stage', () => {
  const contract =
    'users accounts sources jobs runs files activity oauth-states api-keys analytics-aggregates reports'.split(' ');
  const names = main.ofType('AWS::DynamoDB::GlobalTable').map(([, table]) => table.Properties.TableName);
  for (const name of [...contract, ...Object.keys(tables)]) expect(names).toContain(`listbackup-main-${name}`);
});

test('data bucket, queues and bus have the names of the public contract', () => {
  core.hasResourceProperties('AWS::S3::Bucket', { BucketName: 'listbackup-data-main' });
  core.hasResourceProperties('AWS::SQS::Queue', { QueueName: 'listbackup-job-queue-main' });
  core.hasResourceProperties('AWS::SQS::Queue', { QueueName: 'listbackup-data-queue-main' });
  core.hasResourceProperties('AWS::Events::EventBus', { Name: 'listbackup-events-main' });
});

test('no table has an index, because an index doubles the price of writes', () => {
  for (const [id, { Properties }] of main.ofType('AWS::DynamoDB::GlobalTable')) {
    const { GlobalSecondaryIndexes, LocalSecondaryIndexes } = Properties as {
      GlobalSecondaryIndexes?: object;
      LocalSecondaryIndexes?: object;
    };
    expect({ id, indexes: GlobalSecondaryIndexes ?? LocalSecondaryIndexes }).toEqual({ id, indexes: undefined });
  }
});

test('every table is on demand, encrypted and protected, and all but subject-keys have point-in-time recovery', () => {
  for (const [id, { Properties, DeletionPolicy }] of main.ofType('AWS::DynamoDB::GlobalTable')) {
    const recoverable = Properties.TableName !== 'listbackup-main-subject-keys';
    expect({ id, ...Properties, DeletionPolicy }).toMatchObject({
      id,
      BillingMode: 'PAY_PER_REQUEST',
      SSESpecification: { SSEEnabled: true },
      Replicas: [
        {
          DeletionProtectionEnabled: true,
          PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: recoverable },
        },
      ],
      DeletionPolicy: 'Retain',
    });
  }
});

test('commits, ledger entries and subject keys never expire', () => {
  for (const name of ['activity', 'ledger', 'subject-keys']) {
    core.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
      TableName: `listbackup-main-${name}`,
      TimeToLiveSpecification: Match.absent(),
    });
  }
});

test('only the activity has a stream, and the stream carries keys only', () => {
  const streamed = main
    .ofType('AWS::DynamoDB::GlobalTable')
    .filter(([, table]) => table.Properties.StreamSpecification);
  expect(streamed.map(([, { Properties }]) => [Properties.TableName, Properties.StreamSpecification])).toEqual([
    ['listbackup-main-activity', { StreamViewType: 'KEYS_ONLY' }],
  ]);
});

test('every bucket is encrypted, private, retained, and aborts abandoned uploads', () => {
  const buckets = main.ofType('AWS::S3::Bucket');
  expect(buckets.map(([, { Properties }]) => Properties.BucketName).sort()).toEqual(
    ['checkpoints', 'data', 'failed', 'keys', 'logs'].map((kind) => `listbackup-${kind}-main`),
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

test('the data bucket is versioned, logs access, and has no archive tiers', () => {
  core.hasResourceProperties('AWS::S3::Bucket', {
    BucketName: 'listbackup-data-main',
    VersioningConfiguration: { Status: 'Enabled' },
    LoggingConfiguration: { DestinationBucketName: Match.anyValue(), LogFilePrefix: 'data/' },
    // Objects in archive tiers take hours to restore.
    IntelligentTieringConfigurations: Match.absent(),
  });
});

test('only exports and what a run left over expire', () => {
  const data = main
    .ofType('AWS::S3::Bucket')
    .filter(([, { Properties }]) => /data|checkpoints/.test(String(Properties.BucketName)));
  expect(data).toHaveLength(2);
  const rules = data.flatMap(([, { Properties }]) => Properties.LifecycleConfiguration?.Rules ?? []);
  const expiring = rules.filter((rule) => Object.keys(rule).some((name) => /^Expiration/.test(name)));
  const expires = (Prefix: string, ExpirationInDays: number) =>
    expect.objectContaining({ Prefix, ExpirationInDays, Status: 'Enabled' });
  expect(expiring).toEqual([expires('exports/', 1), expires('work/', 60)]);
});

test('checkpoints are locked for a year, except on stage test', () => {
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

test('every bucket name ends with the suffix', () => {
  const names = synthesize('main', { suffix: 'acme' })
    .ofType('AWS::S3::Bucket')
    .map(([, { Properties }]) => Properties.BucketName);
  expect(names).toHaveLength(5);
  for (const name of names) expect(name).toMatch(/^listbackup-[a-z]+-main-acme$/);
});

test('job schedules have their own group and can only send to the job queue', () => {
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

test('every bucket and queue denies requests without TLS', () => {
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

test('a message that failed five times stays in the dead-letter queue of its queue for two weeks', () => {
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
    // An operator can move the dead letters to this queue only.
    expect(Properties?.RedriveAllowPolicy).toMatchObject({
      redrivePermission: 'byQueue',
      sourceQueueArns: [expect.anything()],
    });
    expect(JSON.stringify(Properties?.RedriveAllowPolicy)).toContain(`listbackup-${kind}-queue-main`);
  }
});

test('the wrapping key rotates, the signing key only signs, and both are multi-region and retained', () => {
  core.hasResourceProperties('AWS::KMS::Key', { EnableKeyRotation: true, KeySpec: Match.absent() });
  core.hasResourceProperties('AWS::KMS::Key', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
  for (const [, key] of main.ofType('AWS::KMS::Key'))
    expect(key).toMatchObject({ DeletionPolicy: 'Retain', Properties: { MultiRegion: true } });
});

test('stage test deletes its data with its stacks', () => {
  const stores = ['AWS::DynamoDB::GlobalTable', 'AWS::S3::Bucket', 'AWS::KMS::Key', 'AWS::Cognito::UserPool'].flatMap(
    synthesize('test').ofType,
  );
  for (const [id, { DeletionPolicy }] of stores) expect([id, DeletionPolicy]).toEqual([id, 'Delete']);
});

test('with a mail domain, SES requires TLS and suppresses addresses that bounced or complained', () => {
  const { templates } = synthesize('main', { mailDomain: 'mail.example.com' });
  templates.core.hasResourceProperties('AWS::SES::EmailIdentity', { EmailIdentity: 'mail.example.com' });
  templates.core.hasResourceProperties('AWS::SES::ConfigurationSet', {
    Name: 'listbackup-mail-main',
    DeliveryOptions: { TlsPolicy: 'REQUIRE' },
    SuppressionOptions: { SuppressedReasons: ['BOUNCE', 'COMPLAINT'] },
  });
  // The core stack outputs the DNS records, because the user pool needs a verified domain.
  const outputs = Object.keys(templates.core.findOutputs('*'));
  expect(outputs.filter((name) => name.startsWith('MailRecord'))).toHaveLength(3);
  templates.auth.hasResourceProperties('AWS::Cognito::UserPool', {
    EmailConfiguration: { EmailSendingAccount: 'DEVELOPER', From: 'ListBackup <no-reply@mail.example.com>' },
  });
  main.templates.auth.hasResourceProperties('AWS::Cognito::UserPool', { EmailConfiguration: Match.absent() });
});
