import { Match, type Template } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { checkReplicationStep } from '../../../infra/cdk/preflight.ts';
import { stage } from '../../../infra/cdk/stage.ts';
import { synthesize } from './synth.ts';

const primaryRegion = 'eu-central-1';
const other = 'eu-west-1';
const activityStream = `arn:aws:dynamodb:${other}:123456789012:table/listbackup-main-activity/stream/2026-01-01T00:00:00.000`;
const copied = { region: primaryRegion, replicaRegions: other };
const normal = synthesize('main', copied);
const core = normal.templates.core;
const there = (stack: string) => normal.stack(`${stack}-${other}`);

type Replica = {
  Region: string;
  ResourcePolicy?: { PolicyDocument: { Statement: object[] } };
  PointInTimeRecoverySpecification: object;
};
const replicasOf = (template: Template) =>
  Object.values(template.findResources('AWS::DynamoDB::GlobalTable')).map(({ Properties }) => ({
    name: String(Properties.TableName),
    replicas: Object.fromEntries((Properties.Replicas as Replica[]).map((each) => [each.Region, each])),
  }));
/** The sets of regions, one a table, that deny writes. */
const closed = (template: Template) =>
  new Set(
    replicasOf(template).map(({ replicas }) =>
      Object.values(replicas)
        .filter(({ ResourcePolicy }) => ResourcePolicy)
        .map(({ Region }) => Region)
        .sort()
        .join(),
    ),
  );

test('every table has a replica with the same protection, and subject keys have no point-in-time recovery', () => {
  const tables = replicasOf(core);
  expect(tables.length).toBeGreaterThan(10);
  for (const { name, replicas } of tables) {
    expect([name, Object.keys(replicas).sort()]).toEqual([name, [primaryRegion, other]]);
    const back = name !== 'listbackup-main-subject-keys';
    for (const replica of Object.values(replicas)) {
      expect(replica).toMatchObject({
        DeletionProtectionEnabled: true,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: back },
      });
    }
  }
  core.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
    TableName: 'listbackup-main-activity',
    StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
  });
});

test('tables outside of the writer region deny all writes except replication', () => {
  expect(closed(core)).toEqual(new Set([other]));
  const [{ replicas } = { replicas: {} as { [region: string]: Replica } }] = replicasOf(core);
  expect(replicas[other]?.ResourcePolicy?.PolicyDocument.Statement).toEqual([
    expect.objectContaining({
      Effect: 'Deny',
      Principal: { AWS: '*' },
      Action: expect.arrayContaining([
        'dynamodb:PutItem',
        'dynamodb:UpdateItem',
        'dynamodb:DeleteItem',
        'dynamodb:BatchWriteItem',
      ]),
      Condition: {
        ArnNotEquals: { 'aws:PrincipalArn': expect.anything() },
        Bool: { 'aws:PrincipalIsAWSService': 'false' },
      },
    }),
  ]);
  expect(JSON.stringify(replicas[other]?.ResourcePolicy)).toContain('AWSServiceRoleForDynamoDBReplication');
  expect(JSON.stringify(replicas[other]?.ResourcePolicy)).toContain(`:${other}:`);
});

test('the fence can move to another region, or close all regions', () => {
  expect(closed(synthesize('main', { ...copied, writerRegion: other }).templates.core)).toEqual(
    new Set([primaryRegion]),
  );
  expect(closed(synthesize('main', { ...copied, writerRegion: 'none' }).templates.core)).toEqual(
    new Set([`${primaryRegion},${other}`]),
  );
});

const streamsOf = (template: Template) =>
  Object.fromEntries(
    Object.values(template.findResources('AWS::DynamoDB::GlobalTable')).map(({ Properties }) => [
      Properties.TableName,
      Properties.StreamSpecification,
    ]),
  );

