import { hash, randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readActivity } from '../../../activity/feed.ts';
import type { AppOptions } from '../../../api/app.ts';
import { data } from '../../../api/routes/data.ts';
import { dataDownload } from '../../../api/routes/data-download.ts';
import { downloads } from '../../../api/routes/downloads.ts';
import type { Platform } from '../../../domain/ports.ts';
import { free } from '../../../processors/meter.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { removeExpiredExports } from '../../../vault/exports.ts';
import { appOver, as, bob, testApi } from '../../support/api.ts';
import { makeBackupChain, type Things } from '../../support/backups.ts';
import { unzip } from '../../support/unzip.ts';

const account = 'acc_ada';

async function apiWithBackup(things: Things, options: Partial<AppOptions> = {}) {
  const { app, platform } = await testApi({ routes: [data, dataDownload, downloads], ...options });
  const backupChain = makeBackupChain(platform, account);
  await backupChain.backUp(things);
  const ada = await as({ app, platform });
  const eve = await as({ app, platform }, bob);
  const post = (url: string, payload: object, who = ada, headers = {}) =>
    who({ method: 'POST', url, payload, headers });
  const files = async () =>
    (await ada({ url: '/data/files?recursive=true' })).json().items as { id: string; path: string }[];
  const idOf = async (path: string) => (await files()).find((file) => file.path === path)?.id ?? '';
  const bytes = (url: string, headers = {}) => app.inject({ url: new URL(url).pathname, headers });
  const prepare = async (id: string) => {
    const body = { type: 'download.requested.v1', stream: `${account}/download/${id}`, version: 1, index: 0 };
    const plainExports = options.exports !== undefined;
    const deployment = { platform, connectors: () => ({ allowHosts: [] }), prices: free, plainExports };
    await handleMessage(deployment, body, { deadline: Number.POSITIVE_INFINITY });
  };
  return { app, platform, backupChain, ada, eve, post, idOf, bytes, prepare };
}

describe('GET /data/files/{id}/versions', () => {
  it('lists versions newest first in pages, and hides them from other accounts', async () => {
    const { ada, eve, backupChain, idOf } = await apiWithBackup({ a: 'one' });
    const id = await idOf('a');
    for (const content of ['two', undefined, 'four']) await backupChain.backUp({ a: content });
    const first = (await ada({ url: `/data/files/${id}/versions?limit=3` })).json();
    expect(
      first.items.map(({ version, deleted, sha256 }: { version: number; deleted: boolean; sha256: string | null }) => [
        version,
        deleted,
        sha256 === null,
      ]),
    ).toEqual([
      [4, false, false],
      [3, true, true],
      [2, false, false],
    ]);
    const second = (await ada({ url: `/data/files/${id}/versions?limit=3&cursor=${first.next}` })).json();
    expect(second).toMatchObject({ items: [{ version: 1, deleted: false, size: 3 }], next: null });
    expect((await eve({ url: `/data/files/${id}/versions` })).statusCode).toBe(404);
    expect((await ada({ url: '/data/files/file_nope/versions' })).statusCode).toBe(404);
    const other = await ada({ url: `/data/files/${id}a/versions?cursor=${first.next}` });
    expect(other.json().code).toBe('invalid-cursor');
  });
});

it('rejects a time whose year in UTC does not have four digits', async () => {
  const { ada } = await apiWithBackup({ a: 'one' });
  const asOf = async (time: string) => {
    const answer = await ada({ url: `/data/files?recursive=true&asOf=${encodeURIComponent(time)}` });
    return answer.json().items?.length ?? answer.json().errors[0].path;
  };
  expect(await asOf('9999-12-31T23:59:59Z')).toBe(1);
  expect(await asOf('9999-12-31T23:59:59-01:00')).toBe('asOf');
  expect(await asOf('0000-01-01T00:00:00Z')).toBe(0);
  expect(await asOf('0000-01-01T00:00:00+01:00')).toBe('asOf');
});

