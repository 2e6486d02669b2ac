/** A reader of the activity stream. DynamoDB serves two of them: projections and relay, no third. */
import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, type Function as LambdaFunction, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { CoreStack } from './core-stack.ts';
import { resourceName, type Stage } from './stage.ts';

/**
 * Up to ten batches a shard at once: order is promised for each item alone, which no reader needs, since both bring any order right
 * by themselves. A batch that fails is halved and tried again for six hours, so that one that is poison holds up its neighbours no
 * longer; where it was is then told to a dead-letter queue, and its records can be read there for the rest of their day.
 */
export function readActivity(scope: Construct, stage: Stage, core: CoreStack, target: LambdaFunction, reader: string): EventSourceMapping {
  const stream = core.tables.activity.tableStreamArn;
  if (!stream) throw new Error('the table activity has no stream');
  const givenUp = new Queue(scope, 'GivenUp', {
    queueName: resourceName(stage, `${reader}-dlq`),
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: Duration.days(14),
  });
  return new EventSourceMapping(scope, 'ActivityMapping', {
    target,
    eventSourceArn: stream,
    startingPosition: StartingPosition.TRIM_HORIZON,
    batchSize: 100,
    parallelizationFactor: 10,
    bisectBatchOnError: true,
    retryAttempts: 1000,
    maxRecordAge: Duration.hours(6),
    onFailure: new SqsDlq(givenUp),
  });
}
