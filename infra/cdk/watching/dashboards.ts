/** The two charts pages that are looked at: the whole system, for who is on call, and the backups. */
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
import type { Found } from './found.ts';
import { errorRate, ofBucket, ofFunction, ofQueue, ofTable, ours } from './metrics.ts';

/** What a person on call looks at first stands on top: which alarms are on, whether users get answers, whether work moves. */
export function systemDashboard(
  scope: Construct,
  stage: Stage,
  found: Found,
  alarms: string[],
  api: { requests: IMetric; errors: IMetric; latency: IMetric },
): void {
  const { functions, queues, tables } = found;
  const each = (metricName: string, statistic?: string) =>
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
        graph('How long requests take (ms)', [api.latency]),
        graph(
          'Oldest message (s)',
          queues
            .filter(({ deadLetters }) => !deadLetters)
            .map(({ name }) => ofQueue(name, 'ApproximateAgeOfOldestMessage')),
        ),
      ],
      [
        graph(
          'How far behind (ms)',
          functions
            .filter(({ name }) => /-(projections|relay)$/.test(name))
            .map(({ name }) => ofFunction(name, 'IteratorAge', 'Maximum')),
        ),
        graph('Standing still', [
          ours(stage, 'Parked', 'Maximum'),
          ours(stage, 'RelayAside', 'Maximum'),
          ours(stage, 'RunsStandingStill', 'Sum'),
          ours(stage, 'Unwoken', 'Sum'),
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
          'Calls that fail (%)',
          functions.map(({ name }) => errorRate(name)),
        ),
        graph('How long functions take (ms, 95 of 100)', each('Duration', 'p95')),
        graph('Functions at once', each('ConcurrentExecutions', 'Maximum')),
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
          'Refused by DynamoDB',
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
          title: 'Requests of backups (US dollars)',
          metrics: [ours(stage, 'RunCost', 'Sum')],
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
            ours(stage, name, 'Sum'),
          ),
          setPeriodToTimeRange: true,
          width: 24,
          height: 4,
        }),
      ],
      [
        graph(
          'How long a backup takes (s)',
          ['p50', 'p95', 'Maximum'].map((statistic) => ours(stage, 'RunSeconds', statistic, statistic)),
        ),
        graph('Files', [ours(stage, 'RunFiles', 'Sum'), ours(stage, 'RunFilesFailed', 'Sum')]),
        graph('Bytes', [ours(stage, 'RunBytesRead', 'Sum'), ours(stage, 'RunBytesStored', 'Sum')]),
      ],
      [
        graph(
          'What a backup costs in requests (US dollars)',
          ['Average', 'Maximum'].map((statistic) => ours(stage, 'RunCost', statistic, statistic)),
        ),
        graph('Backups that fail', [
          ours(stage, 'RunsFailed', 'Sum'),
          ours(stage, 'RunsPartial', 'Sum'),
          ours(stage, 'RunsStandingStill', 'Sum'),
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
    'An alarm is on? Its description names its line in `docs/runbook.md`.',
    '',
    `Backups: [performance](#dashboards:name=listbackup-backup-processors-${stage.name}-backup-performance)`,
    '',
    `Logs: Logs Insights, saved queries, \`listbackup/${stage.name}\``,
  ].join('\n');
}
