/** The deployed app, where it differs from self-hosted: its parts find each other, and their roles suffice. */
import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import type { AwsClients } from '../../../infra/aws/clients.ts';
import { awsRecords } from '../../../infra/aws/records.ts';
import { awsRows } from '../../../infra/aws/rows.ts';
import { ministackClients } from '../../emulator/aws-resources.ts';
import { deployedUrl } from '../../emulator/deployed.ts';

// Every byte value, because base64 or text conversion may damage some only.
const small = Buffer.from(Array.from({ length: 4096 }, (_, i) => i % 256));
const large = randomBytes(5 * 1024 * 1024);
const bucket = `source-${randomBytes(4).toString('hex')}`;

let url: string;
let clients: AwsClients;
let token: string;

beforeAll(async () => {
  clients = ministackClients();
  url = await deployedUrl();
  await clients.s3().send(new CreateBucketCommand({ Bucket: bucket }));
  for (const [Key, Body] of Object.entries({ 'a/small.bin': small, 'large.bin': large })) {
    await clients.s3().send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  }
  const person = { email: `${bucket}@example.com`, password: 'correct horse battery staple' };
  await call('POST', '/auth/register', { ...person, name: 'Ada' });
  token = (await call('POST', '/auth/login', person)).accessToken;
});
afterAll(() => clients.close());

type Answer = { [name: string]: never } & {
  accessToken: string;
  id: string;
  status: string;
  url: string;
  items: { [name: string]: never }[];
};

async function call(method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path} ${response.status} ${JSON.stringify(answer)}`);
  return answer as Answer;
}

const eventually = <T>(check: () => Promise<T>) => vi.waitFor(check, { timeout: 240_000, interval: 200 });

test('backs up a bucket through streams, bus and queues, and restores it byte for byte', async () => {
  const { endpoint } = inject('ministack');
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const source = await call('POST', '/sources', {
    type: 's3',
    name: 'Bucket',
    config: { bucket, endpoint },
    credentials,
  });
  const job = await call('POST', '/jobs', { name: 'Nightly', sourceId: source.id });
  const run = await call('POST', `/jobs/${job.id}/run`);
  await eventually(async () => expect(await call('GET', `/runs/${run.id}`)).toMatchObject({ status: 'succeeded' }));

  const files = await eventually(async () => {
    const { items } = await call('GET', `/data/files?sourceId=${source.id}&recursive=true`);
    expect(items.filter(({ kind }) => kind === 'file').map(({ path }) => path)).toEqual(['a/small.bin', 'large.bin']);
    return items;
  });
  for (const [path, bytes] of [
    ['a/small.bin', small],
    ['large.bin', large],
  ] as const) {
    const file = files.find((each) => each.path === path);
    const asked = await call('POST', '/data/download', { fileId: file?.id });
    // A large file is prepared first.
    const download = await eventually(async () => {
      const found = asked.url === undefined ? await call('GET', `/data/downloads/${asked.id}`) : asked;
      expect(found.url).toBeTypeOf('string');
      return found;
    });
    const response = await fetch(download.url);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-disposition')).toContain('attachment');
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
    const part = await fetch(download.url, { headers: { range: 'bytes=1000-1999' } });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(1000, 2000))).toBe(true);
  }
});

test('the relay numbers every commit in the ledger without gaps', async () => {
  await eventually(async () => {
    const { items } = await call('GET', '/activity?order=asc');
    const types = items.map(({ type }) => type);
    expect(types).toEqual(
      expect.arrayContaining(['account.opened.v1', 'run.requested.v1', 'restore-point.created.v1']),
    );
    const numbers = [...new Set(items.map(({ seq }) => Number(seq)))];
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
  });
});

test('maintenance rebuilds an outdated read model and deletes rows of retired generations', {
  timeout: 600_000,
}, async () => {
  const records = awsRecords(clients.documents, 'listbackup-test-', Date.now);
  const rows = awsRows(clients.documents, 'listbackup-test-');
  const key = { pk: 'generations', sk: 'sources' };
  const { items } = await call('GET', '/sources');
  expect(items).toHaveLength(1);
  const retiredRow = { table: 'sources', pk: 'g99~acc_1', sk: 'left' } as const;
  await rows.apply('test', `test/${bucket}`, 1, [{ op: 'put', ...retiredRow, data: {} }]);
  const first = { revision: 0, current: 1, last: 1, building: null };
  const outdated = await eventually(async () => {
    const before = (await records.get(key))?.data;
    const retired = [{ generation: 99, at: 0, step: 'rows', cursor: null }];
    const data = { ...first, ...before, revision: Number(before?.revision ?? 0) + 1, version: 0, retired };
    const condition = before ? { equals: { revision: before.revision ?? 0 } } : 'absent';
    expect(await records.write([{ op: 'put', ...key, data, if: condition }])).toBe(true);
    return data;
  });
  // The next maintenance call comes within a minute.
  const maintained = async () => {
    const retired = [{ generation: outdated.current }];
    expect((await records.get(key))?.data).toMatchObject({
      building: null,
      version: 1,
      current: Number(outdated.last) + 1,
      retired,
    });
  };
  await vi.waitFor(maintained, { timeout: 300_000, interval: 500 });
  expect(await rows.get(retiredRow)).toBeUndefined();
  expect((await call('GET', '/sources')).items).toEqual(items);
});

test('the documentation page and its script fit in a Lambda response', async () => {
  const page = await fetch(`${url}/docs/`);
  expect(page.headers.get('content-type')).toContain('text/html');
  const script = await fetch(`${url}/docs/js/scalar.js`);
  expect(script.status).toBe(200);
  const answer = JSON.stringify({ body: await script.text() });
  expect(Buffer.byteLength(answer)).toBeLessThan(6_000_000);
});
