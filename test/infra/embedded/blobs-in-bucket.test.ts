/** `LISTBACKUP_BLOBS`: a server with its blobs in a bucket. The S3 server counts requests (bench/s3-counter.ts). */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type S3Counter, startS3Counter } from '../../../bench/s3-counter.ts';
import type { Blobs } from '../../../domain/ports.ts';
import { openBlobs } from '../../../infra/embedded/blobs.ts';
import { openBucket, parseBucket } from '../../../infra/embedded/bucket.ts';
import { startServer } from '../../../infra/embedded/server.ts';
import { readSettings } from '../../../infra/embedded/settings.ts';
import { prefixed } from '../../../infra/prefixed-blobs.ts';
import { client, download, listFiles, newPerson, type Person, runJob } from '../../acceptance/client.ts';
import { blobPromises } from '../../contract/blobs.ts';
import { describeContract } from '../../support/contract.ts';
import { silent, temporaryFolder } from '../../support/embedded.ts';
import { startS3Server } from '../../support/s3-server.ts';

const aws = { AWS_ACCESS_KEY_ID: 'someone', AWS_SECRET_ACCESS_KEY: 'secret' };

describe('LISTBACKUP_BLOBS', () => {
  const parsed = (LISTBACKUP_BLOBS: string) => {
    const { bucket, prefix } = parseBucket({ LISTBACKUP_BLOBS }) ?? {};
    return [bucket, prefix];
  };
  it.each([
    ['s3://backups', ['backups', '']],
    ['s3://backups/', ['backups', '']],
    ['s3://my.backups-2/a', ['my.backups-2', 'a/']],
    ['s3://backups/a/b c/', ['backups', 'a/b c/']],
  ])('accepts %s', (text, expected) => expect(parsed(text)).toEqual(expected));

  const form = /^LISTBACKUP_BLOBS must be s3:\/\/bucket or s3:\/\/bucket\/prefix, not /;
  it.each([
    ['backups', form],
    ['https://backups', form],
    ['s3://', form],
    ['s3:///a', form],
    ['s3://b', /`b` is not a bucket name\. Bucket names have 3 to 63 lower-case letters, digits, dots and hyphens\.$/],
    ['s3://-a/b', /`-a` is not a bucket name/],
    ['s3://backups/../other', /^The prefix in LISTBACKUP_BLOBS has a part `\.` or `\.\.`\./],
    [`s3://backups/${'x'.repeat(600)}`, /^The prefix in LISTBACKUP_BLOBS is too long\./],
  ])('rejects %s', (text, message) => expect(() => parsed(text)).toThrow(message));

  it('is optional', () => {
    for (const LISTBACKUP_BLOBS of ['', undefined]) expect(parseBucket({ LISTBACKUP_BLOBS })).toBeUndefined();
  });
});

