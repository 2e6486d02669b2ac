import { S3Client } from '@aws-sdk/client-s3';
import { common, type Environment } from './common.ts';

/** Waits long enough for a pack of 32 MiB on a slow line. */
export function s3Client(env: Environment, hurry?: number): S3Client {
  return new S3Client({ ...common(env, 120_000, 5, hurry), forcePathStyle: env.AWS_ENDPOINT_URL !== undefined });
}

/** Signs links for users, who may be far from the region, and sends nothing itself. */
export function linksClient(env: Environment, hurry?: number): S3Client {
  const elsewhere = env.AWS_ENDPOINT_URL !== undefined;
  const useAccelerateEndpoint = env.ACCELERATED_LINKS === 'true' && !elsewhere;
  return new S3Client({ ...common(env, 5000, 5, hurry), forcePathStyle: elsewhere, useAccelerateEndpoint });
}
