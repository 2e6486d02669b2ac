/** The buckets of a stage: what users have backed up, the signed checkpoints of the activity, what streams gave up on, and who read the data. */
import { Duration, Stack } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type BucketProps,
  CfnBucket,
  type IBucket,
  ObjectLockRetention,
  ObjectOwnership,
  ReplicationTimeValue,
  StorageClass,
} from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge, acknowledgeAnyOf, anyOf } from './acknowledge.ts';
import { closeBucketUnlessWriter } from './fence.ts';
import { bucketName, keepData, type Stage } from './stage.ts';

export type Buckets = { data: IBucket; checkpoints: IBucket; failed: Bucket };

export function makeBuckets(scope: Construct, stage: Stage): Buckets {
  const at = { stage, logs: stage.disposable ? undefined : logsBucket(scope, { stage, logs: undefined }) };
  return {
    data: dataBucket(scope, at, copiedTo(scope, stage, 'data')),
    checkpoints: checkpointsBucket(scope, at, copiedTo(scope, stage, 'checkpoints')),
    failed: failedBucket(scope, at),
  };
}

/** The buckets of another region that copies go to; nobody else writes there, unless it is the writer region. */
export function makeReplicaBuckets(scope: Construct, stage: Stage, region: string): void {
  const at = {
    stage,
    region,
    logs: stage.disposable ? undefined : logsBucket(scope, { stage, region, logs: undefined }),
  };
  closeBucketUnlessWriter(stage, region, dataBucket(scope, at, {}));
  closeBucketUnlessWriter(stage, region, checkpointsBucket(scope, at, {}));
}

/** In the writer region when that is not the home: the copies that are there, and a bucket of its own for what streams give up on. */
export function adoptBuckets(scope: Construct, stage: Stage, region: string): Buckets {
  const there = (kind: string) => Bucket.fromBucketName(scope, kind, bucketName(stage, kind, region));
  return {
    data: there('data'),
    checkpoints: there('checkpoints'),
    failed: failedBucket(scope, { stage, region, logs: undefined }),
  };
}

/** Within fifteen minutes, which AWS promises for $0.015 a GB and tells when it is late. What is deleted here stays there. */
function copiedTo(scope: Construct, stage: Stage, kind: string): Partial<BucketProps> {
  if (stage.replicaRegions.length === 0) return {};
  const role = new Role(scope, `${kind}-copier`, {
    description: `Copies the bucket ${kind} to other regions`,
    // No conditions: AWS documents none that the copying would fulfil, and it would fail without a word to anyone.
    assumedBy: new ServicePrincipal('s3.amazonaws.com'),
  });
  const arn = (region?: string) =>
    Stack.of(scope).formatArn({ service: 's3', region: '', account: '', resource: bucketName(stage, kind, region) });
  const read = [
    'GetObjectVersionForReplication',
    'GetObjectVersionAcl',
    'GetObjectVersionTagging',
    'GetObjectRetention',
    'GetObjectLegalHold',
  ];
  const every = 'Objects are named by ids and hashes, made as they are written';
  const statements = [
    new PolicyStatement({ actions: ['s3:GetReplicationConfiguration', 's3:ListBucket'], resources: [arn()] }),
    anyOf(new PolicyStatement({ actions: read.map((action) => `s3:${action}`), resources: [`${arn()}/*`] }), every),
    anyOf(
      new PolicyStatement({
        actions: ['s3:ReplicateObject', 's3:ReplicateTags'],
        resources: stage.replicaRegions.map((region) => `${arn(region)}/*`),
      }),
      every,
    ),
  ];
  for (const statement of statements) role.addToPolicy(statement);
  acknowledgeAnyOf(role, statements);
  return {
    replicationRole: role,
    replicationRules: stage.replicaRegions.map((region, priority) => ({
      id: region,
      priority,
      destination: Bucket.fromBucketName(scope, `${kind}-${region}`, bucketName(stage, kind, region)),
      deleteMarkerReplication: false,
      replicationTimeControl: ReplicationTimeValue.FIFTEEN_MINUTES,
      metrics: ReplicationTimeValue.FIFTEEN_MINUTES,
    })),
  };
}

