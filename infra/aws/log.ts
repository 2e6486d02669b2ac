/** Logs and metrics of the functions, as lines of JSON that CloudWatch parses. */
import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Log, Measure } from '../../domain/ports.ts';

/** The CloudWatch namespace of the metrics. Their dimension is the stage. */
export const namespace = 'ListBackup';

const units: { [name in Measure]?: (typeof MetricUnit)[keyof typeof MetricUnit] } = {
  RunSeconds: MetricUnit.Seconds,
  ProjectionLagSeconds: MetricUnit.Seconds,
  LedgerLagSeconds: MetricUnit.Seconds,
  RunBytesRead: MetricUnit.Bytes,
  RunBytesStored: MetricUnit.Bytes,
  RunCost: MetricUnit.NoUnit,
};

/** Publishes a metric only when it is measured, so that an idle stage costs no metrics. */
export function awsLog(stage: () => string): Log {
  const logger = new Logger({ serviceName: 'listbackup' });
  return {
    info: (message, fields = {}) => logger.info(message, fields),
    warn: (message, fields = {}) => logger.warn(message, fields),
    error: (message, fields = {}, error) =>
      logger.error(message, error instanceof Error ? { ...fields, error } : fields),
    measure(numbers) {
      const metrics = new Metrics({ namespace, serviceName: 'listbackup', defaultDimensions: { stage: stage() } });
      for (const [name, value] of Object.entries(numbers) as [Measure, number][]) {
        metrics.addMetric(name, units[name] ?? MetricUnit.Count, value);
      }
      metrics.publishStoredMetrics();
    },
  };
}
