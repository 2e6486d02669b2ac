/** Metrics by the names of what they are of, without labels: CloudWatch shows in what several differ. */
import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { Measure } from '../../../domain/ports.ts';
import { namespace } from '../../aws/log.ts';
import type { Stage } from '../stage.ts';

const period = Duration.minutes(5);

/** One of our own: `Log.measure` in the code. */
export function ours(stage: Stage, name: Measure, statistic: string, label?: string): Metric {
  const dimensionsMap = { service: 'listbackup', stage: stage.name };
  return new Metric({ namespace, metricName: name, dimensionsMap, statistic, period, ...(label ? { label } : {}) });
}

/** Calls that AWS refused for all functions of the account, which share how many may run at once. */
export const throttles = new Metric({ namespace: 'AWS/Lambda', metricName: 'Throttles', statistic: 'Sum', period });

export function ofFunction(name: string, metricName: string, statistic = 'Sum'): Metric {
  return new Metric({ namespace: 'AWS/Lambda', metricName, dimensionsMap: { FunctionName: name }, statistic, period });
}

export function ofQueue(name: string, metricName: string, statistic = 'Maximum'): Metric {
  return new Metric({ namespace: 'AWS/SQS', metricName, dimensionsMap: { QueueName: name }, statistic, period });
}

export function ofTable(name: string, metricName: string, statistic = 'Sum'): Metric {
  return new Metric({ namespace: 'AWS/DynamoDB', metricName, dimensionsMap: { TableName: name }, statistic, period });
}

/** Percent of the calls that failed. */
export function errorRate(name: string): MathExpression {
  // Charts of several functions need ids that differ.
  const id = name.replaceAll('-', '_');
  const [errors, calls] = [`errors_${id}`, `calls_${id}`];
  const usingMetrics = { [errors]: ofFunction(name, 'Errors'), [calls]: ofFunction(name, 'Invocations') };
  return new MathExpression({
    expression: `100 * ${errors} / MAX([${errors}, ${calls}])`,
    usingMetrics,
    period,
    label: name,
  });
}

/** CloudWatch alarms take at most ten metrics. */
export function sum(label: string, metrics: IMetric[]): MathExpression {
  const usingMetrics = Object.fromEntries(metrics.map((metric, i) => [`m${i}`, metric]));
  return new MathExpression({ expression: 'SUM(METRICS())', usingMetrics, period, label });
}

/** Measured by S3 once a day, for each of its storage types. */
export function ofBucket(name: string, metricName: string, storageTypes: string[]): Metric[] {
  return storageTypes.map(
    (type) =>
      new Metric({
        namespace: 'AWS/S3',
        metricName,
        dimensionsMap: { BucketName: name, StorageType: type },
        statistic: 'Average',
        period: Duration.days(1),
        label: type,
      }),
  );
}
