import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { SourceSession } from '../../connectors/connector.ts';
import { openS3, s3 } from '../../connectors/s3.ts';
import { clientFor } from '../../connectors/s3-client.ts';
import { defaultLimits, type S3Limits } from '../../connectors/s3-limits.ts';
import type { SourceEntry } from '../../domain/entry.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { awkwardKeys, wrongS3Settings } from './s3-cases.ts';
import { connectorSuite, filesOf, problemOf, readWhole } from './suite.ts';

connectorSuite('s3', async () => {
  const server = await startS3Server();
  return {
    connector: s3,
    config: { bucket: server.bucket, endpoint: server.endpoint, prefix: 'below/' },
    credentials: server.credentials,
    context: { allowHosts: [server.host] },
    put: async (key, content) => server.put(`below/${key}`, content),
    remove: async (key) => void server.objects.delete(`below/${key}`),
    missing: { bucket: 'no-such-bucket', endpoint: server.endpoint },
    wrong: wrongS3Settings(server),
    awkward: awkwardKeys,
    dispose: () => server.close(),
  };
});

/** Milliseconds without data that even a busy test machine never reaches. */
const longIdleMs = 60_000;

describe('s3 connector', () => {
  let server: S3Server;
  let sessions: SourceSession[];
  let waits: number[];
  beforeEach(async () => {
    sessions = [];
    waits = [];
    server = await startS3Server();
  });
  afterEach(async () => {
    for (const session of sessions) await session.close();
    await server.close();
  });

  async function open(
    config: { [field: string]: unknown } = {},
    credentials = server.credentials,
    limits: Partial<S3Limits> = {},
  ): Promise<SourceSession> {
    const settings = { bucket: server.bucket, endpoint: server.endpoint, ...config };
    const session = await openS3(
      settings,
      credentials,
      { allowHosts: [server.host] },
      Object.assign(limits, {
        ...defaultLimits,
        idleMs: longIdleMs,
        pauseMs: 1,
        wait: async (ms: number) => waits.push(ms),
      }),
    );
    sessions.push(session);
    return session;
  }
  async function onlyFile(session: SourceSession): Promise<SourceEntry> {
    const [entry] = filesOf((await session.list(null, { limit: 1_000 })).items);
    if (entry === undefined) throw new Error('nothing is listed');
    return entry;
  }
  const firstPage = null;
  const gets = () => server.requests.filter((request) => request.method === 'GET' && request.key !== '');

  test('lists a key that ends in a slash as a folder if it is empty, else as a file', async () => {
    server.put('folder/', '');
    server.put('file/', 'content');
    const session = await open();
    const { items } = await session.list(firstPage, { limit: 10 });
    expect(items).toMatchObject([
      { type: 'entry', entry: { key: 'file/', kind: 'file', size: 7 } },
      { type: 'entry', entry: { key: 'folder/', kind: 'folder', size: 0 } },
    ]);
    expect((await readWhole(session, await onlyFile(session))).toString()).toBe('content');
  });

  test('omits an empty object named like the prefix, and skips one with content', async () => {
    server.put('p/', '');
    server.put('p/a', 'a');
    server.put('q', 'content');
    server.put('q/a', 'a');
    expect((await (await open({ prefix: 'p/' })).list(firstPage, { limit: 10 })).items).toMatchObject([
      { entry: { key: 'a' } },
    ]);
    const { items } = await (await open({ prefix: 'q' })).list(firstPage, { limit: 10 });
    expect(items).toMatchObject([{ type: 'skipped', refusal: { key: '' } }, { entry: { key: '/a' } }]);
    expect(await (await open({ prefix: 'p/' })).look({ key: '' })).toBeUndefined();
    expect(await (await open({ prefix: 'q' })).look({ key: '' })).toBeUndefined();
    const session = await open({ prefix: 'p/' });
    const first = await session.list(firstPage, { limit: 1 });
    expect(first.items).toEqual([]);
    expect((await session.list(first.page, { limit: 1 })).items).toMatchObject([{ entry: { key: 'a' } }]);
  });

  test('lists archived objects as failed, unless they are restored', async () => {
    server.put('cold', 'x', { storageClass: 'DEEP_ARCHIVE' });
    server.put('thawed', 'x', { storageClass: 'GLACIER', restored: true });
    server.put('warm', 'x', { storageClass: 'GLACIER_IR' });
    const { items } = await (await open()).list(firstPage, { limit: 10 });
    expect(items).toMatchObject([
      { type: 'failed', refusal: { key: 'cold', code: 'archived' } },
      { type: 'entry', entry: { key: 'thawed' } },
      { type: 'entry', entry: { key: 'warm' } },
    ]);
  });

  test('lists the entry of an archived object, and an archived folder as a folder', async () => {
    server.put('cold', 'x');
    const [warm] = (await (await open()).list(firstPage, { limit: 10 })).items;
    const object = server.objects.get('cold');
    if (object) server.objects.set('cold', { ...object, storageClass: 'GLACIER' });
    server.put('folder/', '', { storageClass: 'GLACIER' });
    const { items } = await (await open()).list(firstPage, { limit: 10 });
    expect(items).toMatchObject([
      { type: 'failed', refusal: { key: 'cold' }, entry: warm?.type === 'entry' ? warm.entry : undefined },
      { type: 'entry', entry: { key: 'folder/', kind: 'folder' } },
    ]);
  });

  test('reports an object archived after its listing as archived, not as forbidden', async () => {
    server.put('file', 'x');
    const session = await open();
    const entry = await onlyFile(session);
    server.put('file', 'x', { storageClass: 'GLACIER' });
    expect(await problemOf(readWhole(session, entry))).toMatchObject({ code: 'archived', retryable: false });
    expect(await problemOf(session.look({ key: 'file' }))).toMatchObject({ code: 'archived', retryable: false });
  });

  test('honours the pauses that the server asks for, then continues', async () => {
    server.put('file', 'content');
    const session = await open();
    let refusals = 2;
    server.misbehave = () =>
      refusals-- > 0
        ? { answer: { status: 503, code: 'SlowDown', headers: { 'retry-after': String(refusals + 2) } } }
        : undefined;
    expect((await readWhole(session, await onlyFile(session))).toString()).toBe('content');
    expect(waits).toEqual([3_000, 2_000]);
  });

  test('retries a throttling server without Retry-After more often, with pauses of a few seconds', async () => {
    server.put('file', 'content');
    const session = await open();
    const entry = await onlyFile(session);
    let refusals = 8;
    server.misbehave = () => (refusals-- > 0 ? { answer: { status: 503, code: 'SlowDown' } } : undefined);
    expect((await readWhole(session, entry)).toString()).toBe('content');
    expect(waits).toHaveLength(8);
    expect(Math.max(...waits)).toBeLessThanOrEqual(7_500);
    server.misbehave = () => ({ answer: { status: 503, code: 'SlowDown' } });
    expect(await problemOf(readWhole(session, entry))).toMatchObject({ code: 'throttled', retryable: true });
  });

  test('passes a long pause to the caller instead of waiting', async () => {
    server.misbehave = () => ({ answer: { status: 429, code: 'TooManyRequests', headers: { 'retry-after': '120' } } });
    const problem = await problemOf((await open()).list(firstPage, { limit: 10 }));
    expect(problem).toMatchObject({ code: 'throttled', retryable: true, retryAfterSeconds: 120 });
    expect(server.requests.length).toBe(1);
  });

  test('reports a server that fails every time as unreachable, after some tries', async () => {
    server.misbehave = () => ({ answer: { status: 500, code: 'InternalError' } });
    expect(await problemOf((await open()).check())).toMatchObject({ code: 'unreachable', retryable: true });
    expect(server.requests.length).toBe(4);
  });

  test.each([
    { fault: { cutAfter: 400_000 }, times: 3 },
    { fault: { stallAfter: 400_000 }, times: 2 },
  ])('continues a broken body where it stopped: $fault', async ({ fault, times }) => {
    const content = Buffer.alloc(1_500_000, 'pinned content');
    server.put('big', content);
    const limits: Partial<S3Limits> = {};
    const session = await open({}, server.credentials, limits);
    const entry = await onlyFile(session);
    server.misbehave = () => {
      const isBroken = gets().length <= times;
      // On a busy test machine, a short time also expires for other bodies.
      limits.idleMs = isBroken ? 100 : longIdleMs;
      return isBroken ? fault : undefined;
    };
    expect((await readWhole(session, entry)).equals(content)).toBe(true);
    const ranges = gets().map((request) => [
      request.headers.range,
      request.headers['if-match'] === server.objects.get('big')?.etag,
    ]);
    expect(ranges[0]).toEqual([undefined, true]);
    expect(ranges.length).toBe(times + 1);
    for (const [range, pinned] of ranges.slice(1))
      expect([String(range), pinned]).toEqual([expect.stringMatching(/^bytes=\d+-1499999$/), true]);
  });

  test('reports an object replaced after a break as changed, and never joins two revisions', async () => {
    server.put('big', Buffer.alloc(1_000_000, 'before'));
    const session = await open();
    const entry = await onlyFile(session);
    server.misbehave = () => {
      if (gets().length > 1) return undefined;
      queueMicrotask(() => server.put('big', Buffer.alloc(1_000_000, 'after!')));
      return { cutAfter: 300_000 };
    };
    expect(await problemOf(readWhole(session, entry))).toMatchObject({ code: 'changed', retryable: true });
  });

  test('rejects another revision from a server that ignores If-Match', async () => {
    server.put('file', 'one!');
    const session = await open();
    const entry = await onlyFile(session);
    server.misbehave = () => ({ unconditional: true });
    for (const other of ['two!', 'longer']) {
      server.put('file', other);
      expect((await problemOf(readWhole(session, entry))).code).toBe('changed');
      expect((await problemOf(readWhole(session, entry, { offset: 1, length: 2 }))).code).toBe('changed');
    }
  });

  test('distinguishes revisions by size and time if the server has no etags', async () => {
    server.put('file', 'one!');
    const stored = server.objects.get('file');
    const session = await open();
    for (const [other, age] of [
      ['longer', 0],
      ['two!', 5_000],
    ] as const) {
      if (stored) server.objects.set('file', { ...stored, etag: '' });
      const entry = await onlyFile(session);
      expect((await readWhole(session, entry)).toString()).toBe('one!');
      if (stored)
        server.objects.set('file', {
          ...stored,
          etag: '',
          body: Buffer.from(other),
          modified: new Date(stored.modified.getTime() + age),
        });
      expect((await problemOf(readWhole(session, entry))).code).toBe('changed');
    }
  });

  test('does not connect to an endpoint whose name resolves to a private address', async () => {
    const session = async (allowHosts: string[]) => {
      const endpoint = `http://rebound.example:${server.host.split(':')[1]}`;
      const opened = await openS3(
        { bucket: server.bucket, endpoint },
        server.credentials,
        { allowHosts },
        defaultLimits,
      );
      sessions.push(opened);
      return opened;
    };
    vi.spyOn(dns, 'lookup').mockImplementation(((
      _name: string,
      options: { all?: boolean },
      done: (...found: unknown[]) => void,
    ) => (options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4))) as never);
    syncBuiltinESMExports();
    try {
      expect(await problemOf((await session([])).check())).toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('LISTBACKUP_ALLOW_HOSTS'),
      });
      expect(server.requests).toEqual([]);
      await (await session(['rebound.example'])).check();
    } finally {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    }
  });

  test('fails a body that breaks off every time', async () => {
    server.put('big', Buffer.alloc(1_000_000, 'x'));
    const session = await open();
    const entry = await onlyFile(session);
    server.misbehave = () => ({ cutAfter: 10 });
    expect(await problemOf(readWhole(session, entry))).toMatchObject({ code: 'unreadable', retryable: true });
    expect(gets().length).toBe(5);
  });

  test('reports one failing object as unreadable, not the server as unreachable', async () => {
    for (const key of ['bad', 'good']) server.put(key, 'content');
    const session = await open();
    const { items } = await session.list(firstPage, { limit: 10 });
    const [bad, good] = items.flatMap((item) => (item.type === 'entry' ? [item.entry] : []));
    server.misbehave = ({ key }) => (key === 'bad' ? { answer: { status: 500, code: 'InternalError' } } : undefined);
    expect(await problemOf(readWhole(session, bad as SourceEntry))).toMatchObject({
      code: 'unreadable',
      retryable: true,
    });
    expect((await readWhole(session, good as SourceEntry)).toString()).toBe('content');
    server.misbehave = () => ({ answer: { status: 500, code: 'InternalError' } });
    expect(await problemOf(readWhole(session, bad as SourceEntry))).toMatchObject({
      code: 'unreachable',
      retryable: true,
    });
  });

  test.each(['<!doctype html><html><body>Welcome</body></html>', '<rss version="2.0"><channel/></rss>', ''])(
    'does not take another kind of server for an empty bucket: %s',
    async (body) => {
      server.misbehave = () => ({ raw: { status: 200, body } });
      const problem = await problemOf((await open()).list(firstPage, { limit: 10 }));
      expect(['unusable', 'unreachable']).toContain(problem.code);
      expect(['unusable', 'unreachable']).toContain((await problemOf((await open()).look({ key: 'file' }))).code);
    },
  );

  test('rejects a server that lists in another order, within a page and between pages', async () => {
    for (const key of ['a', 'B', 'c', 'D']) server.put(key, key);
    server.order = (a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : a.toLowerCase() > b.toLowerCase() ? 1 : 0);
    for (const limit of [1, 10]) {
      const session = await open();
      const listing = (async () => {
        let page: string | null = null;
        do page = (await session.list(page, { limit })).page;
        while (page !== null);
      })();
      expect(await problemOf(listing)).toMatchObject({ code: 'unusable', retryable: false });
    }
  });

  const pageOf = (...keys: string[]) =>
    `<ListBucketResult><IsTruncated>false</IsTruncated>${keys.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('')}`;

  test.each([
    ['more items than requested', 200, pageOf('a', 'b', 'c')],
    ['a key over 1,024 bytes', 200, pageOf('é'.repeat(513))],
    ['an ETag over 1,024 bytes', 200, pageOf('a').replace('</Key>', `</Key><ETag>${'e'.repeat(1025)}</ETag>`)],
    ['more bytes than any page has', 200, pageOf('/'.repeat(9e6))],
    ['more bytes than any error has', 403, `<Error><Code>AccessDenied</Code><Message>${' '.repeat(9e6)}`],
  ])('rejects %s', async (_what, status, start) => {
    const end = status === 200 ? '</ListBucketResult>' : '</Message></Error>';
    server.misbehave = () => ({ raw: { status, body: start + end } });
    const problem = await problemOf((await open()).list(firstPage, { limit: 2 }));
    expect(problem).toMatchObject({ code: 'unusable', message: expect.stringContaining('more than S3 allows') });
  });

  test('distinguishes wrong credentials from missing permission, and shows no secret', async () => {
    const wrongId = { accessKeyId: 'AKIDNOBODY', secretAccessKey: 'nobody-knows-this' };
    const wrongSecret = { ...server.credentials, secretAccessKey: 'nobody-knows-this' };
    for (const credentials of [wrongId, wrongSecret]) {
      const problem = await problemOf((await open({}, credentials)).check());
      expect(problem).toMatchObject({
        code: 'forbidden',
        retryable: false,
        message: expect.stringContaining('does not accept the access key'),
      });
      expect(JSON.stringify([problem, problem.message, problem.stack, problem.cause])).not.toContain(
        'nobody-knows-this',
      );
    }
    server.misbehave = () => ({ answer: { status: 403, code: 'AccessDenied' } });
    expect(await problemOf((await open()).check())).toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('s3:ListBucket'),
    });
  });

  test('names the region of a bucket in another region', async () => {
    server.misbehave = () => ({
      answer: { status: 301, code: 'PermanentRedirect', headers: { 'x-amz-bucket-region': 'eu-west-3' } },
    });
    expect(await problemOf((await open()).check())).toMatchObject({
      code: 'unusable',
      message: expect.stringContaining('eu-west-3'),
    });
  });

  test('uses nothing of our own environment for the source of a user', async () => {
    const trap = await startS3Server();
    const environment = {
      AWS_ENDPOINT_URL: trap.endpoint,
      AWS_ENDPOINT_URL_S3: trap.endpoint,
      AWS_REGION: 'trap-region-1',
      AWS_ACCESS_KEY_ID: 'TRAPKEY',
      AWS_SECRET_ACCESS_KEY: 'trap',
      AWS_SESSION_TOKEN: 'trap-token',
      AWS_USE_FIPS_ENDPOINT: 'true',
      AWS_USE_DUALSTACK_ENDPOINT: 'true',
    };
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    try {
      server.put('file', 'content');
      const session = await open({ region: 'eu-central-1' });
      await readWhole(session, await onlyFile(session));
      for (const { headers } of server.requests) {
        expect(headers.authorization).toContain(`Credential=${server.credentials.accessKeyId}/`);
        expect(headers.authorization).toContain('/eu-central-1/s3/');
        expect(headers['x-amz-security-token']).toBeUndefined();
      }
      const client = clientFor(
        { region: 'eu-central-1', endpoint: undefined, credentials: server.credentials, allowHosts: [] },
        defaultLimits,
      );
      const reached = new Promise<string>((resolve) => {
        client.middlewareStack.add(
          () => async (args) => {
            resolve((args.request as { hostname: string }).hostname);
            throw new Error('stop before the network');
          },
          { step: 'finalizeRequest', priority: 'low' },
        );
      });
      await client.send(new ListObjectsV2Command({ Bucket: 'some-bucket' })).catch(() => {});
      expect(await reached).toBe('some-bucket.s3.eu-central-1.amazonaws.com');
      client.destroy();
      expect(trap.requests).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
      await trap.close();
    }
  });
});
