import { Match, type Template } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { copiesMayBe } from '../../../infra/cdk/preflight.ts';
import { stage } from '../../../infra/cdk/stage.ts';
import { synthesize } from './synth.ts';

const homeRegion = 'eu-central-1';
const other = 'eu-west-1';
const activityStream = `arn:aws:dynamodb:${other}:123456789012:table/listbackup-main-activity/stream/2026-01-01T00:00:00.000`;
const copied = { region: homeRegion, replicaRegions: other };
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
/** The regions whose tables nobody writes to. */
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

test('every table has its copy, kept as the original is; no copy of a destroyed key can go back in time', () => {
  const tables = replicasOf(core);
  expect(tables.length).toBeGreaterThan(10);
  for (const { name, replicas } of tables) {
    expect([name, Object.keys(replicas).sort()]).toEqual([name, [homeRegion, other]]);
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

test('one region is written to; all tables of the others are closed to everybody but the copying itself', () => {
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

test('the fence can be moved, or closed on all sides', () => {
  expect(closed(synthesize('main', { ...copied, writerRegion: other }).templates.core)).toEqual(new Set([homeRegion]));
  expect(closed(synthesize('main', { ...copied, writerRegion: 'none' }).templates.core)).toEqual(
    new Set([`${homeRegion},${other}`]),
  );
});

const streamsOf = (template: Template) =>
  Object.fromEntries(
    Object.values(template.findResources('AWS::DynamoDB::GlobalTable')).map(({ Properties }) => [
      Properties.TableName,
      Properties.StreamSpecification,
    ]),
  );

test('copies are turned on in steps, since CloudFormation changes streams, makes copies and closes them in three updates', () => {
  const [streams, open] = (['streams', 'open'] as const).map(
    (copying) => synthesize('main', { ...copied, copying }).templates.core,
  );
  if (!streams || !open) throw new Error('no templates');
  // each step changes one of the three
  expect(streamsOf(open)).toEqual(streamsOf(core));
  expect(streamsOf(streams)).toEqual(streamsOf(core));
  for (const { replicas } of replicasOf(streams)) expect(Object.keys(replicas)).toEqual([homeRegion]);
  for (const { replicas } of replicasOf(open)) expect(Object.keys(replicas).sort()).toEqual([homeRegion, other]);
  expect([closed(streams), closed(open)]).toEqual([new Set(['']), new Set([''])]);
});

test.for([
  ['a stage that is not there yet', 'open', undefined],
  ['a stage of one region', 'streams', { StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' } }],
  [
    'one whose streams are ready',
    'open',
    { StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' } },
  ],
  [
    'one that has its copies',
    'closed',
    {
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
      Replicas: [{ RegionName: other }],
    },
  ],
] as const)('%s comes to the step %s', ([, step, activity]) => {
  const steps = ['streams', 'open', 'closed'] as const;
  const wanted = (copying: (typeof steps)[number]) => () =>
    copiesMayBe(
      stage('main', (option) => ({ ...copied, copying })[option as 'copying']),
      activity as never,
    );
  for (const [i, each] of steps.entries()) {
    if (i <= steps.indexOf(step)) expect(wanted(each)).not.toThrow();
    else expect(wanted(each)).toThrow(`LISTBACKUP_COPYING=${step}`);
  }
});

test('readers follow the stream that is made anew with copies: CloudFormation does not look again what another stack says, where a template stays as it was', () => {
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

test('of regions that are added to a stage one is at a time', () => {
  const two = stage(
    'main',
    (option) => ({ ...copied, replicaRegions: `${other},eu-north-1`, copying: 'open' })[option as 'copying'],
  );
  const ready = { StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' } } as const;
  expect(() => copiesMayBe(two, ready)).toThrow('one region at a time');
  expect(() => copiesMayBe(two, { ...ready, Replicas: [{ RegionName: other }] })).not.toThrow();
  expect(() => copiesMayBe(two, undefined)).not.toThrow();
});

test('buckets are copied within a quarter of an hour, without what is deleted, by a role that can delete nothing', () => {
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

test('nobody writes to the buckets of a region that is not the writer, nor deletes in them', () => {
  const denials = (template: Template) =>
    Object.values(template.findResources('AWS::S3::BucketPolicy')).filter((policy) =>
      JSON.stringify(policy).includes('"s3:DeleteObjectVersion"'),
    );
  expect(denials(there('replica'))).toHaveLength(2);
  expect(denials(synthesize('main', { ...copied, writerRegion: other }).stack(`replica-${other}`))).toHaveLength(0);
});

test('keys are copies of those at home, under the same names', () => {
  const keys = there('replica-keys').findResources('AWS::KMS::ReplicaKey');
  expect(Object.keys(keys)).toHaveLength(2);
  for (const { Properties, DeletionPolicy } of Object.values(keys)) {
    expect(Properties.PrimaryKeyArn).toEqual({ 'Fn::GetStackOutput': expect.objectContaining({ Region: homeRegion }) });
    expect(DeletionPolicy).toBe('Retain');
  }
  for (const kind of ['data', 'signing'])
    there('replica-keys').hasResourceProperties('AWS::KMS::Alias', { AliasName: `alias/listbackup-${kind}-main` });
});

test('nothing runs where the stage is not at home', () => {
  for (const stack of ['replica', 'replica-keys']) there(stack).resourceCountIs('AWS::Lambda::Function', 0);
});

test('the region that takes over runs on the copies: it makes no table, data bucket or key, and functions get what is there', () => {
  const taken = synthesize('main', { ...copied, writerRegion: other, runsIn: other, activityStream });
  for (const type of ['AWS::DynamoDB::GlobalTable', 'AWS::KMS::Key']) expect(taken.ofType(type)).toEqual([]);
  expect(taken.ofType('AWS::S3::Bucket').map(([, { Properties }]) => Properties.BucketName)).toEqual([
    `listbackup-failed-main-${other}`,
  ]);
  const variables = taken
    .ofType('AWS::Lambda::Function')
    .map(([, { Properties }]) => Properties.Environment?.Variables ?? {});
  expect(variables.length).toBe(normal.ofType('AWS::Lambda::Function').length);
  for (const each of variables) {
    expect(each.DATA_BUCKET).toBe(`listbackup-data-main-${other}`);
    expect(JSON.stringify(each.KEY_ID)).toMatch(/GetStackOutput|DataKey/);
  }
  const reading = taken
    .ofType('AWS::Lambda::EventSourceMapping')
    .filter(([, { Properties }]) => Properties.EventSourceArn === activityStream);
  expect(reading).toHaveLength(2);
});

test('a stage in one region has nothing of all this', () => {
  const alone = synthesize('main');
  expect(alone.names).not.toContain(expect.stringContaining('replica'));
  expect(closed(alone.templates.core)).toEqual(new Set(['']));
  alone.templates.core.resourcePropertiesCountIs('AWS::S3::Bucket', { ReplicationConfiguration: Match.anyValue() }, 0);
});

test.for([
  [{ replicaRegions: other }, 'where the stage is at home'],
  [{ region: homeRegion, replicaRegions: homeRegion }, 'no replica region of it'],
  [{ ...copied, writerRegion: 'us-east-1' }, 'cannot take over'],
  [{ ...copied, copying: 'half' }, 'streams, open, closed'],
  [{ ...copied, runsIn: other, activityStream }, 'give both as the same'],
  [{ ...copied, writerRegion: other, runsIn: other }, 'activityStream'],
] as const)('%j is no stage: %s', ([told, why]) => {
  expect(() => synthesize('main', told)).toThrow(why);
});
