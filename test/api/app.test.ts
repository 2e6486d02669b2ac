import { type AddressInfo, connect } from 'node:net';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { addressOf, ok, readRoutes, route } from '../../api/route.ts';
import { auth } from '../../api/routes/auth.ts';
import { health } from '../../api/routes/health.ts';
import { routes } from '../../api/routes/index.ts';
import { requireSecrets } from '../../api/secret-keys.ts';
import { appOver, as, testApi, testPlatform } from '../support/api.ts';

const mine = route({
  method: 'GET',
  url: '/mine',
  summary: 'Mine',
  tags: ['test'],
  answers: { 200: z.object({ account: z.string() }) },
  handler: async ({ principal }) => ok({ account: principal.account }),
});
const tools = [health, auth, [mine]];

test('answers GET /health once it is built', async () => {
  const { app } = await testApi();
  const answer = await app.inject('/health');
  expect(answer.statusCode).toBe(200);
  expect(answer.json()).toEqual({ status: 'ok', version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  expect((await app.inject({ method: 'HEAD', url: '/health' })).statusCode).toBe(200);
});

test('rejects missing or short secrets at startup, and fails only the requests that need them', async () => {
  for (const name of ['jwt-secret', 'jwt-refresh-secret']) {
    const platform = await testPlatform();
    const { secrets } = platform;
    for (const value of [undefined, 'x'.repeat(31)]) {
      platform.secrets = { get: async (requested) => (requested === name ? value : secrets.get(requested)) };
      await expect(requireSecrets(platform)).rejects.toThrow(`the secret ${name} is missing or shorter than 32 bytes`);
      const app = await appOver(platform, { routes: tools });
      expect((await app.inject('/health')).statusCode).toBe(200);
      if (name === 'jwt-secret') {
        const answer = await app.inject({ url: '/mine', headers: { authorization: 'Bearer some.to.ken' } });
        expect([answer.statusCode, answer.body.includes('secret')]).toEqual([500, false]);
      }
    }
  }
});

test('says of an id of the wrong form which resource it is not of', async () => {
  const api = await testApi({ routes });
  const ada = await as(api);
  for (const [url, detail] of [
    ['/jobs/job_x', 'This is not the id of a job. List jobs with GET /jobs.'],
    ['/runs/run_x/errors', 'This is not the id of a run. List runs with GET /runs.'],
    ['/sources/foo', 'This is not the id of a source. List sources with GET /sources.'],
    ['/data/downloads/dl_x', /^This is not the id of a download\. Request a download with POST/],
    ['/foo', /^This URL does not exist/],
  ] as const) {
    const { status, code, detail: text } = (await ada({ url })).json();
    expect([url, status, code]).toEqual([url, 404, 'not-found']);
    expect(text).toMatch(detail);
  }
});

test('gives one error per field of a query or body, in our own words', async () => {
  const api = await testApi({ routes });
  const ada = await as(api);
  for (const [request, detail, errors] of [
    [{ url: '/activity?order=foo' }, 'Correct `order` and send the request again.', ['order: Give `asc` or `desc`.']],
    [{ url: '/activity?from=x' }, 'Correct `from` and', ['from: Give a time like 2026-01-31T12:00:00Z.']],
    [{ url: '/data/files?asOf=foo' }, 'Correct `asOf` and', ['asOf: Give a time like 2026-01-31T12:00:00Z.']],
    [{ url: '/jobs?limit=0' }, 'Correct `limit` and', ['limit: Give a whole number from 1 to 200.']],
    [
      { method: 'POST', url: '/jobs', payload: { name: '', sourceId: 5 } },
      'Correct `name`, `sourceId` and',
      ['name: Give a name.', 'sourceId: Give a text.'],
    ],
    [
      { method: 'POST', url: '/data/download', payload: {} },
      'Send `fileId`, or `sourceId` and `paths`.',
      ['fileId: Send `fileId`, or `sourceId` and `paths`.'],
    ],
    [
      { method: 'POST', url: '/data/download', payload: { sourceId: 'x', paths: [] } },
      'Correct `sourceId`, `paths` and',
      ['sourceId: Give the id of a source.', 'paths: Give at least 1 item.'],
    ],
    [
      { method: 'POST', url: '/data/search', payload: { query: 'a', minSize: -1 } },
      'Correct `minSize` and',
      ['minSize: Give at least 0.'],
    ],
    [
      { method: 'POST', url: '/sources', payload: { type: 'folder', name: 'A', config: {} } },
      'Correct `config.path` and',
      ['config.path: This is required.'],
    ],
  ] as const) {
    const problem = (await ada(request)).json();
    expect(problem).toMatchObject({ status: 400, code: 'invalid-input', detail: expect.stringContaining(detail) });
    expect(problem.errors.map(({ path, message }: { path: string; message: string }) => `${path}: ${message}`)).toEqual(
      errors,
    );
  }
});

test('requires a credential on every route that is not declared public', async () => {
  const { app } = await testApi({ routes });
  const definitions = await readRoutes(routes);
  const closed = definitions.filter((definition) => !definition.public);
  expect(closed.length).toBeGreaterThan(10);
  for (const { method, url } of closed) {
    for (const tried of method === 'GET' ? (['GET', 'HEAD'] as const) : [method]) {
      const answer = await app.inject({ method: tried, url: url.replaceAll(/{\w+}/g, 'some-id') });
      expect([tried, url, answer.statusCode]).toEqual([tried, url, 401]);
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="listbackup"');
      if (tried !== 'HEAD') expect(answer.json().code).toBe('unauthenticated');
    }
  }
  const open = definitions.filter((definition) => definition.public).map(({ url }) => url.split('/')[1] ?? '');
  expect([...new Set(open)].sort()).toEqual(['auth', 'downloads', 'health']);
});

test('lists exactly the addresses that each route file defines, in its order', async () => {
  for (const { addresses, load } of routes) expect(addresses).toEqual((await load()).map(addressOf));
});

test('forbids caching, framing, sniffing and scripts on every answer', async () => {
  const api = await testApi({ routes: tools });
  const call = await as(api);
  for (const answer of [
    await call({ url: '/mine' }),
    await api.app.inject('/mine'),
    await call({ url: '/nothing' }),
    await call({ url: '/%zz' }),
  ]) {
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'");
    expect(answer.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  }
});

test('answers only to the trusted Host names where they are known', async () => {
  const { app } = await testApi({ trustedHosts: ['localhost', '127.0.0.1', '[::1]'] });
  const status = async (host: string) => (await app.inject({ url: '/health', headers: { host } })).statusCode;
  for (const host of ['localhost', 'localhost:4000', 'LOCALHOST:4000', '127.0.0.1:4000', '[::1]:4000'])
    expect([host, await status(host)]).toEqual([host, 200]);
  for (const host of ['evil.example', 'localhost.evil.example', 'evil.example:4000', '[::2]', 'localhost.'])
    expect([host, await status(host)]).toEqual([host, 421]);
  const forwarded = await app.inject({
    url: '/health',
    headers: { host: 'evil.example', 'x-forwarded-host': 'localhost' },
  });
  expect(forwarded.json().code).toBe('misdirected-request');
});

test('rejects malformed, repeated and missing Host headers, also where every name is allowed', async () => {
  const { app } = await testApi({ routes: tools });
  const bad = ['[::1', '[::1]x', 'localhost@evil.example', 'localhost:4000.evil.example', 'localhost:99999999'];
  for (const host of [...bad, 'a b', 'a/b', 'a?b', 'a#b', 'a\\b', '::1', 'x:-1', '%00', 'localhost:80:80']) {
    const answer = await app.inject({ url: '/health', headers: { host } });
    expect([host, answer.statusCode, answer.json().errors]).toEqual([
      host,
      400,
      [expect.objectContaining({ path: 'Host' })],
    ]);
  }
  for (const host of ['x', 'X.example:', 'a_b:1', '127.0.0.1:65535', '[::1]'])
    expect([host, (await app.inject({ url: '/health', headers: { host } })).statusCode]).toEqual([host, 200]);

  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const status = (head: string) =>
    new Promise<string | undefined>((resolve, reject) => {
      let received = '';
      const socket = connect(port, '127.0.0.1', () => socket.write(head));
      socket.on('data', (bytes) => {
        received += bytes;
      });
      socket.on('close', () => resolve(received.split(' ')[1]));
      socket.on('error', reject);
    });
  const close = 'Connection: close\r\n\r\n';
  expect(await status(`GET /health HTTP/1.1\r\nHost: a\r\n${close}`)).toBe('200');
  expect(await status(`GET /health HTTP/1.1\r\nHost: a\r\nhost: a\r\n${close}`)).toBe('400');
  expect(await status(`GET /health HTTP/1.1\r\nHost:\r\n${close}`)).toBe('400');
  expect(await status(`GET /health HTTP/1.0\r\n${close}`)).toBe('400');
});

test('serves a public page at / that links the documentation, the description and the health check', async () => {
  const { app } = await testApi({ routes: tools });
  const page = await app.inject('/');
  expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
  expect(page.body).toContain('ListBackup');
  const links = [...page.body.matchAll(/href="([^"]+)"/g)].map(([, link]) => link ?? '');
  expect(links).toEqual(['docs/', 'openapi.json', 'health']);
  for (const link of links) expect([link, (await app.inject(`/${link}`)).statusCode]).toEqual([link, 200]);
});

test('answers 405 with Allow to a wrong method, and 404 to an unknown URL', async () => {
  const api = await testApi({ routes: tools });
  for (const [method, url, allow] of [
    ['DELETE', '/health', 'GET, HEAD, OPTIONS'],
    ['GET', '/auth/login', 'OPTIONS, POST'],
    ['HEAD', '/auth/login', 'OPTIONS, POST'],
    ['TRACE', '/mine', 'GET, HEAD, OPTIONS'],
    ['QUERY', '/auth/login?a=b', 'OPTIONS, POST'],
    ['PROPFIND', '/mine', 'GET, HEAD, OPTIONS'],
    ['PATCH', '/openapi.json', 'GET, HEAD, OPTIONS'],
    ['POST', '/docs/', 'GET, HEAD, OPTIONS'],
  ] as const) {
    const answer = await api.app.inject({ method: method as 'GET', url });
    expect([url, answer.statusCode, answer.headers.allow]).toEqual([url, 405, allow]);
    if (method !== 'HEAD') expect(answer.json().code).toBe('method-not-allowed');
  }
  const options = await api.app.inject({ method: 'OPTIONS', url: '/mine' });
  expect([options.statusCode, options.headers.allow]).toEqual([204, 'GET, HEAD, OPTIONS']);
  for (const url of ['/nothing', '/health/', '/HEALTH', `/${'x'.repeat(5000)}`]) {
    const answer = await api.app.inject({ url });
    expect([answer.statusCode, answer.json().code]).toEqual([404, 'not-found']);
  }
});

test('answers CORS requests only of the origins in the secret cors-origin', async () => {
  const preflight = {
    method: 'OPTIONS',
    url: '/mine',
    headers: { origin: 'https://app.example', 'access-control-request-method': 'GET' },
  } as const;
  const closed = await testApi({ routes: tools });
  const unanswered = await closed.app.inject(preflight);
  expect([unanswered.statusCode, unanswered.headers['access-control-allow-origin']]).toEqual([405, undefined]);
  const unknownUrl = await closed.app.inject({ ...preflight, url: '/nothing' });
  expect([unknownUrl.statusCode, unknownUrl.json().code]).toEqual([404, 'not-found']);

  const open = await testApi(
    { routes: tools },
    {
      LISTBACKUP_SECRET_CORS_ORIGIN: 'https://app.example, https://two.example',
    },
  );
  const answer = await open.app.inject(preflight);
  expect(answer.statusCode).toBe(204);
  expect(answer.headers['access-control-allow-origin']).toBe('https://app.example');
  expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
  const plain = await open.app.inject({ method: 'OPTIONS', url: '/mine' });
  expect([plain.statusCode, plain.headers.allow]).toEqual([204, 'GET, HEAD, OPTIONS']);
  const nowhere = await open.app.inject({ method: 'OPTIONS', url: '/nothing' });
  expect([nowhere.statusCode, nowhere.json().code]).toEqual([404, 'not-found']);
  const refusal = await open.app.inject({ url: '/mine', headers: { origin: 'https://two.example' } });
  expect([refusal.statusCode, refusal.headers['access-control-allow-origin']]).toEqual([401, 'https://two.example']);
  const otherOrigin = await open.app.inject({
    ...preflight,
    headers: { ...preflight.headers, origin: 'https://evil.example' },
  });
  expect([otherOrigin.statusCode, otherOrigin.headers['access-control-allow-origin']]).toEqual([204, undefined]);
  const plainFromOther = await open.app.inject({ url: '/mine', headers: { origin: 'https://evil.example' } });
  expect(plainFromOther.headers['access-control-allow-origin']).toBeUndefined();
});