describe('POST /data/search', () => {
  it('searches by words and filters, pages by the query, and rejects unknown fields', async () => {
    const { post, eve } = await apiWithBackup({ 'docs/Été.pdf': 'x', 'docs/b.pdf': 'xx', 'docs/c.txt': 'xxx' });
    const found = await post('/data/search', { query: 'ete' });
    expect(found.statusCode).toBe(200);
    expect(found.json()).toMatchObject({
      items: [{ path: 'docs/Été.pdf', kind: 'file', size: 1, versions: 1 }],
      next: null,
    });
    const repeated = await post('/data/search', { query: 'e '.repeat(500) });
    expect(repeated.json().items).toMatchObject([{ path: 'docs/Été.pdf' }]);
    const query = { query: '', types: ['pdf'], minSize: 1, modifiedAfter: '2026-01-01T00:00:00+01:00' };
    const first = (await post('/data/search?limit=1', query)).json();
    expect(first.items).toMatchObject([{ path: 'docs/b.pdf' }]);
    const second = (await post(`/data/search?limit=1&cursor=${first.next}`, query)).json();
    expect(second.items).toMatchObject([{ path: 'docs/Été.pdf' }]);
    const otherFilter = await post(`/data/search?limit=1&cursor=${first.next}`, { ...query, minSize: 2 });
    expect(otherFilter.json()).toMatchObject({ status: 400, code: 'invalid-cursor' });
    expect((await post('/data/search', { query: '' }, eve)).json()).toEqual({ items: [], next: null });
    for (const [payload, path] of [
      [{}, 'query'],
      [{ query: Array.from('abcdefghijklmnopqrstu').join(' ') }, 'query'],
      [{ query: 'x', limit: 5 }, 'limit'],
      [{ query: 'x', types: [] }, 'types'],
      [{ query: 'x', types: 'pdf' }, 'types'],
      [{ query: 'x', minSize: '5' }, 'minSize'],
      [{ query: 'x', maxSize: -1 }, 'maxSize'],
      [{ query: 'x', modifiedAfter: 'yesterday' }, 'modifiedAfter'],
      [{ query: 'x', sourceId: 'src_x' }, 'sourceId'],
    ] as const) {
      expect((await post('/data/search', payload)).json()).toMatchObject({
        status: 400,
        errors: expect.arrayContaining([expect.objectContaining({ path })]),
      });
    }
    expect((await post('/data/search?limit=0', { query: '' })).statusCode).toBe(400);
  });
});

describe('POST /data/download of a file', () => {
  it('downloads any version with content, also of a deleted file', async () => {
    const { post, idOf, backupChain, bytes, eve } = await apiWithBackup({ a: 'one' });
    const fileId = await idOf('a');
    await backupChain.backUp({ a: 'second' });
    await backupChain.backUp({ a: undefined });
    const get = async (body: object) => {
      const answer = await post('/data/download', body);
      expect(answer.statusCode).toBe(200);
      expect(answer.json()).toMatchObject({
        size: expect.any(Number),
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        expiresAt: expect.any(String),
      });
      return (await bytes(answer.json().url)).body;
    };
    expect(await get({ fileId })).toBe('second');
    expect(await get({ fileId, version: 1 })).toBe('one');
    expect(await get({ fileId, version: 2 })).toBe('second');
    for (const version of [3, 4]) {
      const answer = await post('/data/download', { fileId, version });
      expect(answer.json()).toMatchObject({
        status: 404,
        code: 'not-found',
        detail: expect.stringContaining('/versions'),
      });
    }
    expect((await post('/data/download', { fileId, version: 0 })).json()).toMatchObject({
      status: 400,
      errors: [{ path: 'version' }],
    });
    expect((await post('/data/download', { fileId }, eve)).statusCode).toBe(404);
    expect((await post('/data/download', { fileId, more: 1 })).json()).toMatchObject({
      status: 400,
      errors: [{ path: 'more' }],
    });
    expect((await post('/data/download', {})).statusCode).toBe(400);
  });

  it('records the download before the answer, once for repeats, with the path encrypted', async () => {
    const { post, idOf, platform } = await apiWithBackup({ 'secret plan': 'x' });
    const fileId = await idOf('secret plan');
    const headers = { 'idempotency-key': 'once' };
    const answers = [
      await post('/data/download', { fileId }, undefined, headers),
      await post('/data/download', { fileId }, undefined, headers),
    ];
    for (const answer of answers) expect(answer.statusCode).toBe(200);
    expect(answers[0]?.headers['consistency-token']).toBeDefined();
    const { items } = await readActivity(platform, account, { type: 'download.granted', order: 'asc' }, { limit: 10 });
    expect(items).toMatchObject([
      {
        type: 'download.granted.v1',
        actor: { type: 'user', id: 'usr_ada' },
        data: { version: 1, path: 'secret plan', userId: 'usr_ada' },
      },
    ]);
    const [commit] = await platform.events.load(items[0]?.stream ?? '');
    expect(commit && 'bytes' in commit.body && Buffer.from(commit.body.bytes).toString()).not.toContain('secret');
  });
});

