/** When someone should look: one alarm a kind of trouble and place, and one over all of them, which is what calls people. */
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
import type { Found } from './found.ts';
import { errorRate, ofFunction, ofQueue, ofTable, ours, sum, throttles } from './metrics.ts';

type Kind = {
  /** Heading in docs/runbook.md, which says what to do. */
  runbook: string;
  of?: string;
  means: string;
  metric: IMetric;
  over: number;
  /** In how many of so many periods of five minutes. */
  within?: [number, number];
};

/** Streams are read by these two; what waits there is not yet in a read model, or not yet in the ledger and on the bus. */
const readers = { projections: 'read models', relay: 'ledger' };

/** Answers their names. */
export function makeAlarms(
  scope: Construct,
  stage: Stage,
  found: Found,
  serverErrors: IMetric,
  topic: ITopic,
): string[] {
  const kindsThere = kinds(stage, found, serverErrors);
  const alarms = kindsThere.map((kind) => makeAlarm(scope, stage, kind));
  const names = kindsThere.map((kind) => nameOf(stage, kind));
  const all = new CompositeAlarm(scope, 'Any', {
    compositeAlarmName: resourceName(stage, 'any-alarm'),
    alarmDescription: `Something is wrong with ListBackup stage ${stage.name}: the dashboard listbackup-v2-system-${stage.name} shows what. Runbook: docs/runbook.md`,
    alarmRule: AlarmRule.anyOf(...alarms.map((alarm) => AlarmRule.fromAlarm(alarm, AlarmState.ALARM))),
  });
  all.addAlarmAction(new SnsAction(topic));
  all.addOkAction(new SnsAction(topic));
  return names;
}

function kinds(stage: Stage, { functions, queues, tables }: Found, serverErrors: IMetric): Kind[] {
  return [
    {
      runbook: 'api-errors',
      means: 'over 5 % of requests fail on our side',
      metric: serverErrors,
      over: 5,
      within: [2, 3],
    },
    ...functions.map(({ name }): Kind => {
      return {
        runbook: 'error-rate',
        of: name,
        means: 'over 5 % of its calls fail',
        metric: errorRate(name),
        over: 5,
        within: [2, 3],
      };
    }),
    ...functions.map(({ name, timeoutSeconds }): Kind => {
      const metric = ofFunction(name, 'Duration', 'Maximum');
      return {
        runbook: 'timeouts',
        of: name,
        means: 'it takes all the time it has',
        metric,
        over: timeoutSeconds * 1000 * 0.98,
      };
    }),
    {
      runbook: 'functions-throttled',
      means: 'functions may not start: the account has too few at once',
      metric: throttles,
      over: 10,
      within: [2, 3],
    },
    ...queues.map(({ name, deadLetters }): Kind => {
      return deadLetters
        ? {
            runbook: 'dead-letters',
            of: name,
            means: 'work was given up after several tries',
            metric: ofQueue(name, 'ApproximateNumberOfMessagesVisible'),
            over: 0,
          }
        : {
            runbook: 'backlog',
            of: name,
            means: 'work has waited for over an hour',
            metric: ofQueue(name, 'ApproximateAgeOfOldestMessage'),
            over: 3600,
            within: [2, 3],
          };
    }),
    {
      runbook: 'tables-throttled',
      means: 'DynamoDB refuses reads or writes',
      metric: sum(
        'throttled',
        busy(tables).flatMap((name) => [ofTable(name, 'ReadThrottleEvents'), ofTable(name, 'WriteThrottleEvents')]),
      ),
      over: 50,
      within: [2, 3],
    },
    ...functions
      .filter(({ name }) => Object.keys(readers).some((reader) => name.endsWith(`-${reader}`)))
      .map(({ name }): Kind => {
        return {
          runbook: 'lag',
          of: name,
          means: 'changes take over five minutes to arrive',
          metric: ofFunction(name, 'IteratorAge', 'Maximum'),
          over: 300_000,
          within: [2, 3],
        };
      }),
    {
      runbook: 'parked',
      means: 'a projection stands still at an event',
      metric: ours(stage, 'Parked', 'Maximum'),
      over: 0,
    },
    {
      runbook: 'ledger-lag',
      means: 'commits wait for the ledger or the bus',
      metric: ours(stage, 'LedgerLagSeconds', 'Maximum'),
      over: 300,
      within: [2, 3],
    },
    { runbook: 'unwoken', means: 'wake-ups were lost and made up for', metric: ours(stage, 'Unwoken', 'Sum'), over: 0 },
    {
      runbook: 'activity-changed',
      means: 'someone changed or deleted what is only ever added to',
      metric: ours(stage, 'ActivityChanged', 'Sum'),
      over: 0,
    },
    {
      runbook: 'missed-backup',
      means: 'a run that was asked for stands still',
      metric: ours(stage, 'RunsStandingStill', 'Sum'),
      over: 0,
      within: [2, 12],
    },
    {
      runbook: 'runs-failing',
      means: 'backups fail',
      metric: ours(stage, 'RunsFailed', 'Sum'),
      over: 5,
      within: [2, 3],
    },
  ];
}

/** The tables that every backup writes; the others follow them. */
function busy(tables: string[]): string[] {
  return tables.filter((name) => /-(activity|ledger|records|files|runs)$/.test(name));
}

function nameOf(stage: Stage, { runbook, of }: Kind): string {
  return [resourceName(stage, runbook), of].filter(Boolean).join('-');
}

function makeAlarm(scope: Construct, stage: Stage, kind: Kind): Alarm {
  const { runbook, of, means, metric, over, within: [some, last] = [1, 1] } = kind;
  const alarm = new Alarm(scope, `${runbook}${of ? `-${of}` : ''}`, {
    alarmName: nameOf(stage, kind),
    alarmDescription: `${of ? `${of}: ` : ''}${means}. Runbook: docs/runbook.md#${runbook}`,
    metric,
    threshold: over,
    comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
    datapointsToAlarm: some,
    evaluationPeriods: last,
    // Nobody calls, nothing waits, nobody measured anything wrong.
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
  acknowledge(alarm, { CKV_AWS_319: 'The composite alarm over all of them acts' });
  return alarm;
}
