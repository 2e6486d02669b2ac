/** The two dashboards: the system, for the operator on call, and the performance of backups. */
import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IMetric,
  SingleValueWidget,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { bucketName, type Stage } from '../stage.ts';
import { errorRate, ofBucket, ofFunction, ofProduct, ofQueue, ofTable } from './metrics.ts';
import type { Watched } from './watched.ts';

/** Its top rows show which alarms are on, whether the API responds, and whether work proceeds. */
export function systemDashboard(
  scope: Construct,
  stage: Stage,
  watched: Watched,
  alarms: string[],
  api: { requests: IMetric; errors: IMetric; latency: IMetric },
): void {
  const { functions, queues, tables } = watched;
  const ofEachFunction = (metricName: string, statistic?: string) =>
    functions.map(({ name }) => ofFunction(name, metricName, statistic));
  new Dashboard(scope, 'System', {
    dashboardName: `listbackup-v2-system-${stage.name}`,
    defaultInterval: Duration.hours(3),
    widgets: [
      [
        new AlarmStatusWidget({
          title: 'Alarms',
          alarms: alarms.map((name) => Alarm.fromAlarmName(scope, name, name)),
          width: 18,
          height: 6,
        }),
        new TextWidget({ markdown: onCall(stage), width: 6, height: 6 }),
      ],
      [
        graph('Requests', [api.requests], [api.errors]),
        graph('Request latency (ms)', [api.latency]),
        graph(
          'Oldest message (s)',
          queues
            .filter(({ deadLetters }) => !deadLetters)
            .map(({ name }) => ofQueue(name, 'ApproximateAgeOfOldestMessage')),
        ),
      ],
      [
        graph(
          'Stream lag (ms)',
          functions
            .filter(({ name }) => /-(projections|relay)$/.test(name))
            .map(({ name }) => ofFunction(name, 'IteratorAge', 'Maximum')),
        ),
        graph('Parked or stalled', [
          ofProduct(stage, 'Parked', 'Maximum'),
          ofProduct(stage, 'RelaySetAside', 'Maximum'),
          ofProduct(stage, 'RunsStalled', 'Sum'),
          ofProduct(stage, 'MissedNotifications', 'Sum'),
        ]),
        graph(
          'Dead letters',
          queues
            .filter(({ deadLetters }) => deadLetters)
            .map(({ name }) => ofQueue(name, 'ApproximateNumberOfMessagesVisible')),
        ),
      ],
      [
        graph(
          'Failed calls (%)',
          functions.map(({ name }) => errorRate(name)),
        ),
        graph('Function duration (ms, p95)', ofEachFunction('Duration', 'p95')),
        graph('Concurrent functions', ofEachFunction('ConcurrentExecutions', 'Maximum')),
      ],
      [
        graph(
          'Read units',
          tables.map((name) => ofTable(name, 'ConsumedReadCapacityUnits')),
        ),
        graph(
          'Write units',
          tables.map((name) => ofTable(name, 'ConsumedWriteCapacityUnits')),
        ),
        graph(
          'Throttled by DynamoDB',
          tables.flatMap((name) => [ofTable(name, 'ReadThrottleEvents'), ofTable(name, 'WriteThrottleEvents')]),
        ),
      ],
      [
        graph(
          'Bytes in the bucket',
          ofBucket(bucketName(stage, 'data'), 'BucketSizeBytes', [
            'IntelligentTieringFAStorage',
            'IntelligentTieringIAStorage',
            'IntelligentTieringAIAStorage',
            'StandardStorage',
          ]),
        ),
        graph('Objects', ofBucket(bucketName(stage, 'data'), 'NumberOfObjects', ['AllStorageTypes'])),
        new SingleValueWidget({
          title: 'Request costs of backups (US dollars)',
          metrics: [ofProduct(stage, 'RunCost', 'Sum')],
          setPeriodToTimeRange: true,
          width: 8,
          height: 6,
        }),
      ],
    ],
  });
}

export function performanceDashboard(scope: Construct, stage: Stage): void {
  new Dashboard(scope, 'Performance', {
    dashboardName: `listbackup-backup-processors-${stage.name}-backup-performance`,
    defaultInterval: Duration.days(1),
    widgets: [
      [
        new SingleValueWidget({
          title: 'Backups',
          metrics: (['RunsSucceeded', 'RunsPartial', 'RunsFailed', 'RunsCancelled'] as const).map((name) =>
            ofProduct(stage, name, 'Sum'),
          ),
          setPeriodToTimeRange: true,
          width: 24,
          height: 4,
        }),
      ],
      [
        graph(
          'Backup duration (s)',
          ['p50', 'p95', 'Maximum'].map((statistic) => ofProduct(stage, 'RunSeconds', statistic, statistic)),
        ),
        graph('Files', [ofProduct(stage, 'RunFiles', 'Sum'), ofProduct(stage, 'RunFilesFailed', 'Sum')]),
        graph('Bytes', [ofProduct(stage, 'RunBytesRead', 'Sum'), ofProduct(stage, 'RunBytesStored', 'Sum')]),
      ],
      [
        graph(
          'Request costs of one backup (US dollars)',
          ['Average', 'Maximum'].map((statistic) => ofProduct(stage, 'RunCost', statistic, statistic)),
        ),
        graph('Failed backups', [
          ofProduct(stage, 'RunsFailed', 'Sum'),
          ofProduct(stage, 'RunsPartial', 'Sum'),
          ofProduct(stage, 'RunsStalled', 'Sum'),
        ]),
      ],
    ],
  });
}

function graph(title: string, left: IMetric[], right: IMetric[] = []): GraphWidget {
  return new GraphWidget({ title, left, right, width: 8, height: 6, leftYAxis: { min: 0 } });
}

function onCall(stage: Stage): string {
  return [
    `### ListBackup, stage ${stage.name}`,
    'If an alarm is on, its description names its entry in `docs/runbook.md`.',
    '',
    `Backups: [performance](#dashboards:name=listbackup-backup-processors-${stage.name}-backup-performance)`,
    '',
    `Logs: Logs Insights, saved queries, \`listbackup/${stage.name}\``,
  ].join('\n');
}