it('ignores ranges of an empty file, and names the size of the file in every 416', async () => {
  const { post, idOf, bytes } = await apiWithBackup({ empty: '', a: 'some content' });
  const urlOf = async (path: string) => (await post('/data/download', { fileId: await idOf(path) })).json().url;
  const empty = await urlOf('empty');
  for (const range of ['bytes=0-', 'bytes=0-9', 'bytes=-5', 'bytes=5-']) {
    const answer = await bytes(empty, { range });
    expect([range, answer.statusCode, answer.headers['content-length'], answer.body]).toEqual([range, 200, '0', '']);
  }
  const url = await urlOf('a');
  for (const range of [
    'bytes=12-',
    'bytes=12-20',
    'bytes=-0',
    'bytes=99-',
    'bytes=12-,13-',
    `bytes=${'9'.repeat(400)}-`,
  ]) {
    const answer = await bytes(url, { range });
    expect([range, answer.statusCode, answer.headers['content-range']]).toEqual([range, 416, 'bytes */12']);
    expect(answer.json()).toMatchObject({ code: 'range-not-satisfiable', size: 12 });
  }
  for (const [range, content, contentRange] of [
    ['bytes=0-', 'some content', 'bytes 0-11/12'],
    ['bytes=5-8', 'cont', 'bytes 5-8/12'],
    ['bytes=5-99', 'content', 'bytes 5-11/12'],
    ['bytes=-99', 'some content', 'bytes 0-11/12'],
    ['BYTES=-3', 'ent', 'bytes 9-11/12'],
    ['bytes=99-,0-3', 'some', 'bytes 0-3/12'],
  ] as const) {
    const answer = await bytes(url, { range });
    expect([range, answer.statusCode, answer.body, answer.headers['content-range']]).toEqual([
      range,
      206,
      content,
      contentRange,
    ]);
  }
  for (const range of ['bytes=x', 'lines=0-1', 'bytes=5-2', 'bytes=0-1,3-4', 'bytes=', 'bytes=0-1,x'])
    expect([range, (await bytes(url, { range })).statusCode]).toEqual([range, 200]);
});

it('answers HEAD of a download with its size, without reading blobs', async () => {
  const { app, post, idOf, bytes, platform } = await apiWithBackup({ a: 'some content' });
  const { url } = (await post('/data/download', { fileId: await idOf('a') })).json();
  const read: string[] = [];
  const { get } = platform.blobs;
  platform.blobs.get = (key, range) => {
    read.push(key.split('/')[0] ?? '');
    return get(key, range);
  };
  const head = await app.inject({ method: 'HEAD', url: new URL(url).pathname });
  await turn();
  expect([head.statusCode, head.headers['content-length'], head.body, read]).toEqual([200, '12', '', []]);
  expect((await bytes(url)).body).toBe('some content');
  expect(read).not.toEqual([]);
});

