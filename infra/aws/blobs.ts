/** Blobs in one versioned S3 bucket. */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
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
      // By this we know our own again, when an answer was lost and the repeat meets what the first asking has put.
      const putToken = randomUUID();
      const target = {
        Bucket: bucket(),
        Key: key,
        Metadata: { put: putToken },
        ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      };
      const found = async () => {
        const head = await headOf(s3(), bucket(), key);
        return head && (head.Metadata?.put === putToken ? 'stored' : 'exists');
      };
      if (body instanceof Uint8Array)
        return unlessThere(() => s3().send(new PutObjectCommand({ ...target, Body: body })), found, 20);
      // An iterable can be read only once.
      const upload = new Upload({
        client: s3(),
        params: { ...target, Body: Readable.from(body) },
        partSize: partBytes,
        queueSize: 3,
      });
      return unlessThere(() => upload.done(), found, 1);
    },

    async get(key, range) {
      if (range?.length === 0) return (await sizeOf(s3(), bucket(), key)) === undefined ? undefined : new Uint8Array();
      try {
        return await whole(() =>
          s3().send(new GetObjectCommand({ Bucket: bucket(), Key: key, ...(range ? { Range: header(range) } : {}) })),
        );
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
      await inParallel(4, chunks(versions, 1000), async (all) => {
        let Objects = all;
        for (let attempt = 1; Objects.length > 0; attempt++) {
          const { Errors = [] } = await s3().send(
            new DeleteObjectsCommand({ Bucket: bucket(), Delete: { Objects, Quiet: true } }),
          );
          if (Errors.length > 0 && attempt === deleteAttempts)
            throw new Error(`${Errors.length} blobs were not deleted: ${Errors[0]?.Code}`);
          Objects = Errors.map(({ Key, VersionId }) => ({ Key, VersionId }));
          if (Objects.length > 0) await pause(attempt);
        }
      });
    },
  };
}

const readAttempts = 6;
const deleteAttempts = 6;

/** The answer's bytes. The SDK asks again for an answer that does not begin; one that breaks off in the middle is ours to ask for again. */
async function whole(ask: () => Promise<GetObjectCommandOutput>): Promise<Uint8Array | undefined> {
  for (let attempt = 1; ; attempt++) {
    const { Body } = await ask();
    try {
      return await Body?.transformToByteArray();
    } catch (error) {
      if (attempt === readAttempts) throw error;
      await pause(attempt);
    }
  }
}

/**
 * 412: it is there. 409: a rival is writing it at this moment, and whether it will be there shows a little later. 404: its parts have been
 * put together before. In each case what is there may be our own. `found`: which of the two it is, if it is there.
 */
async function unlessThere(
  write: () => Promise<unknown>,
  found: () => Promise<'stored' | 'exists' | undefined>,
  attempts: number,
): Promise<'stored' | 'exists'> {
  for (let attempt = 1; ; attempt++) {
    try {
      await write();
      return 'stored';
    } catch (error) {
      if (!(error instanceof S3ServiceException)) throw error;
      const { httpStatusCode: status, attempts: asked = 1 } = error.$metadata;
      if (status === 412 && attempt === 1 && asked === 1) return 'exists';
      const isDone = status === 412 || (error.name === 'NoSuchUpload' && asked > 1);
      if (!isDone && status !== 409) throw error;
      if (!isDone) await pause(attempt + 5);
      const outcome = await found();
      if (outcome) return outcome;
      if (isDone || attempt === attempts) throw error;
    }
  }
}

async function headOf(s3: S3Client, bucket: string, key: string): Promise<HeadObjectCommandOutput | undefined> {
  try {
    return await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function sizeOf(s3: S3Client, bucket: string, key: string): Promise<number | undefined> {
  const head = await headOf(s3, bucket, key);
  return head && (head.ContentLength ?? 0);
}

/** All versions and delete markers of exactly that key. */
async function versionsOf(s3: S3Client, bucket: string, key: string): Promise<ObjectIdentifier[]> {
  const found: ObjectIdentifier[] = [];
  let start: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
  while (start) {
    const page: ListObjectVersionsCommandOutput = await s3.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: key, ...start }),
    );
    const all = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
    for (const { Key, VersionId } of all) if (Key === key) found.push({ Key, VersionId });
    // Keys come in order, and the key itself before all that begin with it.
    const past = all.some(({ Key }) => Key !== key);
    start =
      page.IsTruncated && !past
        ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
        : undefined;
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
