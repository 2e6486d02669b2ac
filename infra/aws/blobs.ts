/** Blobs in one versioned S3 bucket. */
import { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  type ObjectIdentifier,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Problem } from '../../domain/errors.ts';
import type { Blobs, ByteRange } from '../../domain/ports.ts';
import { checkBlobKey } from '../limits.ts';
import { chunks } from './dynamo.ts';
import { inParallel, pause } from './parallel.ts';

/** S3's parts are 5 MiB to 5 GiB and at most 10,000; this takes streams of 156 GiB with at most 64 MiB in memory. */
const partBytes = 16 << 20;

export function awsBlobs(s3: () => S3Client, bucket: () => string): Blobs {
  return {
    async put(key, body, { ifAbsent = false } = {}) {
      checkBlobKey(key);
      const target = { Bucket: bucket(), Key: key, ...(ifAbsent ? { IfNoneMatch: '*' } : {}) };
      const isThere = async () => (await sizeOf(s3(), bucket(), key)) !== undefined;
      if (body instanceof Uint8Array) return unlessThere(() => s3().send(new PutObjectCommand({ ...target, Body: body })), isThere, 20);
      // An iterable can be read only once.
      const upload = new Upload({ client: s3(), params: { ...target, Body: Readable.from(body) }, partSize: partBytes, queueSize: 3 });
      return unlessThere(() => upload.done(), isThere, 1);
    },

    async get(key, range) {
      if (range?.length === 0) return (await sizeOf(s3(), bucket(), key)) === undefined ? undefined : new Uint8Array();
      try {
        const answer = await s3().send(new GetObjectCommand({ Bucket: bucket(), Key: key, ...(range ? { Range: header(range) } : {}) }));
        return await answer.Body?.transformToByteArray();
      } catch (error) {
        if (isMissing(error)) return undefined;
        if (error instanceof S3ServiceException && error.name === 'InvalidRange') return new Uint8Array();
        throw error;
      }
    },

    size: (key) => sizeOf(s3(), bucket(), key),

    async list(prefix, { limit, cursor }) {
      const answer = await s3().send(
        new ListObjectsV2Command({
          Bucket: bucket(),
          Prefix: prefix,
          MaxKeys: Math.min(limit, 1000),
          ...(cursor === undefined ? {} : { StartAfter: keyOfCursor(cursor, prefix) }),
        }),
      );
      const items = (answer.Contents ?? []).map(({ Key = '', Size = 0 }) => ({ key: Key, size: Size }));
      const last = items.at(-1);
      return { items, next: answer.IsTruncated && last ? Buffer.from(last.key).toString('base64url') : null };
    },

    async delete(keys) {
      const versions: ObjectIdentifier[] = [];
      await inParallel(8, new Set(keys), async (key) => {
        const found = await versionsOf(s3(), bucket(), key).catch((error: unknown) => {
          // Some servers know no versions at all.
          if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 501) return [{ Key: key }];
          throw error;
        });
        versions.push(...found);
      });
      await inParallel(4, chunks(versions, 1000), async (Objects) => {
        const answer = await s3().send(new DeleteObjectsCommand({ Bucket: bucket(), Delete: { Objects, Quiet: true } }));
        const [failed] = answer.Errors ?? [];
        if (failed) throw new Error(`${answer.Errors?.length} blobs were not deleted: ${failed.Code}`);
      });
    },
  };
}

/** 412: it is there. 409: a rival is writing it at this moment, and whether it will be there shows a little later. */
async function unlessThere(write: () => Promise<unknown>, isThere: () => Promise<boolean>, attempts: number): Promise<'stored' | 'exists'> {
  for (let attempt = 1; ; attempt++) {
    try {
      await write();
      return 'stored';
    } catch (error) {
      const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
      if (status === 412) return 'exists';
      if (status !== 409) throw error;
      await pause(attempt + 5);
      if (await isThere()) return 'exists';
      if (attempt === attempts) throw error;
    }
  }
}

async function sizeOf(s3: S3Client, bucket: string, key: string): Promise<number | undefined> {
  try {
    return (await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))).ContentLength ?? 0;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** All versions and delete markers of exactly that key. */
async function versionsOf(s3: S3Client, bucket: string, key: string): Promise<ObjectIdentifier[]> {
  const found: ObjectIdentifier[] = [];
  let start: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
  while (start) {
    const page: ListObjectVersionsCommandOutput = await s3.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: key, ...start }));
    const all = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
    for (const { Key, VersionId } of all) if (Key === key) found.push({ Key, VersionId });
    // Keys come in order, and the key itself before all that begin with it.
    const past = all.some(({ Key }) => Key !== key);
    start = page.IsTruncated && !past ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker } : undefined;
  }
  return found;
}

function header({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${offset + length - 1}`;
}

function isMissing(error: unknown): boolean {
  return error instanceof S3ServiceException && (error.name === 'NoSuchKey' || error.name === 'NotFound');
}

function keyOfCursor(cursor: string, prefix: string): string {
  const key = Buffer.from(cursor, 'base64url').toString('utf8');
  if (!key.startsWith(prefix)) throw new Problem('invalid-cursor', 'Start the list again without a cursor.');
  return key;
}