it('rejects an Idempotency-Key of another download, and still accepts it for the first one', async () => {
  const { post, idOf } = await apiWithBackup({ a: 'one', b: 'two' });
  const [a, b] = [await idOf('a'), await idOf('b')];
  const ask = async (body: object, key: string) =>
    (await post('/data/download', body, undefined, { 'idempotency-key': key })).json();
  const first = await ask({ fileId: a }, 'k');
  expect(await ask({ fileId: b }, 'k')).toMatchObject({ status: 422, code: 'idempotency-mismatch' });
  expect(await ask({ fileId: a }, 'k')).toMatchObject({ sha256: first.sha256 });
  expect((await ask({ fileId: b }, 'k2')).sha256).not.toBe(first.sha256);
});

it('records a repeated download with the version that it returns', async () => {
  const { post, idOf, backupChain, bytes, platform } = await apiWithBackup({ a: 'one' });
  const fileId = await idOf('a');
  const get = async () => {
    const answer = await post('/data/download', { fileId }, undefined, { 'idempotency-key': 'once' });
    return (await bytes(answer.json().url)).body;
  };
  const contents = [await get(), await get()];
  await backupChain.backUp({ a: 'two' });
  contents.push(await get());
  const { items } = await readActivity(platform, account, { type: 'download.granted', order: 'asc' }, { limit: 10 });
  expect(contents).toEqual(['one', 'one', 'two']);
  expect(items.map(({ data }) => data.version)).toEqual([1, 2]);
});

