/** The buckets of a stage: what users have backed up, the signed checkpoints of the activity, what streams gave up on, and who read the data. */
import { Duration } from 'aws-cdk-lib';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type BucketProps,
  CfnBucket,
  ObjectLockRetention,
  ObjectOwnership,
  StorageClass,
} from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { bucketName, keepData, type Stage } from './stage.ts';

export type Buckets = { data: Bucket; checkpoints: Bucket; failed: Bucket };

export function makeBuckets(scope: Construct, stage: Stage): Buckets {
  const logs = stage.disposable ? undefined : logsBucket(scope, stage);
  return {
    data: dataBucket(scope, stage, logs),
    checkpoints: checkpointsBucket(scope, stage, logs),
    failed: failedBucket(scope, stage, logs),
  };
}

/** What every bucket has: encryption, TLS, no public access, no access lists, and the end of uploads that nobody ends. */
function closedBucket(
  scope: Construct,
  stage: Stage,
  id: string,
  { logs, lifecycleRules = [], ...props }: Partial<BucketProps> & { logs: Bucket | undefined },
): Bucket {
  const bucket = new Bucket(scope, id, {
    bucketName: bucketName(stage, id.toLowerCase()),
    encryption: BucketEncryption.S3_MANAGED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    removalPolicy: keepData(stage),
    lifecycleRules: [{ id: 'abandoned-uploads', abortIncompleteMultipartUploadAfter: Duration.days(2) }, ...lifecycleRules],
    ...(logs ? { serverAccessLogsBucket: logs, serverAccessLogsPrefix: `${id.toLowerCase()}/` } : {}),
    ...props,
  });
  if (!logs) {
    const why = stage.disposable
      ? 'Stage test holds nothing worth reading, and logs that come late would keep it from being removed'
      : 'It holds the logs of the others';
    acknowledge(bucket, { 'AwsSolutions-S1': why, CKV_AWS_18: why });
  }
  return bucket;
}

function dataBucket(scope: Construct, stage: Stage, logs: Bucket | undefined): Bucket {
  return closedBucket(scope, stage, 'Data', {
    versioned: true,
    // Costs nothing until a link uses it: the stage option acceleratedLinks.
    transferAcceleration: true,
    logs,
    lifecycleRules: [
      // Without the two archive tiers: what rests there can only be read hours after it was asked for, and a restore has no hours.
      { id: 'tier', transitions: [{ storageClass: StorageClass.INTELLIGENT_TIERING, transitionAfter: Duration.days(0) }] },
      { id: 'exports', prefix: 'exports/', expiration: Duration.days(1), noncurrentVersionExpiration: Duration.days(1) },
      // The product deletes by version id; this is for what was deleted or overwritten by any other hand, which can be undone so long.
      { id: 'old-versions', noncurrentVersionExpiration: Duration.days(30), expiredObjectDeleteMarker: true },
    ],
  });
}

/**
 * Nobody, the account's owner included, can change or delete a checkpoint for a year. That is long enough: each one signs for all of the
 * log before it, so a younger one proves what an older one did. Stage `test` has no lock, or it could not be removed.
 */
function checkpointsBucket(scope: Construct, stage: Stage, logs: Bucket | undefined): Bucket {
  return closedBucket(scope, stage, 'Checkpoints', {
    versioned: true,
    ...(stage.disposable ? {} : { objectLockDefaultRetention: ObjectLockRetention.compliance(Duration.days(365)) }),
    logs,
  });
}

/** Batches that a reader of the activity stream gave up on, whole: the stream itself forgets them within a day. The account's own bus tells of each. */
function failedBucket(scope: Construct, stage: Stage, logs: Bucket | undefined): Bucket {
  const bucket = closedBucket(scope, stage, 'Failed', { logs, lifecycleRules: [{ id: 'handled', expiration: Duration.days(30) }] });
  // The construct would have a function made for this one line.
  if (bucket.node.defaultChild instanceof CfnBucket) {
    bucket.node.defaultChild.notificationConfiguration = { eventBridgeConfiguration: { eventBridgeEnabled: true } };
  }
  return bucket;
}

/** Who read or wrote what, as S3 tells it. There are addresses of users in it (downloads by link), so it is kept no longer than an inquiry takes. */
function logsBucket(scope: Construct, stage: Stage): Bucket {
  return closedBucket(scope, stage, 'Logs', { logs: undefined, lifecycleRules: [{ id: 'forget', expiration: Duration.days(90) }] });
}
