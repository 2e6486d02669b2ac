/**
 * The buckets of a stage: backup data, wrapped keys, signed checkpoints of the activity, failed stream batches, access
 * logs.
 */
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
import { acknowledge, registerWildcards, withWildcard } from './acknowledge.ts';
import { denyBucketWritesUnlessWriter } from './fence.ts';
import { bucketName, keepData, type Stage } from './stage.ts';

export type Buckets = { data: IBucket; keys: IBucket; checkpoints: IBucket; failed: Bucket };

export function makeBuckets(scope: Construct, stage: Stage): Buckets {
  const at = { stage, logs: stage.disposable ? undefined : logsBucket(scope, { stage, logs: undefined }) };
  return {
    data: dataBucket(scope, at, replicationOf(scope, stage, 'data')),
    keys: keysBucket(scope, at),
    checkpoints: checkpointsBucket(scope, at, replicationOf(scope, stage, 'checkpoints')),
    failed: failedBucket(scope, at),
  };
}

/** The buckets of a replica region. Only S3 replication writes there, unless the region is the writer region. */
export function makeReplicaBuckets(scope: Construct, stage: Stage, region: string): void {
  const at = {
    stage,
    region,
    logs: stage.disposable ? undefined : logsBucket(scope, { stage, region, logs: undefined }),
  };
  denyBucketWritesUnlessWriter(stage, region, dataBucket(scope, at, {}));
  denyBucketWritesUnlessWriter(stage, region, checkpointsBucket(scope, at, {}));
}

/**
 * After a failover: the replica buckets of `region`, and new buckets for keys and failed stream batches. The key ring
 * fills the bucket for keys from the replicated table.
 */
export function adoptBuckets(scope: Construct, stage: Stage, region: string): Buckets {
  const existing = (kind: string) => Bucket.fromBucketName(scope, kind, bucketName(stage, kind, region));
  return {
    data: existing('data'),
    keys: keysBucket(scope, { stage, region, logs: undefined }),
    checkpoints: existing('checkpoints'),
    failed: failedBucket(scope, { stage, region, logs: undefined }),
  };
}

/**
 * Replicates a bucket to every replica region within 15 minutes, without deletions. S3 Replication Time Control costs
 * $0.015 a GB and includes metrics.
 */
function replicationOf(scope: Construct, stage: Stage, kind: string): Partial<BucketProps> {
  if (stage.replicaRegions.length === 0) return {};
  const role = new Role(scope, `${kind}-copier`, {
    description: `Replicates the bucket ${kind} to other regions`,
    // AWS documents no condition keys for replication. With a wrong condition it would fail silently.
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
  const reason = 'Object names contain ids and hashes that are created at run time';
  const statements = [
    new PolicyStatement({ actions: ['s3:GetReplicationConfiguration', 's3:ListBucket'], resources: [arn()] }),
    withWildcard(
      new PolicyStatement({ actions: read.map((action) => `s3:${action}`), resources: [`${arn()}/*`] }),
      reason,
    ),
    withWildcard(
      new PolicyStatement({
        actions: ['s3:ReplicateObject', 's3:ReplicateTags'],
        resources: stage.replicaRegions.map((region) => `${arn(region)}/*`),
      }),
      reason,
    ),
  ];
  for (const statement of statements) role.addToPolicy(statement);
  registerWildcards(role, statements);
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

type Placement = { stage: Stage; region?: string; logs: Bucket | undefined };

/** Every bucket is encrypted, requires TLS, blocks public access and ACLs, and expires abandoned uploads. */
function privateBucket(
  scope: Construct,
  { stage, region, logs }: Placement,
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
      ? 'Stage test holds no user data, and late access logs would block its deletion'
      : 'It holds the access logs of the other buckets';
    acknowledge(bucket, { 'AwsSolutions-S1': why, CKV_AWS_18: why });
  }
  if (!props.versioned)
    acknowledge(bucket, { CKV_AWS_21: 'Only AWS writes to it, each object once, and objects expire within months' });
  return bucket;
}

function dataBucket(scope: Construct, at: Placement, replication: Partial<BucketProps>): Bucket {
  return privateBucket(scope, at, 'Data', {
    ...replication,
    versioned: true,
    // Free until a link uses it, see the stage option acceleratedLinks.
    transferAcceleration: true,
    lifecycleRules: [
      // No archive tiers: an object takes hours to come back from them, and a restore cannot wait.
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
      {
        // A run deletes its own working blobs. A crash may leave some, and no run takes this long.
        id: 'work',
        prefix: 'work/',
        expiration: Duration.days(60),
        noncurrentVersionExpiration: Duration.days(1),
      },
      // The product deletes by version id. For 30 days an operator can undo any other deletion or overwrite.
      { id: 'old-versions', noncurrentVersionExpiration: Duration.days(30), expiredObjectDeleteMarker: true },
    ],
  });
}

/**
 * Not replicated: S3 does not replicate the deletion of a version, so a replica would keep destroyed keys. A deletion
 * or overwrite by mistake can be undone for 30 days. The key ring deletes destroyed keys by version id.
 */
function keysBucket(scope: Construct, at: Placement): Bucket {
  return privateBucket(scope, at, 'Keys', {
    versioned: true,
    lifecycleRules: [
      { id: 'old-versions', noncurrentVersionExpiration: Duration.days(30), expiredObjectDeleteMarker: true },
    ],
  });
}

/**
 * Nobody can change or delete a checkpoint for a year, not even the owner of the AWS account. A year is enough, because
 * each checkpoint signs the whole log before it. Stage `test` has no lock, so that it can be deleted.
 */
function checkpointsBucket(scope: Construct, at: Placement, replication: Partial<BucketProps>): Bucket {
  return privateBucket(scope, at, 'Checkpoints', {
    ...replication,
    versioned: true,
    ...(at.stage.disposable ? {} : { objectLockDefaultRetention: ObjectLockRetention.compliance(Duration.days(365)) }),
  });
}

/** Batches that a stream reader failed on for six hours. S3 reports each to the default bus of the account. */
function failedBucket(scope: Construct, at: Placement): Bucket {
  const bucket = privateBucket(scope, at, 'Failed', {
    lifecycleRules: [{ id: 'handled', expiration: Duration.days(30) }],
  });
  // CDK's `eventBridgeEnabled` would add a Lambda function to set this one property.
  if (bucket.node.defaultChild instanceof CfnBucket) {
    bucket.node.defaultChild.notificationConfiguration = { eventBridgeConfiguration: { eventBridgeEnabled: true } };
  }
  return bucket;
}

/** S3 server access logs. Downloads by link put IP addresses of users in them, so they expire after 90 days. */
function logsBucket(scope: Construct, at: Placement): Bucket {
  return privateBucket(scope, at, 'Logs', { lifecycleRules: [{ id: 'forget', expiration: Duration.days(90) }] });
}
