/** CloudWatch metrics by resource name. They have no labels, because CloudWatch labels a chart by the differences. */
import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { Measure } from '../../../domain/ports.ts';
import { namespace } from '../../aws/log.ts';
import type { Stage } from '../stage.ts';

const period = Duration.minutes(5);

/** A metric that the product publishes with `Log.measure`. */
export function ofProduct(stage: Stage, name: Measure, statistic: string, label?: string): Metric {
  const dimensionsMap = { service: 'listbackup', stage: stage.name };
  return new Metric({ namespace, metricName: name, dimensionsMap, statistic, period, ...(label ? { label } : {}) });
}

/** Throttled calls of all functions in the account, which share one concurrency limit. */
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

/** Failed calls, in percent. */
export function errorRate(name: string): MathExpression {
  // Ids must be unique in a chart of several functions.
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

/** An alarm accepts at most ten metrics. */
export function sum(label: string, metrics: IMetric[]): MathExpression {
  const usingMetrics = Object.fromEntries(metrics.map((metric, i) => [`m${i}`, metric]));
  return new MathExpression({ expression: 'SUM(METRICS())', usingMetrics, period, label });
}

/** S3 measures once a day, for each storage type. */
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