test('replication is turned on in three steps: streams, replicas, fence', () => {
  const [streams, open] = (['streams', 'open'] as const).map(
    (replicationStep) => synthesize('main', { ...copied, replicationStep }).templates.core,
  );
  if (!streams || !open) throw new Error('no templates');
  expect(streamsOf(open)).toEqual(streamsOf(core));
  expect(streamsOf(streams)).toEqual(streamsOf(core));
  for (const { replicas } of replicasOf(streams)) expect(Object.keys(replicas)).toEqual([primaryRegion]);
  for (const { replicas } of replicasOf(open)) expect(Object.keys(replicas).sort()).toEqual([primaryRegion, other]);
  expect([closed(streams), closed(open)]).toEqual([new Set(['']), new Set([''])]);
});

test.for([
  ['a new stage', 'open', undefined],
  ['a stage of one region', 'streams', { StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' } }],
  [
    'a stage with the streams for replication',
    'open',
    { StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' } },
  ],
  [
    'a stage with replicas',
    'closed',
    {
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
      Replicas: [{ RegionName: other }],
    },
  ],
] as const)('%s can go up to the step %s', ([, step, activity]) => {
  const steps = ['streams', 'open', 'closed'] as const;
  const wanted = (replicationStep: (typeof steps)[number]) => () =>
    checkReplicationStep(
      stage('main', (option) => ({ ...copied, replicationStep })[option as 'replicationStep']),
      activity as never,
    );
  for (const [i, each] of steps.entries()) {
    if (i <= steps.indexOf(step)) expect(wanted(each)).not.toThrow();
    else expect(wanted(each)).toThrow(`LISTBACKUP_REPLICATION_STEP=${step}`);
  }
});

test('event source mappings are replaced with the stream, so that CloudFormation reads the new stream ARN', () => {
  for (const group of ['analytics', 'backupProcessors'] as const) {
    const mappings = (of: ReturnType<typeof synthesize>) =>
      Object.entries(of.templates[group].findResources('AWS::Lambda::EventSourceMapping'))
        .filter(([, { Properties }]) => Properties.StartingPosition)
        .map(([id]) => id);
    const before = mappings(synthesize('main'));
    expect(before).toHaveLength(1);
    expect(mappings(normal)).toHaveLength(1);
    expect(mappings(normal)).not.toEqual(before);
  }
});

test('an existing stage accepts one new replica region at a time', () => {
  const two = stage(
    'main',
    (option) =>
      ({ ...copied, replicaRegions: `${other},eu-north-1`, replicationStep: 'open' })[option as 'replicationStep'],
  );
  const ready = { StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' } } as const;
  expect(() => checkReplicationStep(two, ready)).toThrow('one new replica region at a time');
  expect(() => checkReplicationStep(two, { ...ready, Replicas: [{ RegionName: other }] })).not.toThrow();
  expect(() => checkReplicationStep(two, undefined)).not.toThrow();
});

test('buckets replicate within 15 minutes, without deletions, by a role that cannot delete', () => {
  for (const kind of ['data', 'checkpoints']) {
    core.hasResourceProperties('AWS::S3::Bucket', {
      BucketName: `listbackup-${kind}-main`,
      ReplicationConfiguration: {
        Rules: [
          Match.objectLike({
            Status: 'Enabled',
            DeleteMarkerReplication: { Status: 'Disabled' },
            Destination: Match.objectLike({
              Bucket: `arn:aws:s3:::listbackup-${kind}-main-${other}`,
              ReplicationTime: { Status: 'Enabled', Time: { Minutes: 15 } },
            }),
          }),
        ],
      },
    });
    there('replica').hasResourceProperties('AWS::S3::Bucket', {
      BucketName: `listbackup-${kind}-main-${other}`,
      VersioningConfiguration: { Status: 'Enabled' },
    });
  }
  const copiers = Object.entries(core.findResources('AWS::IAM::Policy')).filter(([id]) => id.includes('copier'));
  expect(copiers).toHaveLength(2);
  for (const [, policy] of copiers) expect(JSON.stringify(policy)).not.toMatch(/s3:(Replicate)?(Delete|Put)/);
  expect(normal.before('core')).toContain(`replica-${other}`);
});

test('buckets outside of the writer region deny writes and deletions', () => {
  const denials = (template: Template) =>
    Object.values(template.findResources('AWS::S3::BucketPolicy')).filter((policy) =>
      JSON.stringify(policy).includes('"s3:DeleteObjectVersion"'),
    );
  expect(denials(there('replica'))).toHaveLength(2);
  expect(denials(synthesize('main', { ...copied, writerRegion: other }).stack(`replica-${other}`))).toHaveLength(0);
});

test('replica keys have the same aliases as the primary keys', () => {
  const keys = there('replica-keys').findResources('AWS::KMS::ReplicaKey');
  expect(Object.keys(keys)).toHaveLength(2);
  for (const { Properties, DeletionPolicy } of Object.values(keys)) {
    expect(Properties.PrimaryKeyArn).toEqual({
      'Fn::GetStackOutput': expect.objectContaining({ Region: primaryRegion }),
    });
    expect(DeletionPolicy).toBe('Retain');
  }
  for (const kind of ['data', 'signing'])
    there('replica-keys').hasResourceProperties('AWS::KMS::Alias', { AliasName: `alias/listbackup-${kind}-main` });
});

test('replica regions have no functions', () => {
  for (const stack of ['replica', 'replica-keys']) there(stack).resourceCountIs('AWS::Lambda::Function', 0);
});

test('after a failover the functions use the replicas, and no table, data bucket or KMS key is created', () => {
  const taken = synthesize('main', { ...copied, writerRegion: other, runsIn: other, activityStream });
  for (const type of ['AWS::DynamoDB::GlobalTable', 'AWS::KMS::Key']) expect(taken.ofType(type)).toEqual([]);
  expect(taken.ofType('AWS::S3::Bucket').map(([, { Properties }]) => Properties.BucketName)).toEqual([
    `listbackup-keys-main-${other}`,
    `listbackup-failed-main-${other}`,
  ]);
  const variables = taken
    .ofType('AWS::Lambda::Function')
    .map(([, { Properties }]) => Properties.Environment?.Variables ?? {});
  expect(variables.length).toBe(normal.ofType('AWS::Lambda::Function').length);
  for (const each of variables) {
    expect(each.DATA_BUCKET).toBe(`listbackup-data-main-${other}`);
    expect(JSON.stringify(each.KEYS_BUCKET)).toMatch(/GetStackOutput|Keys/);
    expect(JSON.stringify(each.KEY_ID)).toMatch(/GetStackOutput|DataKey/);
  }
  const reading = taken
    .ofType('AWS::Lambda::EventSourceMapping')
    .filter(([, { Properties }]) => Properties.EventSourceArn === activityStream);
  expect(reading).toHaveLength(2);
});

test('a stage in one region has no replicas and no fence', () => {
  const alone = synthesize('main');
  expect(alone.names).not.toContain(expect.stringContaining('replica'));
  expect(closed(alone.templates.core)).toEqual(new Set(['']));
  alone.templates.core.resourcePropertiesCountIs('AWS::S3::Bucket', { ReplicationConfiguration: Match.anyValue() }, 0);
});

test.for([
  [{ replicaRegions: other }, 'to the primary region'],
  [{ region: primaryRegion, replicaRegions: primaryRegion }, 'is the primary region'],
  [{ ...copied, writerRegion: 'us-east-1' }, 'cannot take over'],
  [{ ...copied, replicationStep: 'half' }, 'streams, open, closed'],
  [{ ...copied, runsIn: other, activityStream }, 'to the same region'],
  [{ ...copied, writerRegion: other, runsIn: other }, 'activityStream'],
] as const)('rejects the options %j: %s', ([options, reason]) => {
  expect(() => synthesize('main', options)).toThrow(reason);
});
