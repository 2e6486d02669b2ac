/** Maps the activity stream to a function. DynamoDB serves two readers a stream: the projections and the relay. */
import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, type Function as LambdaFunction, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { CoreStack } from './core-stack.ts';
import type { Stage } from './stage.ts';

/**
 * `concurrency`: concurrent batches a shard. Above 1, Lambda keeps the order of records per item only. Both readers
 * accept records in any order. Lambda halves and retries a failed batch for six hours, so that one poison record does
 * not block the shard. It then writes the whole batch to a bucket, under `aws/lambda/{mapping}/{shard}/{date}`.
 */
export function readActivity(
  scope: Construct,
  stage: Stage,
  core: CoreStack,
  target: LambdaFunction,
  concurrency: number,
): EventSourceMapping {
  const stream = core.tables.activity.tableStreamArn;
  if (!stream) throw new Error('The table activity has no stream. Set `stream` in infra/aws/tables.ts.');
  // Turning on replicas creates a new stream. A new mapping id makes CloudFormation read the new stream ARN.
  const id = stage.replicaRegions.length > 0 ? 'CopiedActivityMapping' : 'ActivityMapping';
  return new EventSourceMapping(scope, id, {
    target,
    eventSourceArn: stream,
    startingPosition: StartingPosition.TRIM_HORIZON,
    batchSize: 100,
    parallelizationFactor: concurrency,
    bisectBatchOnError: true,
    retryAttempts: 1000,
    maxRecordAge: Duration.hours(6),
    // CDK's own destination also grants read and delete. `readStream` grants the one right that Lambda needs.
    onFailure: { bind: () => ({ destination: core.failed.bucketArn }) },
  });
}
