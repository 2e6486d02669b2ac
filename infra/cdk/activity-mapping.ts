/** A reader of the activity stream. DynamoDB serves two of them: projections and relay, no third. */
import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, type Function as LambdaFunction, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { CoreStack } from './core-stack.ts';

/**
 * Up to ten batches a shard at once: DynamoDB keeps records of one item key's partition in order between them, and both readers
 * bring any order right by themselves. A batch that fails is halved and tried again for six hours at most; what is lost then
 * comes back with the stream's next record or a reconcile, since a record is only a wake-up.
 */
export function readActivity(scope: Construct, core: CoreStack, target: LambdaFunction, parallel: number): EventSourceMapping {
  return new EventSourceMapping(scope, 'ActivityMapping', {
    target,
    eventSourceArn: core.tables.activity.tableStreamArn ?? '',
    startingPosition: StartingPosition.TRIM_HORIZON,
    batchSize: 100,
    parallelizationFactor: parallel,
    bisectBatchOnError: true,
    retryAttempts: 100,
    maxRecordAge: Duration.hours(6),
  });
}
