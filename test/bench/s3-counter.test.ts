/** The counting S3 server works as a bucket, and counts requests as S3 bills them. */
import { S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type S3Counter, startS3Counter } from '../../bench/s3-counter.ts';
import type { Blobs } from '../../domain/ports.ts';
import { awsBlobs } from '../../infra/aws/blobs.ts';

let counter: S3Counter;
let blobs: Blobs;
let s3: S3Client;
beforeAll(async () => {
  counter = await startS3Counter();
  s3 = new S3Client({
    endpoint: counter.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  });
  blobs = awsBlobs(
    () => s3,
    () => 'bucket',
  );
});
afterAll(async () => {
  s3.destroy();
  await counter.close();
});

/** The requests of `work`. */
async function counted(work: () => Promise<unknown>) {
  const before = counter.count();
  await work();
  const after = counter.count();
  return [after.writes - before.writes, after.reads - before.reads, after.deletes - before.deletes];
}

it('stores objects, and returns them whole or in ranges', async () => {
  const bytes = Buffer.from('all that was put');
  expect(await counted(() => blobs.put('a/b & "c".bin', bytes))).toEqual([1, 0, 0]);
  expect(await counted(async () => expect(await blobs.get('a/b & "c".bin')).toEqual(new Uint8Array(bytes)))).toEqual([
    0, 1, 0,
  ]);
  expect(Buffer.from((await blobs.get('a/b & "c".bin', { offset: 4, length: 4 })) ?? []).toString()).toBe('that');
  expect(await blobs.get('a/b & "c".bin', { offset: 100, length: 4 })).toEqual(new Uint8Array());
  expect(await blobs.get('nothing')).toBeUndefined();
  expect(await blobs.put('a/b & "c".bin', Buffer.from('other'), { ifAbsent: true })).toBe('exists');
  expect(counter.bytes()).toBe(bytes.length);
});

it('counts the start, each part and the end of a multipart upload', async () => {
  const part = Buffer.alloc(16 << 20, 7);
  const parts = async function* () {
    yield part;
    yield part;
    yield Buffer.from('end');
  };
  expect(await counted(() => blobs.put('large', parts()))).toEqual([5, 0, 0]);
  expect(await blobs.size('large')).toBe(2 * part.length + 3);
  expect(Buffer.from((await blobs.get('large', { offset: 2 * part.length - 1, length: 4 })) ?? []).toString()).toBe(
    '\u0007end',
  );
});

it('lists page by page, and deletes', async () => {
  for (const key of ['list/1', 'list/2', 'list/3']) await blobs.put(key, Buffer.from(key));
  const first = await blobs.list('list/', { limit: 2 });
  expect(first.items.map(({ key }) => key)).toEqual(['list/1', 'list/2']);
  const second = await blobs.list('list/', { limit: 2, cursor: first.next ?? '' });
  expect(second).toEqual({ items: [{ key: 'list/3', size: 6 }], next: null });
  const [writes = 0, reads, deletes] = await counted(() => blobs.delete(['list/1', 'list/3']));
  expect([writes > 0, reads, deletes]).toEqual([true, 0, 1]);
  expect((await blobs.list('list/', { limit: 10 })).items.map(({ key }) => key)).toEqual(['list/2']);
});
