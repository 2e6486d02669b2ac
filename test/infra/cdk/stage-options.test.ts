import { expect, test } from 'vitest';
import { bucketName, stage } from '../../../infra/cdk/stage.ts';
import { toldBy, variableOf } from '../../../infra/cdk/stage-options.ts';

const told = (env: { [name: string]: string }, context: { [name: string]: unknown } = {}) =>
  toldBy((key) => context[key], env);

test('stages that are kept have a network of their own and no other region; only prod is kept warm', () => {
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
    warm: { least: 0, most: 0 },
  });
  expect(stage('prod')).toMatchObject({
    name: 'prod',
    disposable: false,
    ...plain,
    network: 'isolated',
    warm: { least: 2, most: 20 },
  });
  expect(stage('test')).toMatchObject({
    name: 'test',
    disposable: true,
    ...plain,
    network: 'open',
    warm: { least: 0, most: 0 },
  });
});

test('every option can be told by a variable', () => {
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
    LISTBACKUP_COPYING: 'open',
    LISTBACKUP_WARM: '1-3',
    LISTBACKUP_ACCELERATED_LINKS: 'true',
    LISTBACKUP_EDGE: 'true',
    LISTBACKUP_MAIL_DOMAIN: 'mail.example.com',
  };
  expect(stage('main', told(env))).toMatchObject({
    name: 'main',
    disposable: false,
    suffix: 'acme',
    network: 'nat',
    region: 'eu-central-1',
    writerRegion: 'eu-west-1',
    runsIn: 'eu-west-1',
    activityStream: stream,
    replicaRegions: ['eu-west-1', 'us-gov-east-1'],
    copying: 'open',
    warm: { least: 1, most: 3 },
    acceleratedLinks: true,
    edge: true,
    mailDomain: 'mail.example.com',
  });
});

test('the context wins over variables, and an empty word tells nothing', () => {
  expect(stage('main', told({ LISTBACKUP_NETWORK: 'nat' }, { network: 'open' })).network).toBe('open');
  expect(stage('main', told({ LISTBACKUP_NETWORK: '' })).network).toBe('isolated');
  expect(stage('prod', told({ LISTBACKUP_WARM: '0' })).warm).toEqual({ least: 0, most: 0 });
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
] as const)('%s is not "%s", and the error says what it is', ([option, words]) => {
  expect(() => stage('main', told({ [variableOf(option)]: words }))).toThrow(
    `the stage option ${option} is "${words}"; give it as`,
  );
});

test('no bucket has a longer name than S3 allows', () => {
  const longest = stage('x'.repeat(20), told({ LISTBACKUP_SUFFIX: '12345678' }));
  for (const kind of ['data', 'failed', 'logs'])
    expect(bucketName(longest, kind, 'ap-southeast-2').length).toBeLessThanOrEqual(63);
  expect(bucketName(longest, 'checkpoints').length).toBeLessThanOrEqual(63);
  expect(bucketName(stage('main'), 'data')).toBe('listbackup-data-main');
  expect(bucketName(stage('main', told({ LISTBACKUP_SUFFIX: 'acme' })), 'data')).toBe('listbackup-data-main-acme');
});
