/**
 * `LISTBACKUP_BLOBS=s3://bucket/prefix`: stores the blobs in a bucket. The database stays in the data folder.
 * Credentials, region and endpoint come from the standard AWS variables (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION,
 * AWS_ENDPOINT_URL_S3) or from the role of the computer.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Blobs } from '../../domain/ports.ts';
import { awsBlobs } from '../aws/blobs.ts';
import { retriesWithoutBudget } from '../aws/retries.ts';
import { prefixed } from '../prefixed-blobs.ts';
import { blobFolder, holdsBlobs } from './blobs.ts';
import { codeOf, writeDurably } from './durable-file.ts';

/** `prefix` is empty or ends in `/`. `environment` holds the credentials and the address. */
export type Bucket = { bucket: string; prefix: string; environment: Environment };
type Environment = { [name: string]: string | undefined };

/** Bytes. An S3 key has at most 1,024, and blob keys of ListBackup have up to about 200. */
const longestPrefix = 512;

/** Reads `LISTBACKUP_BLOBS`. Returns undefined if it is not set. The Error for a wrong value says how to correct it. */
export function parseBucket(environment: Environment): Bucket | undefined {
  const text = environment.LISTBACKUP_BLOBS;
  if (!text) return undefined;
  const [, bucket, path = ''] = text.match(/^s3:\/\/([^/]+)(?:\/(.*))?$/s) ?? [];
  if (bucket === undefined) throw new Error(`LISTBACKUP_BLOBS must be s3://bucket or s3://bucket/prefix, not ${text}.`);
  // Also accepts longer names, capitals and underscores, which old buckets and other S3 servers have.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{2,254}$/.test(bucket))
    throw new Error(
      `LISTBACKUP_BLOBS: \`${bucket}\` is not a bucket name. ` +
        'Bucket names have 3 to 63 lower-case letters, digits, dots and hyphens.',
    );
  const names = path.split('/').filter((name) => name !== '');
  const prefix = names.map((name) => `${name}/`).join('');
  if (names.some((name) => name === '.' || name === '..'))
    throw new Error('The prefix in LISTBACKUP_BLOBS has a part `.` or `..`. Choose a prefix without it.');
  if (Buffer.byteLength(prefix) > longestPrefix)
    throw new Error(`The prefix in LISTBACKUP_BLOBS is too long. Choose one of at most ${longestPrefix} bytes.`);
  return { bucket, prefix, environment };
}

export type BucketBlobs = { blobs: Blobs; close(): void };

const attempts = 5;

/**
 * Opens a bucket. If the bucket cannot be used, the Error says in one line what to do.
 * `pauseDivisor` divides the pauses between retries, see `retriesWithoutBudget`. Tests set it.
 */
export async function openBucket({ bucket, prefix, environment: env }: Bucket, pauseDivisor = 1): Promise<BucketBlobs> {
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
    // Other S3 servers often have one address for all buckets and do not know the newer checksums.
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
    retryStrategy: retriesWithoutBudget(attempts, pauseDivisor),
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
    return 'LISTBACKUP_BLOBS needs credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.';
  if (/Region is missing/.test(message))
    return 'LISTBACKUP_BLOBS needs a region. Set AWS_REGION to the region of the bucket.';
  if (status === 404) return `Bucket ${bucket} (LISTBACKUP_BLOBS) does not exist. Create it, or correct its name.`;
  if (status === 401 || status === 403)
    return (
      `The credentials do not allow access to bucket ${bucket} (LISTBACKUP_BLOBS). ` +
      'Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the permissions of the key.'
    );
  if (status === 301 || status === 307 || status === 400)
    return (
      `The S3 server rejected the request for bucket ${bucket} (LISTBACKUP_BLOBS, status ${status}). ` +
      'Check AWS_REGION and AWS_ENDPOINT_URL_S3.'
    );
  if (status !== undefined && status >= 500)
    return `The S3 server at ${endpoint ?? 'AWS'} fails with status ${status}. Start again in a few minutes.`;
  return `No S3 server answers at ${endpoint ?? 'AWS'} (${codeOf(error) ?? name}). Check AWS_ENDPOINT_URL_S3 and the network.`;
}

/** File in the data folder that names the bucket of its blobs. Absent if the blobs are in the data folder. */
export const markerFile = 'blobs-are-at';

/** Throws if the blobs of the data folder are not at `location`. Without this check every backup would seem lost. */
export async function requireSameBucket(data: string, location: Bucket | undefined): Promise<void> {
  const recorded = await readFile(join(data, markerFile), 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (recorded?.trim() === (location && nameOf(location))) return;
  if (recorded !== undefined)
    throw new Error(
      `The blobs of ${data} are in a bucket. ` +
        `Set LISTBACKUP_BLOBS=${recorded.trim()}, or use another folder (LISTBACKUP_DATA).`,
    );
  if (await holdsBlobs(blobFolder(data)))
    throw new Error(
      `The blobs of ${data} are in that folder. Unset LISTBACKUP_BLOBS, or use another folder (LISTBACKUP_DATA).`,
    );
}

/** Records the bucket in the data folder, for `requireSameBucket`. */
export async function noteBucket(data: string, location: Bucket): Promise<void> {
  const file = join(data, markerFile);
  if (!existsSync(file)) await writeDurably(file, Buffer.from(`${nameOf(location)}\n`), { temporary: data });
}

/** Returns the bucket as `LISTBACKUP_BLOBS` has it: `s3://bucket/prefix`. */
export function nameOf({ bucket, prefix }: Bucket): string {
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix.slice(0, -1)}`}`;
}
