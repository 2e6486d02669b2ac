/** Blobs in one versioned S3 bucket. */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  ListPartsCommand,
  type ListPartsCommandOutput,
  type ObjectIdentifier,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Problem } from '../../domain/errors.ts';
import { inParallel } from '../../domain/parallel.ts';
import type { Blobs, ByteRange } from '../../domain/ports.ts';
import { checkBlobKey } from '../limits.ts';
import { chunks } from './dynamo.ts';
import { pause } from './pauses.ts';

/** S3 takes 10,000 parts of 5 MiB to 5 GiB. This size allows streams of 156 GiB with at most 64 MiB in memory. */
const partBytes = 16 << 20;

export function awsBlobs(s3: () => S3Client, bucket: () => string): Blobs {
  return {
    async put(key, body, { ifAbsent = false } = {}) {
      checkBlobKey(key);
      // Tells a repeat after a lost answer that the stored blob is from its own first attempt.
      const putToken = randomUUID();
      const target = {
        Bucket: bucket(),
        Key: key,
        Metadata: { put: putToken },
        ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      };
      const storedOrExists = async () => {
        const head = await headOf(s3(), bucket(), key);
        return head && (head.Metadata?.put === putToken ? 'stored' : 'exists');
      };
      if (body instanceof Uint8Array)
        return unlessExists(() => s3().send(new PutObjectCommand({ ...target, Body: body })), storedOrExists, 20);
      // One attempt, because an iterable can be read only once.
      const upload = new Upload({
        client: s3(),
        params: { ...target, Body: Readable.from(body) },
        partSize: partBytes,
        queueSize: 3,
      });
      return unlessExists(() => upload.done(), storedOrExists, 1);
    },

    async get(key, range) {
      if (range?.length === 0) return (await sizeOf(s3(), bucket(), key)) === undefined ? undefined : new Uint8Array();
      try {
        return await readWhole(() =>
          s3().send(
            new GetObjectCommand({ Bucket: bucket(), Key: key, ...(range ? { Range: rangeHeader(range) } : {}) }),
          ),
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
          // 501: an S3-compatible server without versions.
          if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 501) return [{ Key: key }];
          throw error;
        });
        versions.push(...found);
      });
      await inParallel(4, chunks(versions, 1000), async (chunk) => {
        let Objects = chunk;
        for (let attempt = 1; Objects.length > 0; attempt++) {
          const { Errors = [] } = await s3().send(
            new DeleteObjectsCommand({ Bucket: bucket(), Delete: { Objects, Quiet: true } }),
          );
          if (Errors.length > 0 && attempt === deleteAttempts)
            throw new Error(`S3 did not delete ${Errors.length} blobs (${Errors[0]?.Code}). Try again.`);
          Objects = Errors.map(({ Key, VersionId }) => ({ Key, VersionId }));
          if (Objects.length > 0) await pause(attempt);
        }
      });
    },

    async startUpload(key) {
      checkBlobKey(key);
      const { UploadId } = await s3().send(new CreateMultipartUploadCommand({ Bucket: bucket(), Key: key }));
      if (!UploadId) throw new Error('S3 started an upload without an id. Try again.');
      return UploadId;
    },

    async putPart(key, UploadId, PartNumber, Body) {
      await s3().send(new UploadPartCommand({ Bucket: bucket(), Key: key, UploadId, PartNumber, Body }));
    },

    async completeUpload(key, UploadId, parts) {
      const target = { Bucket: bucket(), Key: key, UploadId };
      try {
        const Parts = (await partsOf(s3(), target)).slice(0, parts);
        if (Parts.length < parts || Parts.at(-1)?.PartNumber !== parts)
          throw new Error(`An upload has ${Parts.length} of its ${parts} parts. Put the others first.`);
        await s3().send(new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts } }));
      } catch (error) {
        // An earlier call completed the upload, or the answer to this one was lost.
        if (!isUploadOver(error) || (await sizeOf(s3(), bucket(), key)) === undefined) throw error;
      }
    },

    async abortUpload(key, UploadId) {
      try {
        await s3().send(new AbortMultipartUploadCommand({ Bucket: bucket(), Key: key, UploadId }));
      } catch (error) {
        if (!isUploadOver(error)) throw error;
      }
    },
  };
}

function isUploadOver(error: unknown): boolean {
  return error instanceof S3ServiceException && error.name === 'NoSuchUpload';
}

/** The parts of an open upload, in the order of their numbers. */
async function partsOf(
  s3: S3Client,
  target: { Bucket: string; Key: string; UploadId: string },
): Promise<{ PartNumber: number | undefined; ETag: string | undefined }[]> {
  const found: { PartNumber: number | undefined; ETag: string | undefined }[] = [];
  for (let PartNumberMarker: string | undefined = '0'; PartNumberMarker !== undefined; ) {
    const page: ListPartsCommandOutput = await s3.send(new ListPartsCommand({ ...target, PartNumberMarker }));
    for (const { PartNumber, ETag } of page.Parts ?? []) found.push({ PartNumber, ETag });
    PartNumberMarker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
  }
  return found;
}

const readAttempts = 6;
const deleteAttempts = 6;

/** Reads the body. The SDK repeats a request without an answer, but not one whose body breaks off in the middle. */
async function readWhole(request: () => Promise<GetObjectCommandOutput>): Promise<Uint8Array | undefined> {
  for (let attempt = 1; ; attempt++) {
    const { Body } = await request();
    try {
      return await Body?.transformToByteArray();
    } catch (error) {
      if (attempt === readAttempts) throw error;
      await pause(attempt);
    }
  }
}

/**
 * Writes a blob. In these cases the blob may exist, perhaps from this call's own lost attempt:
 * - 412: the blob exists.
 * - 409: a concurrent writer is writing it. The outcome shows a little later.
 * - 404 NoSuchUpload on a repeat: the first attempt completed the upload.
 *
 * Then `storedOrExists` decides. It returns undefined when there is no blob.
 */
async function unlessExists(
  write: () => Promise<unknown>,
  storedOrExists: () => Promise<'stored' | 'exists' | undefined>,
  attempts: number,
): Promise<'stored' | 'exists'> {
  for (let attempt = 1; ; attempt++) {
    try {
      await write();
      return 'stored';
    } catch (error) {
      if (!(error instanceof S3ServiceException)) throw error;
      const { httpStatusCode: status, attempts: requests = 1 } = error.$metadata;
      if (status === 412 && attempt === 1 && requests === 1) return 'exists';
      const isFinal = status === 412 || (error.name === 'NoSuchUpload' && requests > 1);
      if (!isFinal && status !== 409) throw error;
      if (!isFinal) await pause(attempt + 5);
      const outcome = await storedOrExists();
      if (outcome) return outcome;
      if (isFinal || attempt === attempts) throw error;
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

/** All versions and delete markers of exactly this key. */
async function versionsOf(s3: S3Client, bucket: string, key: string): Promise<ObjectIdentifier[]> {
  const found: ObjectIdentifier[] = [];
  let start: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
  while (start) {
    const page: ListObjectVersionsCommandOutput = await s3.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: key, ...start }),
    );
    const versions = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
    for (const { Key, VersionId } of versions) if (Key === key) found.push({ Key, VersionId });
    // S3 lists in key order, so the key itself comes before longer keys with the same prefix.
    const isPastKey = versions.some(({ Key }) => Key !== key);
    start =
      page.IsTruncated && !isPastKey
        ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
        : undefined;
  }
  return found;
}

function rangeHeader({ offset, length }: ByteRange): string {
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
