/** Everything with state: tables, buckets, queues, bus, keys. */
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
  /** Backup data. */
  readonly bucket: IBucket;
  /** Second copies of the wrapped keys. */
  readonly keys: IBucket;
  /** Batches of the activity stream that a reader failed on. */
  readonly failed: Bucket;
  readonly jobQueue: Queue;
  readonly dataQueue: Queue;
  /** Dead letters of the bus. */
  readonly undelivered: Queue;
  readonly bus: EventBus;
  /** Wraps data keys. */
  readonly key: IKey;
  /** Signs checkpoints. */
  readonly signingKey: IKey;
  readonly schedules: Schedules;
  /** Undefined: Cognito sends e-mails from its own address. */
  readonly mail: Mail | undefined;
  /** Undefined: all functions run in Lambda's own network. */
  readonly network: Network | undefined;

  /** Creates tables, buckets and keys. After a failover it uses the existing replicas of `stage.runsIn` instead. */
  constructor(scope: Construct, id: string, stage: Stage, props: StackProps) {
    super(scope, id, props);
    const failoverRegion = stage.runsIn === stage.region ? undefined : stage.runsIn;
    this.tables = failoverRegion ? adoptTables(this, stage) : makeTables(this, stage);
    const buckets = failoverRegion ? adoptBuckets(this, stage, failoverRegion) : makeBuckets(this, stage);
    this.bucket = buckets.data;
    this.keys = buckets.keys;
    this.failed = buckets.failed;
    this.bus = makeBus(this, stage);
    const queues = makeQueues(this, stage, this.bus);
    this.jobQueue = queues.job;
    this.dataQueue = queues.data;
    this.undelivered = queues.undelivered;
    const keys = failoverRegion ? adoptKeys(this, stage) : makeKeys(this, stage);
    this.key = keys.wrapping;
    this.signingKey = keys.signing;
    this.schedules = makeSchedules(this, stage, this.jobQueue);
    this.mail = makeMail(this, stage);
    if (stage.edge) makeEdgeProof(this);
    this.network = makeNetwork(this, stage, {
      buckets: [this.bucket.bucketArn, this.keys.bucketArn],
      tables: Object.values(this.tables).map((table) => table.tableArn),
      queues: [this.jobQueue.queueArn, this.dataQueue.queueArn],
      buses: [this.bus.eventBusArn],
      keys: [this.key.keyArn, this.signingKey.keyArn],
    });
  }
}

export { workTimeout } from './queues.ts';
export type { TableName } from './tables.ts';
