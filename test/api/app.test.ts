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

test('it is healthy once it is built', async () => {
  const { app } = await testApi();
  const answer = await app.inject('/health');
  expect(answer.statusCode).toBe(200);
  expect(answer.json()).toEqual({ status: 'ok', version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  expect((await app.inject({ method: 'HEAD', url: '/health' })).statusCode).toBe(200);
});

test('secrets that are missing or short keep a home from starting, and fail whoever needs them where it does', async () => {
  for (const name of ['jwt-secret', 'jwt-refresh-secret']) {
    const platform = await testPlatform();
    const { secrets } = platform;
    for (const value of [undefined, 'x'.repeat(31)]) {
      platform.secrets = { get: async (asked) => (asked === name ? value : secrets.get(asked)) };
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

test('every route is closed to callers without a credential, unless it says public', async () => {
  const { app } = await testApi({ routes });
  const definitions = await readRoutes(routes);
  const closed = definitions.filter((definition) => !definition.public);
  expect(closed.length).toBeGreaterThan(10);
  for (const { method, url } of closed) {
    for (const one of method === 'GET' ? (['GET', 'HEAD'] as const) : [method]) {
      const answer = await app.inject({ method: one, url: url.replaceAll(/{\w+}/g, 'some-id') });
      expect([one, url, answer.statusCode]).toEqual([one, url, 401]);
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="listbackup"');
      if (one !== 'HEAD') expect(answer.json().code).toBe('unauthenticated');
    }
  }
  const open = definitions.filter((definition) => definition.public).map(({ url }) => url.split('/')[1] ?? '');
  expect([...new Set(open)].sort()).toEqual(['auth', 'downloads', 'health']);
});

test('the list of routes names each address of every file, in whose order they are, and no other', async () => {
  const read = await Promise.all(
    routes.map(async ({ addresses, load }) => ({ addresses, has: (await load()).map(addressOf) })),
  );
  for (const { addresses, has } of read) expect(addresses).toEqual(has);
});

test('answers are not to be cached, framed, sniffed or run', async () => {
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

test('in a home that checks it, only the Host names it was given reach it', async () => {
  const { app } = await testApi({ trustedHosts: ['localhost', '127.0.0.1', '[::1]'] });
  const status = async (host: string) => (await app.inject({ url: '/health', headers: { host } })).statusCode;
  for (const host of ['localhost', 'localhost:4000', 'LOCALHOST:4000', '127.0.0.1:4000', '[::1]:4000'])
    expect([host, await status(host)]).toEqual([host, 200]);
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    'localhost:4000.evil.example',
    'evil.example:4000',
    '[::1',
    'localhost@evil.example',
  ]) {
    expect([host, await status(host)]).toEqual([host, 421]);
  }
  const forwarded = await app.inject({
    url: '/health',
    headers: { host: 'evil.example', 'x-forwarded-host': 'localhost' },
  });
  expect(forwarded.json().code).toBe('misdirected-request');
});

test('a wrong method is 405 with what is allowed, an address that is none is 404', async () => {
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
  for (const url of ['/', '/nothing', '/health/', '/HEALTH', `/${'x'.repeat(5000)}`]) {
    const answer = await api.app.inject({ url });
    expect([answer.statusCode, answer.json().code]).toEqual([404, 'not-found']);
  }
});

test('pages of other origins are told nothing, unless the secret cors-origin names them', async () => {
  const preflight = {
    method: 'OPTIONS',
    url: '/mine',
    headers: { origin: 'https://app.example', 'access-control-request-method': 'GET' },
  } as const;
  const shut = await testApi({ routes: tools });
  const unanswered = await shut.app.inject(preflight);
  expect([unanswered.statusCode, unanswered.headers['access-control-allow-origin']]).toEqual([405, undefined]);
  const shutNowhere = await shut.app.inject({ ...preflight, url: '/nothing' });
  expect([shutNowhere.statusCode, shutNowhere.json().code]).toEqual([404, 'not-found']);

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
  const strange = await open.app.inject({
    ...preflight,
    headers: { ...preflight.headers, origin: 'https://evil.example' },
  });
  expect([strange.statusCode, strange.headers['access-control-allow-origin']]).toEqual([204, undefined]);
  const stranger = await open.app.inject({ url: '/mine', headers: { origin: 'https://evil.example' } });
  expect(stranger.headers['access-control-allow-origin']).toBeUndefined();
});
