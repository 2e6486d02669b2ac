/** Everything that holds state: tables, buckets, queues, the bus, keys. */
import { Stack, type StackProps } from 'aws-cdk-lib';
import type { EventBus } from 'aws-cdk-lib/aws-events';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Bucket, IBucket } from 'aws-cdk-lib/aws-s3';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { adoptBuckets, makeBuckets } from './buckets.ts';
import { makeBus } from './bus.ts';
import { makeEdgeProof } from './edge-proof.ts';
import { adoptKeys, makeKeys } from './keys.ts';
import { type Mail, makeMail } from './mail.ts';
import { makeNetwork, type Network } from './network.ts';
import { makeQueues } from './queues.ts';
import { makeSchedules, type Schedules } from './schedules.ts';
import type { Stage } from './stage.ts';
import { adoptTables, makeTables, type Tables } from './tables.ts';

export class CoreStack extends Stack {
  readonly tables: Tables;
  /** What users have backed up. */
  readonly bucket: IBucket;
  /** Batches that a reader of the activity stream gave up on. */
  readonly failed: Bucket;
  readonly jobQueue: Queue;
  readonly dataQueue: Queue;
  /** What the bus could not deliver. */
  readonly undelivered: Queue;
  readonly bus: EventBus;
  /** Wraps data keys. */
  readonly key: IKey;
  /** Signs checkpoints. */
  readonly signingKey: IKey;
  readonly schedules: Schedules;
  /** undefined: Cognito writes to users from an address of its own. */
  readonly mail: Mail | undefined;
  /** undefined: all functions run in Lambda's own network. */
  readonly network: Network | undefined;

  /** Where the functions do not run at home, copies of tables, buckets and keys are already there. */
  constructor(scope: Construct, id: string, stage: Stage, props: StackProps) {
    super(scope, id, props);
    const adopts = stage.runsIn === stage.region ? undefined : stage.runsIn;
    this.tables = adopts ? adoptTables(this, stage) : makeTables(this, stage);
    const buckets = adopts ? adoptBuckets(this, stage, adopts) : makeBuckets(this, stage);
    this.bucket = buckets.data;
    this.failed = buckets.failed;
    this.bus = makeBus(this, stage);
    const queues = makeQueues(this, stage, this.bus);
    this.jobQueue = queues.job;
    this.dataQueue = queues.data;
    this.undelivered = queues.undelivered;
    const keys = adopts ? adoptKeys(this, stage) : makeKeys(this, stage);
    this.key = keys.wrapping;
    this.signingKey = keys.signing;
    this.schedules = makeSchedules(this, stage, this.jobQueue);
    this.mail = makeMail(this, stage);
    if (stage.edge) makeEdgeProof(this);
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
