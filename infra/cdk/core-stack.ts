/** Everything that holds state: tables, buckets, queues, the bus, keys. */
import { Stack, type StackProps } from 'aws-cdk-lib';
import type { EventBus } from 'aws-cdk-lib/aws-events';
import type { Key } from 'aws-cdk-lib/aws-kms';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { makeBuckets } from './buckets.ts';
import { makeBus } from './bus.ts';
import { makeKeys } from './keys.ts';
import { makeNetwork, type Network } from './network.ts';
import { makeQueues } from './queues.ts';
import { makeSchedules, type Schedules } from './schedules.ts';
import type { Stage } from './stage.ts';
import { makeTables, type Tables } from './tables.ts';

export class CoreStack extends Stack {
  readonly tables: Tables;
  /** What users have backed up. */
  readonly bucket: Bucket;
  /** Batches that a reader of the activity stream gave up on. */
  readonly failed: Bucket;
  readonly jobQueue: Queue;
  readonly dataQueue: Queue;
  /** What the bus could not deliver. */
  readonly undelivered: Queue;
  readonly bus: EventBus;
  /** Wraps data keys. */
  readonly key: Key;
  /** Signs checkpoints. */
  readonly signingKey: Key;
  readonly schedules: Schedules;
  /** undefined: all functions run in Lambda's own network. */
  readonly network: Network | undefined;

  constructor(scope: Construct, id: string, stage: Stage, props: StackProps) {
    super(scope, id, props);
    this.tables = makeTables(this, stage);
    const buckets = makeBuckets(this, stage);
    this.bucket = buckets.data;
    this.failed = buckets.failed;
    this.bus = makeBus(this, stage);
    const queues = makeQueues(this, stage, this.bus);
    this.jobQueue = queues.job;
    this.dataQueue = queues.data;
    this.undelivered = queues.undelivered;
    const keys = makeKeys(this, stage);
    this.key = keys.wrapping;
    this.signingKey = keys.signing;
    this.schedules = makeSchedules(this, stage, this.jobQueue);
    this.network = makeNetwork(this, stage, {
      buckets: [this.bucket.bucketArn],
      tables: Object.values(this.tables).map((table) => table.tableArn),
      queues: [this.jobQueue.queueArn, this.dataQueue.queueArn],
      buses: [this.bus.eventBusArn],
      keys: [this.key.keyArn, this.signingKey.keyArn],
    });
  }
}

export { workTimeout } from './queues.ts';
export type { TableName } from './tables.ts';