describe('POST /data/download of a zip', () => {
  it('prepares the zip and returns a URL that serves it', async () => {
    const { app, post, backupChain, prepare, bytes, platform } = await apiWithBackup({
      'docs/a': 'one',
      'docs/b/c': 'two',
      z: 'three',
    });
    const before = new Date(platform.now()).toISOString();
    await backupChain.backUp({ 'docs/a': 'changed' });
    const { sourceId } = backupChain;
    const requested = await post('/data/download', { sourceId, paths: ['docs'], asOf: before });
    expect(requested.statusCode).toBe(202);
    const { id } = requested.json();
    expect(requested.json()).toEqual({ id: expect.stringMatching(/^dow_/), status: 'preparing' });
    expect(requested.headers.location).toBe(`/data/downloads/${id}`);
    const look = async (person?: typeof bob) => (await as({ app, platform }, person))({ url: `/data/downloads/${id}` });
    expect((await look()).json()).toEqual({ id, status: 'preparing', progress: 0 });
    await prepare(id);
    const { status, progress, url, expiresAt, size } = (await look()).json();
    expect([status, progress]).toEqual(['ready', 1]);
    expect(Date.parse(expiresAt)).toBe(platform.now() + 15 * 60_000);
    const zip = await bytes(url);
    expect(zip.statusCode).toBe(200);
    expect(size).toBe(zip.rawPayload.length);
    expect(zip.headers).toMatchObject({
      'content-type': 'application/zip',
      'content-disposition': 'attachment; filename=docs.zip',
      'content-security-policy': "default-src 'none'; sandbox",
      'content-length': String(zip.rawPayload.length),
    });
    expect((await unzip(zip.rawPayload)).map(({ name, content }) => [name, content.toString()])).toEqual([
      ['docs/a', 'one'],
      ['docs/b/c', 'two'],
    ]);
    const part = await bytes(url, { range: 'bytes=10-19' });
    expect(part.statusCode).toBe(206);
    expect(part.rawPayload.equals(zip.rawPayload.subarray(10, 20))).toBe(true);
    expect((await look(bob)).statusCode).toBe(404);
    await look();
    const { items } = await readActivity(platform, account, { order: 'asc' }, { limit: 200 });
    const recorded = items.filter(({ type }) => type.startsWith('download.'));
    expect(recorded.map(({ type, actor }) => [type, actor.id])).toEqual([
      ['download.requested.v1', 'usr_ada'],
      ['download.prepared.v1', 'prepare-download'],
      ['download.granted.v1', 'usr_ada'],
    ]);
    platform.clock.now += 15 * 60_000 + 1;
    expect((await bytes(url)).json().code).toBe('gone');
    const again = (await look()).json();
    expect((await bytes(again.url)).statusCode).toBe(200);
    platform.clock.now += 24 * 3_600_000;
    expect((await look()).json()).toMatchObject({ status: 410, code: 'gone' });
  });

  it('rejects paths that do not exist, by name, before it prepares anything', async () => {
    const { post, backupChain, eve, platform } = await apiWithBackup({ a: 'x', 'b/c': 'x' });
    const { sourceId } = backupChain;
    const rejected = await post('/data/download', { sourceId, paths: ['a', 'nope', 'b', 'b/nope/'] });
    expect(rejected.json()).toMatchObject({
      status: 404,
      detail: expect.stringContaining('"nope"'),
      errors: [{ path: 'paths.1' }, { path: 'paths.3', message: expect.stringContaining('"b/nope/"') }],
    });
    const early = await post('/data/download', { sourceId, paths: ['a'], asOf: '2020-01-01T00:00:00Z' });
    expect(early.json()).toMatchObject({ status: 404, detail: expect.stringContaining('at that time') });
    expect((await post('/data/download', { sourceId, paths: ['a'] }, eve)).statusCode).toBe(404);
    const { items } = await readActivity(platform, account, { order: 'asc' }, { limit: 200 });
    expect(items.filter(({ type }) => type.startsWith('download.'))).toEqual([]);
    for (const [payload, path] of [
      [{ sourceId, paths: [] }, 'paths'],
      [{ sourceId, paths: 'a' }, 'paths'],
      [{ sourceId: 'x', paths: ['a'] }, 'sourceId'],
      [{ sourceId, paths: ['a'], asOf: 'today' }, 'asOf'],
      [{ sourceId, paths: ['a'], version: 1 }, 'version'],
    ] as const) {
      expect((await post('/data/download', payload)).json(), path).toMatchObject({
        status: 400,
        errors: expect.arrayContaining([expect.objectContaining({ path })]),
      });
    }
  });

  it('joins a request of the same content, and refuses more than the quota with the time to wait', async () => {
    const names = Array.from({ length: 12 }, (_, n) => `f${n}`);
    const { post, backupChain, prepare } = await apiWithBackup(Object.fromEntries(names.map((name) => [name, 'x'])));
    const { sourceId } = backupChain;
    const ask = (paths: string[]) => post('/data/download', { sourceId, paths });
    const [one, two] = await Promise.all([ask(['f0', 'f1']), ask(['f1', 'f0'])]);
    expect(one.json().id).toBe(two.json().id);
    await prepare(one.json().id);
    expect((await ask(['f0', 'f1'])).json()).toEqual({ id: one.json().id, status: 'ready' });
    for (const name of names.slice(0, 10)) expect((await ask([name])).statusCode).toBe(202);
    const refused = await ask(['f11']);
    expect(refused.json()).toMatchObject({ status: 429, code: 'rate-limited' });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  });
});

