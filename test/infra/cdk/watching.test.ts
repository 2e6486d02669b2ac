/** Every resource of a stage is watched, and every alarm has a runbook entry. */
import { readFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, test } from 'vitest';
import { context, listbackup } from '../../../infra/cdk/listbackup.ts';
import { stage } from '../../../infra/cdk/stage.ts';
import { findWatched } from '../../../infra/cdk/watching/watched.ts';
import { routes, type Statement, synthesize } from './synth.ts';

type Alarm = {
  AlarmName: string;
  AlarmDescription: string;
  AlarmRule?: unknown;
  AlarmActions?: unknown[];
  Metrics?: { MetricStat?: object }[];
};

const main = synthesize('main');
const of = (type: string) => main.ofType(type).map(([, { Properties }]) => Properties as unknown);
const alarms = of('AWS::CloudWatch::Alarm') as Alarm[];
const countOf = (kind: string) =>
  alarms.filter(({ AlarmName }) => AlarmName.startsWith(`listbackup-${kind}-main`)).length;

const app = new App({ context: { ...context, 'aws:cdk:bundling-stacks': [] } });
listbackup(app, stage('main'), routes);
const watched = findWatched(app);
const runbook = readFileSync(new URL('../../../docs/runbook.md', import.meta.url), 'utf8');

test('finds functions, queues and tables of the app', () => {
  expect(watched.functions.map(({ name }) => name)).toContain('listbackup-main-data-queue');
  expect(watched.queues.filter(({ deadLetters }) => !deadLetters).map(({ name }) => name)).toEqual(
    expect.arrayContaining(['listbackup-job-queue-main', 'listbackup-data-queue-main']),
  );
  expect(watched.tables).toContain('listbackup-main-activity');
});

test('every function and every queue has its alarms', () => {
  expect(countOf('error-rate')).toBe(watched.functions.length);
  expect(countOf('timeouts')).toBe(watched.functions.length);
  expect(countOf('backlog') + countOf('dead-letters')).toBe(watched.queues.length);
});

test('rejects a function without a name', () => {
  const nameless = new App({ context: { ...context, 'aws:cdk:bundling-stacks': [] } });
  const { api } = listbackup(nameless, stage('main'), routes);
  new CfnFunction(api, 'Nameless', { code: {}, role: '' });
  expect(() => findWatched(nameless)).toThrow('api/Nameless needs a name');
});

test('each alarm names an existing runbook entry', () => {
  for (const { AlarmName, AlarmDescription } of alarms) {
    const [, heading] = /docs\/runbook\.md#([a-z-]+)$/.exec(AlarmDescription) ?? [];
    expect({ AlarmName, found: runbook.includes(`\n### ${heading}\n`) }).toEqual({ AlarmName, found: true });
  }
});

test('only the composite alarm over all alarms notifies people', () => {
  const [any, ...more] = of('AWS::CloudWatch::CompositeAlarm') as Alarm[];
  expect(more).toEqual([]);
  expect(JSON.stringify(any?.AlarmRule).match(/ALARM\(/g)).toHaveLength(alarms.length);
  expect(any?.AlarmActions).toHaveLength(1);
  expect(alarms.filter(({ AlarmActions }) => AlarmActions)).toEqual([]);
});

test('the topic policy allows the services that publish, because it replaces the default policy', () => {
  const [policy] = of('AWS::SNS::TopicPolicy') as { PolicyDocument: { Statement: Statement[] } }[];
  const allowed = (policy?.PolicyDocument.Statement ?? [])
    .filter(({ Effect, Action }) => Effect === 'Allow' && Action === 'sns:Publish')
    .flatMap(({ Principal }) => (Principal as { Service: string | string[] }).Service);
  const publishers = ['budgets', 'cloudwatch', 'costalerts', 'events'];
  expect(allowed.toSorted()).toEqual(publishers.map((service) => `${service}.amazonaws.com`));
});

test('a failed batch is announced with its runbook entry', () => {
  const rules = of('AWS::Events::Rule') as {
    EventPattern?: { source?: string[] };
    Targets: { InputTransformer: object }[];
  }[];
  const [rule, ...more] = rules.filter(({ EventPattern }) => EventPattern?.source?.includes('aws.s3'));
  expect(more).toEqual([]);
  expect(JSON.stringify(rule?.EventPattern)).toContain('RefFailed');
  main.templates.core.hasResourceProperties('AWS::S3::Bucket', {
    BucketName: 'listbackup-failed-main',
    NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
  });
  const message = JSON.stringify(rule?.Targets[0]?.InputTransformer);
  expect(message).toContain('docs/runbook.md#failed-batch');
  // EventBridge sends text as a JSON string, so a line break would arrive as an escape.
  expect(message).not.toContain('\\n');
  expect(runbook).toContain('\n### failed-batch\n');
});

test('no alarm has more than the ten metrics that CloudWatch accepts', () => {
  for (const { AlarmName, Metrics } of alarms) {
    const metrics = (Metrics ?? []).filter(({ MetricStat }) => MetricStat).length;
    expect({ AlarmName, fits: metrics <= 10 }).toEqual({ AlarmName, fits: true });
  }
});

test('the dashboards have the names of the public contract', () => {
  const names = (of('AWS::CloudWatch::Dashboard') as { DashboardName: string }[]).map(
    ({ DashboardName }) => DashboardName,
  );
  expect(names.toSorted()).toEqual([
    'listbackup-backup-processors-main-backup-performance',
    'listbackup-v2-system-main',
  ]);
});

test('saved queries cover the log of every function', () => {
  const queries = of('AWS::Logs::QueryDefinition') as { LogGroupNames: string[] }[];
  expect(queries.length).toBeGreaterThan(3);
  for (const { LogGroupNames } of queries) expect(LogGroupNames).toHaveLength(watched.functions.length);
});

describe('spending', () => {
  const budgets = (name: string) => synthesize(name).ofType('AWS::Budgets::Budget').length;

  test('protected stages have a budget and anomaly detection', () => {
    expect([budgets('main'), budgets('prod')]).toEqual([1, 1]);
    expect([main.ofType('AWS::CE::AnomalyMonitor').length, main.ofType('AWS::CE::AnomalySubscription').length]).toEqual(
      [1, 1],
    );
  });

  test('cost alerts depend on the topic policy, because AWS checks it at creation', () => {
    const [policy] = main.ofType('AWS::SNS::TopicPolicy').map(([id]) => id);
    for (const type of ['AWS::Budgets::Budget', 'AWS::CE::AnomalySubscription']) {
      const [after] = main.ofType(type).map(([, each]) => (each as { DependsOn?: string[] }).DependsOn);
      expect({ type, after }).toEqual({ type, after: expect.arrayContaining([policy]) });
    }
  });

  test('stage test has no budget', () => {
    expect(budgets('test')).toBe(0);
  });
});
