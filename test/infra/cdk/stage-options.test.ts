import { expect, test } from 'vitest';
import { bucketName, stage } from '../../../infra/cdk/stage.ts';
import { readOptions, variableOf } from '../../../infra/cdk/stage-options.ts';

const options = (env: { [name: string]: string }, context: { [name: string]: unknown } = {}) =>
  readOptions((key) => context[key], env);

test('defaults: protected stages have a network and one region, and only prod keeps instances warm', () => {
  const here = {
    region: undefined,
    replicaRegions: [],
    writerRegion: undefined,
    runsIn: undefined,
    activityStream: undefined,
  };
  const plain = { suffix: '', ...here, acceleratedLinks: false, edge: false, mailDomain: undefined };
  expect(stage('main')).toMatchObject({
    name: 'main',
    disposable: false,
    ...plain,
    network: 'isolated',
    warm: { min: 0, max: 0 },
  });
  expect(stage('prod')).toMatchObject({
    name: 'prod',
    disposable: false,
    ...plain,
    network: 'isolated',
    warm: { min: 2, max: 20 },
  });
  expect(stage('test')).toMatchObject({
    name: 'test',
    disposable: true,
    ...plain,
    network: 'open',
    warm: { min: 0, max: 0 },
  });
});

test('reads every option from an environment variable', () => {
  const stream =
    'arn:aws:dynamodb:eu-west-1:123456789012:table/listbackup-main-activity/stream/2026-01-01T00:00:00.000';
  const env = {
    LISTBACKUP_SUFFIX: 'acme',
    LISTBACKUP_NETWORK: 'nat',
    LISTBACKUP_REGION: 'eu-central-1',
    LISTBACKUP_WRITER_REGION: 'eu-west-1',
    LISTBACKUP_RUNS_IN: 'eu-west-1',
    LISTBACKUP_ACTIVITY_STREAM: stream,
    LISTBACKUP_REPLICA_REGIONS: 'eu-west-1, us-gov-east-1',
    LISTBACKUP_REPLICATION_STEP: 'open',
    LISTBACKUP_WARM: '1-3',
    LISTBACKUP_ACCELERATED_LINKS: 'true',
    LISTBACKUP_EDGE: 'true',
    LISTBACKUP_MAIL_DOMAIN: 'mail.example.com',
  };
  expect(stage('main', options(env))).toMatchObject({
    name: 'main',
    disposable: false,
    suffix: 'acme',
    network: 'nat',
    region: 'eu-central-1',
    writerRegion: 'eu-west-1',
    runsIn: 'eu-west-1',
    activityStream: stream,
    replicaRegions: ['eu-west-1', 'us-gov-east-1'],
    replicationStep: 'open',
    warm: { min: 1, max: 3 },
    acceleratedLinks: true,
    edge: true,
    mailDomain: 'mail.example.com',
  });
});

test('context wins over environment variables, and an empty value counts as not set', () => {
  expect(stage('main', options({ LISTBACKUP_NETWORK: 'nat' }, { network: 'open' })).network).toBe('open');
  expect(stage('main', options({ LISTBACKUP_NETWORK: '' })).network).toBe('isolated');
  expect(stage('prod', options({ LISTBACKUP_WARM: '0' })).warm).toEqual({ min: 0, max: 0 });
});

test.for([
  ['suffix', 'Acme'],
  ['suffix', 'ninechars'],
  ['network', 'private'],
  ['replicaRegions', 'ireland'],
  ['replicaRegions', 'eu-west-1,eu-west-1'],
  ['region', 'none'],
  ['activityStream', 'arn:aws:dynamodb:eu-west-1:123456789012:table/x'],
  ['warm', '3-2'],
  ['warm', 'two'],
  ['acceleratedLinks', 'yes'],
  ['mailDomain', 'someone@example.com'],
] as const)('rejects %s "%s" and says how to set it', ([option, text]) => {
  expect(() => stage('main', options({ [variableOf(option)]: text }))).toThrow(
    `Stage option ${option} is "${text}". Set it to `,
  );
});

test('the longest bucket name fits in the S3 limit', () => {
  const longest = stage('x'.repeat(20), options({ LISTBACKUP_SUFFIX: '12345678' }));
  for (const kind of ['data', 'failed', 'logs'])
    expect(bucketName(longest, kind, 'ap-southeast-2').length).toBeLessThanOrEqual(63);
  expect(bucketName(longest, 'checkpoints').length).toBeLessThanOrEqual(63);
  expect(bucketName(stage('main'), 'data')).toBe('listbackup-data-main');
  expect(bucketName(stage('main', options({ LISTBACKUP_SUFFIX: 'acme' })), 'data')).toBe('listbackup-data-main-acme');
});
