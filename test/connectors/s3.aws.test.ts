/** The s3 connector against ministack, an independent implementation of S3. */
import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { inject } from 'vitest';
import { s3 } from '../../connectors/s3.ts';
import { awkwardKeys, wrongS3Settings } from './s3-cases.ts';
import { connectorSuite } from './suite.ts';

connectorSuite('s3 on ministack', async () => {
  const { endpoint, region, environment } = inject('ministack');
  const credentials = {
    accessKeyId: environment.AWS_ACCESS_KEY_ID ?? '',
    secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? '',
  };
  const client = new S3Client({ endpoint, region, credentials: { ...credentials }, forcePathStyle: true });
  const bucket = `source-${randomBytes(6).toString('hex')}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  return {
    connector: s3,
    config: { bucket, endpoint, region, prefix: 'below/' },
    credentials,
    context: { allowHosts: [new URL(endpoint).host] },
    put: async (key, content) =>
      void (await client.send(new PutObjectCommand({ Bucket: bucket, Key: `below/${key}`, Body: content }))),
    remove: async (key) => void (await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: `below/${key}` }))),
    missing: { bucket: `missing-${bucket}`, endpoint, region },
    wrong: wrongS3Settings({ endpoint, credentials }),
    awkward: awkwardKeys,
    dispose: async () => client.destroy(),
  };
});
