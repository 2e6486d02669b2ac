/** One silent alarm for each fault and resource, and one composite alarm over all of them, which notifies people. */
import {
  Alarm,
  AlarmRule,
  AlarmState,
  ComparisonOperator,
  CompositeAlarm,
  type IMetric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { acknowledge } from '../acknowledge.ts';
import { resourceName, type Stage } from '../stage.ts';
import { errorRate, ofFunction, ofProduct, ofQueue, ofTable, sum, throttles } from './metrics.ts';
import type { Watched } from './watched.ts';

type Kind = {
  /** The heading in docs/runbook.md with the instructions. Also part of the alarm's name. */
  runbook: string;
  /** The function or queue. Undefined: the whole stage. */
  resource?: string;
  meaning: string;
  metric: IMetric;
  threshold: number;
  /** [n, m]: the alarm goes on when n of m periods of five minutes exceed the threshold. Default [1, 1]. */
  periods?: [number, number];
};

/** The two readers of the activity stream. */
const streamReader = /-(projections|relay)$/;

/** Returns the names of the single alarms. */
export function makeAlarms(
  scope: Construct,
  stage: Stage,
  watched: Watched,
  serverErrors: IMetric,
  topic: ITopic,
): string[] {
  const kinds = alarmKinds(stage, watched, serverErrors);
  const alarms = kinds.map((kind) => makeAlarm(scope, stage, kind));
  const names = kinds.map((kind) => nameOf(stage, kind));
  const all = new CompositeAlarm(scope, 'Any', {
    compositeAlarmName: resourceName(stage, 'any-alarm'),
    alarmDescription: `An alarm of ListBackup stage ${stage.name} is on. The dashboard listbackup-v2-system-${stage.name} shows which one. Runbook: docs/runbook.md`,
    alarmRule: AlarmRule.anyOf(...alarms.map((alarm) => AlarmRule.fromAlarm(alarm, AlarmState.ALARM))),
  });
  all.addAlarmAction(new SnsAction(topic));
  all.addOkAction(new SnsAction(topic));
  return names;
}

function alarmKinds(stage: Stage, { functions, queues, tables }: Watched, serverErrors: IMetric): Kind[] {
  return [
    {
      runbook: 'api-errors',
      meaning: 'more than 5 % of API requests fail with a 5xx status',
      metric: serverErrors,
      threshold: 5,
      periods: [2, 3],
    },
    ...functions.map(({ name }): Kind => {
      return {
        runbook: 'error-rate',
        resource: name,
        meaning: 'more than 5 % of its calls fail',
        metric: errorRate(name),
        threshold: 5,
        periods: [2, 3],
      };
    }),
    ...functions.map(({ name, timeoutSeconds }): Kind => {
      const metric = ofFunction(name, 'Duration', 'Maximum');
      return {
        runbook: 'timeouts',
        resource: name,
        meaning: 'a call used its whole timeout',
        metric,
        threshold: timeoutSeconds * 1000 * 0.98,
      };
    }),
    {
      runbook: 'functions-throttled',
      meaning: 'Lambda refused to start functions: the concurrency limit of the account is reached',
      metric: throttles,
      threshold: 10,
      periods: [2, 3],
    },
    ...queues.map(({ name, deadLetters }): Kind => {
      return deadLetters
        ? {
            runbook: 'dead-letters',
            resource: name,
            meaning: 'it holds messages that failed too often. An operator must handle them',
            metric: ofQueue(name, 'ApproximateNumberOfMessagesVisible'),
            threshold: 0,
          }
        : {
            runbook: 'backlog',
            resource: name,
            meaning: 'the oldest message has waited for more than an hour',
            metric: ofQueue(name, 'ApproximateAgeOfOldestMessage'),
            threshold: 3600,
            periods: [2, 3],
          };
    }),
    {
      runbook: 'tables-throttled',
      meaning: 'DynamoDB throttles reads or writes',
      metric: sum(
        'throttled',
        busyTables(tables).flatMap((name) => [
          ofTable(name, 'ReadThrottleEvents'),
          ofTable(name, 'WriteThrottleEvents'),
        ]),
      ),
      threshold: 50,
      periods: [2, 3],
    },
    ...functions
      .filter(({ name }) => streamReader.test(name))
      .map(({ name }): Kind => {
        return {
          runbook: 'lag',
          resource: name,
          meaning: 'it is more than five minutes behind the activity',
          metric: ofFunction(name, 'IteratorAge', 'Maximum'),
          threshold: 300_000,
          periods: [2, 3],
        };
      }),
    {
      runbook: 'parked',
      meaning: 'a projection parked a stream because it cannot apply an event',
      metric: ofProduct(stage, 'Parked', 'Maximum'),
      threshold: 0,
    },
    {
      runbook: 'ledger-lag',
      meaning: 'commits have waited more than five minutes for the ledger or the bus',
      metric: ofProduct(stage, 'LedgerLagSeconds', 'Maximum'),
      threshold: 300,
      periods: [2, 3],
    },
    {
      runbook: 'missed-records',
      meaning: 'stream records were lost, and the reconcile had their commits reprocessed',
      metric: ofProduct(stage, 'MissedNotifications', 'Sum'),
      threshold: 0,
    },
    {
      runbook: 'activity-changed',
      meaning: 'someone changed or deleted a commit of the activity',
      metric: ofProduct(stage, 'ActivityChanged', 'Sum'),
      threshold: 0,
    },
    {
      runbook: 'missed-backup',
      meaning: 'a requested run makes no progress',
      metric: ofProduct(stage, 'RunsStalled', 'Sum'),
      threshold: 0,
      periods: [2, 12],
    },
    {
      runbook: 'runs-failing',
      meaning: 'more than five backup runs failed in five minutes',
      metric: ofProduct(stage, 'RunsFailed', 'Sum'),
      threshold: 5,
      periods: [2, 3],
    },
  ];
}

/** Returns the tables that every backup writes. An alarm accepts ten metrics, so the others are left out. */
function busyTables(tables: string[]): string[] {
  return tables.filter((name) => /-(activity|ledger|records|files|runs)$/.test(name));
}

function nameOf(stage: Stage, { runbook, resource }: Kind): string {
  return [resourceName(stage, runbook), resource].filter(Boolean).join('-');
}

function makeAlarm(scope: Construct, stage: Stage, kind: Kind): Alarm {
  const { runbook, resource, meaning, metric, threshold, periods: [breaching, evaluated] = [1, 1] } = kind;
  const alarm = new Alarm(scope, `${runbook}${resource ? `-${resource}` : ''}`, {
    alarmName: nameOf(stage, kind),
    alarmDescription: `${resource ?? 'ListBackup'}: ${meaning}. Runbook: docs/runbook.md#${runbook}`,
    metric,
    threshold,
    comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
    datapointsToAlarm: breaching,
    evaluationPeriods: evaluated,
    // No data means no calls, no messages or no faults.
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
  acknowledge(alarm, { CKV_AWS_319: 'The composite alarm over all alarms has the action' });
  return alarm;
}