type At = { stage: Stage; region?: string; logs: Bucket | undefined };

/** What every bucket has: encryption, TLS, no public access, no access lists, and the end of uploads that nobody ends. */
function closedBucket(
  scope: Construct,
  { stage, region, logs }: At,
  id: string,
  { lifecycleRules = [], ...props }: Partial<BucketProps>,
): Bucket {
  const bucket = new Bucket(scope, id, {
    bucketName: bucketName(stage, id.toLowerCase(), region),
    encryption: BucketEncryption.S3_MANAGED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    removalPolicy: keepData(stage),
    lifecycleRules: [
      { id: 'abandoned-uploads', abortIncompleteMultipartUploadAfter: Duration.days(2) },
      ...lifecycleRules,
    ],
    ...(logs ? { serverAccessLogsBucket: logs, serverAccessLogsPrefix: `${id.toLowerCase()}/` } : {}),
    ...props,
  });
  if (!logs) {
    const why = stage.disposable
      ? 'Stage test holds nothing worth reading, and logs that come late would keep it from being removed'
      : 'It holds the logs of the others';
    acknowledge(bucket, { 'AwsSolutions-S1': why, CKV_AWS_18: why });
  }
  if (!props.versioned)
    acknowledge(bucket, { CKV_AWS_21: 'It is written once by AWS itself, and forgotten within months' });
  return bucket;
}

function dataBucket(scope: Construct, at: At, copied: Partial<BucketProps>): Bucket {
  return closedBucket(scope, at, 'Data', {
    ...copied,
    versioned: true,
    // Costs nothing until a link uses it: the stage option acceleratedLinks.
    transferAcceleration: true,
    lifecycleRules: [
      // Without the two archive tiers: what rests there can only be read hours after it was asked for, and a restore has no hours.
      {
        id: 'tier',
        transitions: [{ storageClass: StorageClass.INTELLIGENT_TIERING, transitionAfter: Duration.days(0) }],
      },
      {
        id: 'exports',
        prefix: 'exports/',
        expiration: Duration.days(1),
        noncurrentVersionExpiration: Duration.days(1),
      },
      // The product deletes by version id; this is for what was deleted or overwritten by any other hand, which can be undone so long.
      { id: 'old-versions', noncurrentVersionExpiration: Duration.days(30), expiredObjectDeleteMarker: true },
    ],
  });
}

/**
 * Nobody, the account's owner included, can change or delete a checkpoint for a year. That is long enough: each one signs for all of the
 * log before it, so a younger one proves what an older one did. Stage `test` has no lock, or it could not be removed.
 */
function checkpointsBucket(scope: Construct, at: At, copied: Partial<BucketProps>): Bucket {
  return closedBucket(scope, at, 'Checkpoints', {
    ...copied,
    versioned: true,
    ...(at.stage.disposable ? {} : { objectLockDefaultRetention: ObjectLockRetention.compliance(Duration.days(365)) }),
  });
}

/** Batches that a reader of the activity stream gave up on, whole: the stream itself forgets them within a day. The account's own bus tells of each. */
function failedBucket(scope: Construct, at: At): Bucket {
  const bucket = closedBucket(scope, at, 'Failed', {
    lifecycleRules: [{ id: 'handled', expiration: Duration.days(30) }],
  });
  // The construct would have a function made for this one line.
  if (bucket.node.defaultChild instanceof CfnBucket) {
    bucket.node.defaultChild.notificationConfiguration = { eventBridgeConfiguration: { eventBridgeEnabled: true } };
  }
  return bucket;
}

/** Who read or wrote what, as S3 tells it. There are addresses of users in it (downloads by link), so it is kept no longer than an inquiry takes. */
function logsBucket(scope: Construct, at: At): Bucket {
  return closedBucket(scope, at, 'Logs', { lifecycleRules: [{ id: 'forget', expiration: Duration.days(90) }] });
}