describe('downloads where answers are limited in size', () => {
  const exports = { over: 100, link: async (key: string) => `https://bucket.example/${key}` };
  const content = 'long '.repeat(100);

  it('are prepared when the file is larger, and redirect to a link until the blob is deleted', async () => {
    const { post, ada, bytes, prepare, idOf, platform } = await apiWithBackup({ 'd/a.txt': content }, { exports });
    const requested = await post('/data/download', { fileId: await idOf('d/a.txt') });
    const { id, status } = requested.json();
    expect([requested.statusCode, status]).toEqual([202, 'preparing']);
    expect(requested.headers.location).toBe(`/data/downloads/${id}`);
    expect((await post('/data/download', { fileId: await idOf('d/a.txt') })).json().id).toBe(id);
    await prepare(id);
    const ready = (await ada({ url: `/data/downloads/${id}` })).json();
    expect(ready).toMatchObject({ id, status: 'ready', size: content.length, sha256: hash('sha256', content) });
    const answer = await bytes(ready.url);
    const blob = `exports/${account}/${id}`;
    expect([answer.statusCode, answer.headers.location]).toEqual([307, `https://bucket.example/${blob}`]);
    const part = await bytes(ready.url, { range: 'bytes=3-9' });
    expect([part.statusCode, part.body]).toEqual([206, content.slice(3, 10)]);
    expect(Buffer.from((await platform.blobs.get(blob)) ?? '').toString()).toBe(content);
    platform.clock.now += 24 * 3_600_000;
    await removeExpiredExports(platform);
    expect((await platform.blobs.list('exports/', { limit: 10 })).items).toEqual([]);
  });

  it('answer HEAD and small files without a link', async () => {
    const { app, post, ada, prepare, backupChain, idOf, bytes } = await apiWithBackup(
      { a: content, small: 'x' },
      { exports },
    );
    const small = (await post('/data/download', { fileId: await idOf('small') })).json();
    expect((await bytes(small.url)).body).toBe('x');
    const { id } = (await post('/data/download', { sourceId: backupChain.sourceId, paths: [''] })).json();
    await prepare(id);
    const { url, size } = (await ada({ url: `/data/downloads/${id}` })).json();
    const head = await app.inject({ method: 'HEAD', url: new URL(url).pathname });
    expect([head.statusCode, head.headers['content-length'], head.body]).toEqual([200, String(size), '']);
  });
});

it('reads no content for HEAD, and only the packs of a range', async () => {
  const { app, post, idOf, platform, bytes } = await apiWithBackup({ a: randomBytes(30_000_000) });
  const { url } = (await post('/data/download', { fileId: await idOf('a') })).json();
  let read = 0;
  const { get } = platform.blobs;
  platform.blobs.get = async (key, range) => {
    const found = await get(key, range);
    if (key.startsWith('packs/')) read += found?.length ?? 0;
    return found;
  };
  onTestFinished(() => {
    platform.blobs.get = get;
  });
  const head = await app.inject({ method: 'HEAD', url: new URL(url).pathname });
  expect([head.statusCode, head.headers['content-length'], read]).toEqual([200, '30000000', 0]);
  expect((await bytes(url, { range: 'bytes=20000000-20000009' })).rawPayload).toHaveLength(10);
  expect(read).toBeLessThan(9_000_000);
});

