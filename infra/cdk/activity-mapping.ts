/** A reader of the activity stream. DynamoDB serves two of them: projections and relay, no third. */
import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, type Function as LambdaFunction, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { CoreStack } from './core-stack.ts';
import type { Stage } from './stage.ts';

/**
 * `atOnce`: batches a shard at the same time. Order is then promised for each item alone, which no reader needs, since both bring any order
 * right by themselves. A batch that fails is halved and tried again for six hours, so that one that is poison holds up its neighbours no
 * longer; it is then put in a bucket, whole, under `aws/lambda/{mapping}/{shard}/{date}`.
 */
export function readActivity(
  scope: Construct,
  stage: Stage,
  core: CoreStack,
  target: LambdaFunction,
  atOnce: number,
): EventSourceMapping {
  const stream = core.tables.activity.tableStreamArn;
  if (!stream) throw new Error('the table activity has no stream');
  // The stream is made anew when copies are turned on. What another stack says is looked up again only for what changes in a template.
  const id = stage.replicaRegions.length > 0 ? 'CopiedActivityMapping' : 'ActivityMapping';
  return new EventSourceMapping(scope, id, {
    target,
    eventSourceArn: stream,
    startingPosition: StartingPosition.TRIM_HORIZON,
    batchSize: 100,
    parallelizationFactor: atOnce,
    bisectBatchOnError: true,
    retryAttempts: 1000,
    maxRecordAge: Duration.hours(6),
    // CDK's own destination would let the function read and delete there too; what it needs is in `readStream`.
    onFailure: { bind: () => ({ destination: core.failed.bucketArn }) },
  });
}
