/** Everything that holds state: tables, the bucket, queues, the bus, keys. */
import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { AttributeType, Billing, StreamViewType, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { EventBus } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership, StorageClass } from 'aws-cdk-lib/aws-s3';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { type TableShape, tables } from '../aws/tables.ts';
import { maxReceives } from '../limits.ts';
import { keepData, resourceName, type Stage, tablePrefix } from './stage.ts';

/** The tables of the public contract that no adapter reads yet. */
const further = {
  'oauth-states': { pk: ['pk', 'S'], sk: ['sk', 'S'], expires: true },
  'api-keys': { pk: ['pk', 'S'], sk: ['sk', 'S'], expires: true },
  reports: { pk: ['pk', 'S'], sk: ['sk', 'S'], expires: true },
} as const satisfies { [name: string]: TableShape };

const shapes = { ...tables, ...further };
const types = { S: AttributeType.STRING, N: AttributeType.NUMBER };

/** What is destroyed here has to stay destroyed, so there is no going back to an earlier point in time. */
const forgetting = 'subject-keys';

export type TableName = keyof typeof shapes;

export class CoreStack extends Stack {
  readonly tables: { [name in TableName]: TableV2 };
  readonly bucket: Bucket;
  readonly jobQueue: Queue;
  readonly dataQueue: Queue;
  readonly bus: EventBus;
  /** Wraps data keys. */
  readonly key: Key;
  /** Signs checkpoints. */
  readonly signingKey: Key;

  constructor(scope: Construct, id: string, stage: Stage, props: StackProps) {
    super(scope, id, props);
    this.tables = makeTables(this, stage);
    this.bucket = dataBucket(this, stage);
    this.jobQueue = queueWithDeadLetters(this, stage, 'job');
    this.dataQueue = queueWithDeadLetters(this, stage, 'data');
    this.bus = new EventBus(this, 'Events', { eventBusName: resourceName(stage, 'events') });
    for (const queue of [this.jobQueue, this.dataQueue]) queue.addToResourcePolicy(fromRulesOf(this.bus, queue));
    this.key = new Key(this, 'DataKey', {
      alias: `alias/${resourceName(stage, 'data')}`,
      description: `Wraps the account keys of ListBackup stage ${stage.name}`,
      enableKeyRotation: true,
      removalPolicy: keepData(stage),
    });
    this.signingKey = new Key(this, 'SigningKey', {
      alias: `alias/${resourceName(stage, 'signing')}`,
      description: `Signs the activity checkpoints of ListBackup stage ${stage.name}`,
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
      removalPolicy: keepData(stage),
    });
  }
}

function makeTables(scope: Construct, stage: Stage): { [name in TableName]: TableV2 } {
  const entries = Object.entries<TableShape>(shapes).map(([name, shape]) => [
    name,
    new TableV2(scope, `Table-${name}`, {
      tableName: `${tablePrefix(stage)}${name}`,
      partitionKey: { name: shape.pk[0], type: types[shape.pk[1]] },
      sortKey: { name: shape.sk[0], type: types[shape.sk[1]] },
      billing: Billing.onDemand(),
      encryption: TableEncryptionV2.awsManagedKey(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: name !== forgetting },
      deletionProtection: !stage.disposable,
      removalPolicy: keepData(stage),
      ...(shape.expires ? { timeToLiveAttribute: 'expiresAt' } : {}),
      // A record is a wake-up, no more: the table is the truth, so the stream carries keys and no bodies.
      ...(shape.stream ? { dynamoStream: StreamViewType.KEYS_ONLY } : {}),
    }),
  ]);
  return Object.fromEntries(entries) as { [name in TableName]: TableV2 };
}

function dataBucket(scope: Construct, stage: Stage): Bucket {
  return new Bucket(scope, 'Data', {
    bucketName: resourceName(stage, 'data'),
    versioned: true,
    encryption: BucketEncryption.S3_MANAGED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    removalPolicy: keepData(stage),
    lifecycleRules: [
      { id: 'tier', transitions: [{ storageClass: StorageClass.INTELLIGENT_TIERING, transitionAfter: Duration.days(0) }] },
      { id: 'abandoned-uploads', abortIncompleteMultipartUploadAfter: Duration.days(2) },
      { id: 'exports', prefix: 'exports/', expiration: Duration.days(1), noncurrentVersionExpiration: Duration.days(1) },
      // The product deletes by version id; this is for what was deleted or overwritten by any other hand, which can be undone so long.
      { id: 'old-versions', noncurrentVersionExpiration: Duration.days(30), expiredObjectDeleteMarker: true },
    ],
  });
}

function queueWithDeadLetters(scope: Construct, stage: Stage, kind: 'job' | 'data'): Queue {
  const shared = { encryption: QueueEncryption.SQS_MANAGED, enforceSSL: true, retentionPeriod: Duration.days(14) };
  const deadLetters = new Queue(scope, `${kind}-dead-letters`, { queueName: resourceName(stage, `${kind}-queue-dlq`), ...shared });
  return new Queue(scope, `${kind}-queue`, {
    queueName: resourceName(stage, `${kind}-queue`),
    visibilityTimeout: workVisibility,
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: maxReceives },
    ...shared,
  });
}

/** The longest a function may work, and so long plus a margin its message stays hidden. */
export const workTimeout = Duration.minutes(15);
const workVisibility = Duration.minutes(16);

/** Said here for all rules of the bus: a policy that named each rule would make this stack depend on theirs. */
function fromRulesOf(bus: EventBus, queue: Queue): PolicyStatement {
  return new PolicyStatement({
    principals: [new ServicePrincipal('events.amazonaws.com')],
    actions: ['sqs:SendMessage'],
    resources: [queue.queueArn],
    conditions: {
      ArnLike: { 'aws:SourceArn': Stack.of(bus).formatArn({ service: 'events', resource: 'rule', resourceName: `${bus.eventBusName}/*` }) },
    },
  });
}
