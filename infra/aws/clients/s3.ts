import { S3Client } from '@aws-sdk/client-s3';
import { common, type Environment } from './common.ts';

/** The timeout is long enough for a pack of 32 MiB on a slow connection. */
export function s3Client(env: Environment, pauseDivisor?: number): S3Client {
  return new S3Client({ ...common(env, 120_000, 5, pauseDivisor), forcePathStyle: env.AWS_ENDPOINT_URL !== undefined });
}

/** Only signs links. Users may be far from the region, so links can use S3 Transfer Acceleration. */
export function linksClient(env: Environment, pauseDivisor?: number): S3Client {
  const isCustomEndpoint = env.AWS_ENDPOINT_URL !== undefined;
  const useAccelerateEndpoint = env.ACCELERATED_LINKS === 'true' && !isCustomEndpoint;
  return new S3Client({
    ...common(env, 5000, 5, pauseDivisor),
    forcePathStyle: isCustomEndpoint,
    useAccelerateEndpoint,
  });
}
