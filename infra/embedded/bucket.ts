/**
 * `LISTBACKUP_BLOBS=s3://bucket/prefix`: the blobs of an embedded home in a bucket, its database in the data folder. Credentials, region and endpoint
 * are those that every AWS tool takes from the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL_S3, a profile, a machine's role).
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Blobs } from '../../domain/ports.ts';
import { awsBlobs } from '../aws/blobs.ts';
import { patientRetries } from '../aws/retries.ts';
import { prefixed } from '../prefixed-blobs.ts';
import { blobFolder, holdsBlobs } from './blobs.ts';
import { codeOf, writeDurably } from './durable-file.ts';

/** `prefix` is empty, or ends in `/`. `environment`: where its credentials and address are. */
export type Bucket = { bucket: string; prefix: string; environment: Environment };
type Environment = { [name: string]: string | undefined };

/** Keys have 1,024 bytes, and ours up to some 200. */
const longestPrefix = 512;

/** Throws an Error that says what to correct. */
export function parseBucket(environment: Environment): Bucket | undefined {
  const text = environment.LISTBACKUP_BLOBS;
  if (!text) return undefined;
  // As the rules for names of buckets have it, and those of older ones and of other servers.
  const [, bucket, path = ''] = text.match(/^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:\/(.*))?$/s) ?? [];
  const names = path.split('/').filter((name) => name !== '');
  const prefix = names.map((name) => `${name}/`).join('');
  if (
    bucket === undefined ||
    names.some((name) => name === '.' || name === '..') ||
    Buffer.byteLength(prefix) > longestPrefix
  )
    throw new Error(`LISTBACKUP_BLOBS must be s3://bucket or s3://bucket/prefix, not ${text}.`);
  return { bucket, prefix, environment };
}

export type BucketBlobs = { blobs: Blobs; close(): void };

const attempts = 5;

/** Throws an Error in one line that says what to do, when the bucket cannot be reached or used. `hurry`: as in `patientRetries`, for tests. */
export async function openBucket({ bucket, prefix, environment: env }: Bucket, hurry = 1): Promise<BucketBlobs> {
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || undefined;
  if (endpoint !== undefined && !URL.canParse(endpoint))
    throw new Error(`AWS_ENDPOINT_URL_S3 must be a URL, not ${endpoint}.`);
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  const region = env.AWS_REGION || env.AWS_DEFAULT_REGION || (endpoint === undefined ? undefined : 'us-east-1');
  const s3 = new S3Client({
    ...(region ? { region } : {}),
    // A server of one's own has one address for all buckets, and may not know the newer checksums.
    ...(endpoint
      ? {
          endpoint,
          forcePathStyle: true,
          requestChecksumCalculation: 'WHEN_REQUIRED',
          responseChecksumValidation: 'WHEN_REQUIRED',
        }
      : { followRegionRedirects: true }),
    ...(accessKeyId && secretAccessKey
      ? { credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) } }
      : {}),
    maxAttempts: attempts,
    retryStrategy: patientRetries(attempts, hurry),
    requestHandler: new NodeHttpHandler({ connectionTimeout: 10_000, socketTimeout: 60_000 }),
  });
  try {
    await s3.send(new HeadBucketCommand({ Bucket: bucket }));
  } catch (error) {
    s3.destroy();
    throw new Error(whatToDo(error, bucket, endpoint), { cause: error });
  }
  return {
    blobs: prefixed(
      awsBlobs(
        () => s3,
        () => bucket,
      ),
      prefix,
    ),
    close: () => s3.destroy(),
  };
}

function whatToDo(error: unknown, bucket: string, endpoint: string | undefined): string {
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  if (/Credentials/.test(name))
    return 'LISTBACKUP_BLOBS needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.';
  if (/Region is missing/.test(message))
    return 'LISTBACKUP_BLOBS needs a region: set AWS_REGION to the one the bucket is in.';
  if (status === 404) return `There is no bucket ${bucket} (LISTBACKUP_BLOBS). Make it, or correct its name.`;
  if (status === 401 || status === 403)
    return `These credentials may not use the bucket ${bucket} (LISTBACKUP_BLOBS). Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they are allowed.`;
  if (status === 301 || status === 307 || status === 400)
    return `The bucket ${bucket} (LISTBACKUP_BLOBS) is not to be had in this way: check AWS_REGION and AWS_ENDPOINT_URL_S3.`;
  if (status !== undefined && status >= 500)
    return `The S3 server at ${endpoint ?? 'AWS'} answers, but only that it cannot (${status}). Start again in a while.`;
  return `No S3 server answers at ${endpoint ?? 'AWS'} (${codeOf(error) ?? name}). Check AWS_ENDPOINT_URL_S3 and the network.`;
}

/** In the data folder, beside the database: where its blobs are, when they are not there too. */
const markerFile = 'blobs-are-at';

/** Throws when the data folder's blobs are elsewhere than where they are now looked for: everything would seem to be lost. */
export async function requireSameBucket(data: string, location: Bucket | undefined): Promise<void> {
  const before = await readFile(join(data, markerFile), 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  const now = location && nameOf(location);
  if (before?.trim() === now) return;
  if (before !== undefined)
    throw new Error(
      `The blobs of ${data} are in a bucket: set LISTBACKUP_BLOBS=${before.trim()}, or take another folder (LISTBACKUP_DATA).`,
    );
  if (await holdsBlobs(blobFolder(data)))
    throw new Error(
      `The blobs of ${data} are in that folder: leave LISTBACKUP_BLOBS out, or take another folder (LISTBACKUP_DATA).`,
    );
}

/** From now on this data folder's blobs are there. */
export async function noteBucket(data: string, location: Bucket): Promise<void> {
  const file = join(data, markerFile);
  if (!existsSync(file)) await writeDurably(file, Buffer.from(`${nameOf(location)}\n`), { temporary: data });
}

export function nameOf({ bucket, prefix }: Bucket): string {
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix.slice(0, -1)}`}`;
}
