/** Whatever a stage has is watched, and who is called finds what to do. */
import { readFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, test } from 'vitest';
import { context, listbackup } from '../../../infra/cdk/listbackup.ts';
import { stage } from '../../../infra/cdk/stage.ts';
import { whatThereIs } from '../../../infra/cdk/watching/found.ts';
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
const there = (kind: string) =>
  alarms.filter(({ AlarmName }) => AlarmName.startsWith(`listbackup-${kind}-main`)).length;

const app = new App({ context: { ...context, 'aws:cdk:bundling-stacks': [] } });
listbackup(app, stage('main'), routes);
const found = whatThereIs(app);
const runbook = readFileSync(new URL('../../../docs/runbook.md', import.meta.url), 'utf8');

test('what there is to watch is found', () => {
  expect(found.functions.map(({ name }) => name)).toContain('listbackup-main-data-queue');
  expect(found.queues.filter(({ deadLetters }) => !deadLetters).map(({ name }) => name)).toEqual(
    expect.arrayContaining(['listbackup-job-queue-main', 'listbackup-data-queue-main']),
  );
  expect(found.tables).toContain('listbackup-main-activity');
});

test('every function has its alarms, and every queue', () => {
  expect(there('error-rate')).toBe(found.functions.length);
  expect(there('timeouts')).toBe(found.functions.length);
  expect(there('backlog') + there('dead-letters')).toBe(found.queues.length);
});

test.each([
  'api-errors',
  'functions-throttled',
  'tables-throttled',
  'lag',
  'parked',
  'ledger-lag',
  'unwoken',
  'activity-changed',
  'missed-backup',
  'runs-failing',
])('there is an alarm %s', (kind) => {
  expect(there(kind)).toBeGreaterThan(0);
});

test('a function without a name cannot be told from others, and is refused', () => {
  const nameless = new App({ context: { ...context, 'aws:cdk:bundling-stacks': [] } });
  const { api } = listbackup(nameless, stage('main'), routes);
  new CfnFunction(api, 'Nameless', { code: {}, role: '' });
  expect(() => whatThereIs(nameless)).toThrow('api/Nameless needs a name');
});

test('each alarm names a line of the runbook that is there', () => {
  for (const { AlarmName, AlarmDescription } of alarms) {
    const [, heading] = /docs\/runbook\.md#([a-z-]+)$/.exec(AlarmDescription) ?? [];
    expect({ AlarmName, there: runbook.includes(`\n### ${heading}\n`) }).toEqual({ AlarmName, there: true });
  }
});

test('one alarm stands for all and calls people; the single ones are silent', () => {
  const [any, ...more] = of('AWS::CloudWatch::CompositeAlarm') as Alarm[];
  expect(more).toEqual([]);
  expect(JSON.stringify(any?.AlarmRule).match(/ALARM\(/g)).toHaveLength(alarms.length);
  expect(any?.AlarmActions).toHaveLength(1);
  expect(alarms.filter(({ AlarmActions }) => AlarmActions)).toEqual([]);
});

test('the topic lets in each service that calls people by it: its policy replaces the one under which SNS lets in all of the account', () => {
  const [policy] = of('AWS::SNS::TopicPolicy') as { PolicyDocument: { Statement: Statement[] } }[];
  const letIn = (policy?.PolicyDocument.Statement ?? [])
    .filter(({ Effect, Action }) => Effect === 'Allow' && Action === 'sns:Publish')
    .flatMap(({ Principal }) => (Principal as { Service: string | string[] }).Service);
  // alarms, the sum of a month, what is unusual, batches given up
  const called = ['budgets', 'cloudwatch', 'costalerts', 'events'];
  expect(letIn.toSorted()).toEqual(called.map((service) => `${service}.amazonaws.com`));
});

test('a batch that was given up is told of, with a line of the runbook that is there', () => {
  const rules = of('AWS::Events::Rule') as {
    EventPattern?: { source?: string[] };
    Targets: { InputTransformer: object }[];
  }[];
  const [rule, ...more] = rules.filter(({ EventPattern }) => EventPattern?.source?.includes('aws.s3'));
  expect(more).toEqual([]);
  expect(JSON.stringify(rule?.EventPattern)).toContain('RefFailed');
  const told = JSON.stringify(rule?.Targets[0]?.InputTransformer);
  expect(told).toContain('docs/runbook.md#given-up');
  // EventBridge puts text into JSON, and people would read the escape.
  expect(told).not.toContain('\\n');
  expect(runbook).toContain('\n### given-up\n');
});

test('CloudWatch takes ten metrics in an alarm', () => {
  for (const { AlarmName, Metrics } of alarms) {
    const metrics = (Metrics ?? []).filter(({ MetricStat }) => MetricStat).length;
    expect({ AlarmName, fits: metrics <= 10 }).toEqual({ AlarmName, fits: true });
  }
});

test('both dashboards have the names people know', () => {
  const names = (of('AWS::CloudWatch::Dashboard') as { DashboardName: string }[]).map(
    ({ DashboardName }) => DashboardName,
  );
  expect(names.toSorted()).toEqual([
    'listbackup-backup-processors-main-backup-performance',
    'listbackup-v2-system-main',
  ]);
});

test('saved queries ask the log of every function', () => {
  const queries = of('AWS::Logs::QueryDefinition') as { LogGroupNames: string[] }[];
  expect(queries.length).toBeGreaterThan(3);
  for (const { LogGroupNames } of queries) expect(LogGroupNames).toHaveLength(found.functions.length);
});

describe('spending', () => {
  const budgets = (name: string) => synthesize(name).ofType('AWS::Budgets::Budget').length;

  test('is watched where a stage is kept', () => {
    expect([budgets('main'), budgets('prod')]).toEqual([1, 1]);
    expect([main.ofType('AWS::CE::AnomalyMonitor').length, main.ofType('AWS::CE::AnomalySubscription').length]).toEqual(
      [1, 1],
    );
  });

  test('is told of by a topic that already lets the teller in: AWS refuses a subscription to any other', () => {
    const [policy] = main.ofType('AWS::SNS::TopicPolicy').map(([id]) => id);
    for (const type of ['AWS::Budgets::Budget', 'AWS::CE::AnomalySubscription']) {
      const [after] = main.ofType(type).map(([, each]) => (each as { DependsOn?: string[] }).DependsOn);
      expect({ type, after }).toEqual({ type, after: expect.arrayContaining([policy]) });
    }
  });

  test('is not in stage test, which is there for minutes', () => {
    expect(budgets('test')).toBe(0);
  });
});
