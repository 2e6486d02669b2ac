/** Runs the `Blobs` contract suite on a bucket of ministack, as `LISTBACKUP_BLOBS` uses it. */
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, inject } from 'vitest';
import { type BucketBlobs, openBucket, parseBucket } from '../../../infra/embedded/bucket.ts';
import { blobPromises } from '../../contract/blobs.ts';
import { describeContract } from '../../support/contract.ts';

describe.each([{ versioned: true }, { versioned: false }])(
  'blobs in a bucket, versioned: $versioned',
  ({ versioned }) => {
    let opened: BucketBlobs;
    beforeAll(async () => {
      const { endpoint, region } = inject('ministack');
      const keys = { accessKeyId: 'test', secretAccessKey: 'test' };
      const s3 = new S3Client({ endpoint, region, forcePathStyle: true, credentials: keys });
      const Bucket = `embedded-blobs-${versioned}`;
      await s3.send(new CreateBucketCommand({ Bucket }));
      if (versioned)
        await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
      s3.destroy();
      const bucket = parseBucket({
        LISTBACKUP_BLOBS: `s3://${Bucket}/some/prefix`,
        AWS_ENDPOINT_URL: endpoint,
        AWS_REGION: region,
        AWS_ACCESS_KEY_ID: keys.accessKeyId,
        AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      });
      if (!bucket) throw new Error('no bucket');
      opened = await openBucket(bucket);
    });
    afterAll(() => opened.close());
    describeContract('blobs', blobPromises, () => opened.blobs);
  },
);