describe('opening a bucket', () => {
  let server: Awaited<ReturnType<typeof startS3Server>>;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server.close());
  const messageOf = (more: { [name: string]: string }) => {
    const environment = {
      ...aws,
      LISTBACKUP_BLOBS: `s3://${server.bucket}/a`,
      AWS_ENDPOINT_URL: server.endpoint,
      ...more,
    };
    const bucket = parseBucket(environment);
    if (!bucket) throw new Error('no bucket');
    return openBucket(bucket).then(
      ({ close }) => close(),
      (error: Error) => error.message,
    );
  };

  it('says in one line what to do if the bucket cannot be used', async () => {
    const { accessKeyId, secretAccessKey } = server.credentials;
    const right = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    expect(await messageOf(right)).toBeUndefined();
    expect(await messageOf({ ...right, LISTBACKUP_BLOBS: 's3://another' })).toMatch(
      /^Bucket another .*does not exist\. Create it/,
    );
    expect(await messageOf({ ...right, AWS_SECRET_ACCESS_KEY: 'wrong' })).toMatch(
      /do not allow access to bucket .*AWS_SECRET_ACCESS_KEY/,
    );
    expect(await messageOf({ ...right, AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9' })).toMatch(
      /^No S3 server answers at http:\/\/127\.0\.0\.1:9 \(ECONNREFUSED\)/,
    );
    server.misbehave = () => ({ answer: { status: 503, code: 'ServiceUnavailable' } });
    expect(await messageOf(right)).toMatch(/fails with status 503\. Start again in a few minutes/);
    server.misbehave = () => undefined;
    expect(await messageOf({ ...right, AWS_ENDPOINT_URL_S3: 'minio' })).toMatch(/must be a URL, not minio/);
  });
});

describe('blobs under a prefix', () => {
  let folder: string;
  let inner: Blobs;
  beforeAll(async () => {
    folder = await temporaryFolder();
    inner = await openBlobs(folder);
  });
  afterAll(() => rm(folder, { recursive: true }));
  describeContract('blobs', blobPromises, () => prefixed(inner, 'some/prefix/'));

  it('never touch keys outside of the prefix', async () => {
    const below = prefixed(inner, 'mine/');
    await inner.put('mine', Buffer.from('0'));
    await inner.put('mine2/a', Buffer.from('1'));
    await below.put('a', Buffer.from('2'));
    await below.delete(['2/a', 'b']);
    expect(await inner.size('mine2/a')).toBe(1);
    expect(await below.list('', { limit: 10 })).toEqual({ items: [{ key: 'a', size: 1 }], next: null });
  });
});

describe('a server with its blobs in a bucket', () => {
  let counter: S3Counter;
  let root: string;
  let data: string;
  let ada: Person;
  let jobId: string;
  let sourceId: string;
  let environment: { [name: string]: string };
  const files = new Map<string, Buffer>();
  const start = (more: { [name: string]: string | undefined } = {}) =>
    startServer(readSettings([], { ...environment, ...more }), silent);

  beforeAll(async () => {
    counter = await startS3Counter();
    root = await temporaryFolder();
    data = join(root, 'data');
    environment = {
      ...aws,
      PORT: '0',
      LISTBACKUP_DATA: data,
      LISTBACKUP_RATE_LIMIT: '0',
      LISTBACKUP_BLOBS: 's3://some-bucket/ours',
      AWS_ENDPOINT_URL: counter.endpoint,
    };
    await mkdir(join(root, 'source'));
    for (let i = 0; i < 2500; i++) files.set(`small ${i}`, Buffer.from(`${i} `.repeat(200)));
    for (let i = 0; i < 5; i++) files.set(`large ${i}`, randomBytes(3_000_000));
    for (const [name, content] of files) await writeFile(join(root, 'source', name), content);
  });
  afterAll(async () => {
    await counter.close();
    await rm(root, { recursive: true, force: true });
  });

  it('writes a few packs and manifests for thousands of files, and none to the data folder', async () => {
    const deployment = await start();
    ada = await newPerson(deployment.url);
    const config = { path: join(root, 'source') };
    sourceId = String(
      (await ada.api.expect(201, 'POST', '/sources', { body: { type: 'folder', name: 'x', config } })).id,
    );
    jobId = String((await ada.api.expect(201, 'POST', '/jobs', { body: { name: 'x', sourceId } })).id);
    expect(await runJob(ada.api, jobId)).toMatchObject({ status: 'succeeded', progress: { filesDone: files.size } });
    const { writes, reads } = counter.count();
    // 15 MB that do not compress fill one or two packs. A slow test machine closes packs early, which adds some.
    // The manifest and the reads of the projections come on top. So do four new keys, with four requests each.
    expect(writes + reads).toBeLessThan(36);
    expect(counter.bytes()).toBeGreaterThan(15_000_000);
    await deployment.close();
    expect(await readdir(data)).not.toContain('blobs');
  });

  it('reads its blobs after a restart', async () => {
    const deployment = await start();
    const api = client(deployment.url, ada.token);
    const found = await listFiles(api, `sourceId=${sourceId}&recursive=true`);
    expect(found.length).toBe(files.size);
    for (const name of ['small 7', 'large 3']) {
      const file = found.find(({ path }) => path === name);
      expect((await download(api, file?.id ?? '')).bytes.equals(files.get(name) ?? Buffer.alloc(0))).toBe(true);
    }
    const [before, bytes] = [counter.count(), counter.bytes()];
    expect(await runJob(api, jobId)).toMatchObject({ status: 'succeeded', progress: { filesUnchanged: files.size } });
    // The run lists packs and metadata packs, to find lost ones. S3 prices a listing as a write.
    expect(counter.count().writes).toBe(before.writes + 2);
    expect(counter.bytes()).toBe(bytes);
    await deployment.close();
  });

  it('refuses to start if its blobs are in another location', async () => {
    await expect(start({ LISTBACKUP_BLOBS: undefined })).rejects.toThrow(
      /are in a bucket\. Set LISTBACKUP_BLOBS=s3:\/\/some-bucket\/ours/,
    );
    await expect(start({ LISTBACKUP_BLOBS: 's3://some-bucket/theirs' })).rejects.toThrow(/are in a bucket/);
    const other = join(root, 'other');
    const deployment = await start({ LISTBACKUP_BLOBS: undefined, LISTBACKUP_DATA: other });
    await deployment.embedded.platform.blobs.put('packs/x', new Uint8Array(1));
    await deployment.close();
    await expect(start({ LISTBACKUP_DATA: other })).rejects.toThrow(/are in that folder\. Unset LISTBACKUP_BLOBS/);
  });
});