describe('a damaged pack', () => {
  const packKeys = async ({ blobs }: Platform) =>
    (await blobs.list(`packs/${account}/`, { limit: 10 })).items.map(({ key }) => key);
  const states = async ({ records }: Platform) =>
    (await records.query(`packs/${account}`, { limit: 10 })).items.map(({ data }) => data.state);

  it.each([
    ['deleted', 'lost'],
    ['altered', 'damaged'],
  ])('that was %s is a 409 of each download, also of a range, and becomes %s', async (how, state) => {
    const { post, idOf, bytes, platform } = await apiWithBackup({ 'private name': 'content' });
    const [key = ''] = await packKeys(platform);
    const { url } = (await post('/data/download', { fileId: await idOf('private name') })).json();
    if (how === 'deleted') await platform.blobs.delete([key]);
    else await platform.blobs.put(key, new Uint8Array((await platform.blobs.size(key)) ?? 0));
    for (const headers of [{}, { range: 'bytes=2-3' }]) {
      const answer = await bytes(url, headers);
      expect(answer.json()).toMatchObject({
        status: 409,
        code: 'damaged',
        detail: expect.stringMatching(/version.*job/),
      });
      expect(answer.headers['content-range']).toBeUndefined();
    }
    expect(await states(platform)).toEqual([state]);
    const warned = platform.lines.filter(({ level }) => level === 'warn');
    expect(JSON.stringify(warned)).toContain(key.slice(key.lastIndexOf('/') + 1));
    expect(JSON.stringify(platform.lines)).not.toContain('private');
  });

  it('that is found after the first bytes breaks the connection, and becomes damaged', async () => {
    const { app, post, idOf, platform } = await apiWithBackup({ large: randomBytes(20 * 1024 * 1024) });
    const { url } = (await post('/data/download', { fileId: await idOf('large') })).json();
    const keys = await packKeys(platform);
    const last = keys.at(-1) ?? '';
    const content = (await platform.blobs.get(last)) ?? new Uint8Array();
    await platform.blobs.put(last, content.fill(0, content.length / 2));
    const origin = await app.listen({ host: '127.0.0.1', port: 0 });
    const answer = await fetch(origin + new URL(url).pathname);
    expect(answer.status).toBe(200);
    await expect(answer.arrayBuffer()).rejects.toThrow();
    expect(await states(platform)).toContain('damaged');
    expect(platform.lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        fields: expect.objectContaining({ pack: expect.stringMatching(/^pak_/) }),
      }),
    );
  });

  it('of a zip becomes damaged', async () => {
    const { post, backupChain, prepare, ada, platform } = await apiWithBackup({ a: 'content' });
    const { id } = (await post('/data/download', { sourceId: backupChain.sourceId, paths: ['a'] })).json();
    const [key = ''] = await packKeys(platform);
    await platform.blobs.put(key, new Uint8Array((await platform.blobs.size(key)) ?? 0));
    await prepare(id);
    expect((await ada({ url: `/data/downloads/${id}` })).json()).toMatchObject({ error: { code: 'damaged' } });
    expect(await states(platform)).toEqual(['damaged']);
  });
});

describe('a damaged restore point', () => {
  it('is a 409 of a request for its zip', async () => {
    const { platform, backupChain } = await apiWithBackup({ 'a.txt': 'x' });
    const { items } = await platform.blobs.list(`manifests/${account}/`, { limit: 10 });
    await platform.blobs.delete(items.map(({ key }) => key));
    // Another process, because readers cache.
    const other = await as({ app: await appOver({ ...platform }, { routes: [data, dataDownload] }), platform });
    const payload = { sourceId: backupChain.sourceId, paths: ['a.txt'] };
    const answer = await other({ method: 'POST', url: '/data/download', payload });
    expect(answer.json()).toMatchObject({ status: 409, code: 'damaged', detail: expect.stringContaining('`asOf`') });
  });

  it.each(['list', 'search'])(
    'is reported by a %s of all sources, which goes on behind it with `next`',
    async (how) => {
      const { platform, backupChain, ada } = await apiWithBackup({ 'a.txt': 'x' });
      const others = [makeBackupChain(platform, account), makeBackupChain(platform, account)];
      for (const other of others) await other.backUp({ 'a.txt': 'x' });
      const chains = [backupChain, ...others].toSorted((a, b) => (a.sourceId < b.sourceId ? -1 : 1));
      const [first, second, third] = chains.map(({ sourceId }) => sourceId);
      const { manifest } = await (chains[1] as typeof backupChain).backUp({ 'b.txt': 'x' });
      await platform.blobs.delete([`manifests/${account}/${manifest.id}`]);
      const request = async (cursor?: string) => {
        const query = cursor === undefined ? '' : `?cursor=${cursor}`;
        const answer = await ada(
          how === 'list'
            ? { url: `/data/files${query}` }
            : { method: 'POST', url: `/data/search${query}`, payload: { query: 'txt' } },
        );
        return answer.json();
      };
      const before = await request();
      expect(before.items).toMatchObject([{ sourceId: first }]);
      const damaged = await request(before.next);
      expect(damaged).toMatchObject({ code: 'backup-damaged', sourceId: second, asOf: expect.any(String) });
      expect(damaged.detail).toContain(`sourceId=${second}`);
      expect(await request(damaged.next)).toMatchObject({ items: [{ sourceId: third }], next: null });
    },
  );
});
