import { expect, test } from 'vitest';
import * as z from 'zod';
import { ok, route } from '../../api/route.ts';
import { auth } from '../../api/routes/auth.ts';
import { health } from '../../api/routes/health.ts';
import { openSession } from '../../api/sessions.ts';
import { ada, appOver, as, bob, testApi } from '../support/api.ts';

const mine = route({
  method: 'GET',
  url: '/mine',
  summary: 'Mine',
  tags: ['test'],
  answers: { 200: z.object({}) },
  handler: async () => ok({}),
});
const routes = [health, auth, [mine]];
const minute = 60_000;

async function statuses(times: number, call: () => Promise<{ statusCode: number }>) {
  const answers = await Promise.all(Array.from({ length: times }, call));
  return {
    passed: answers.filter(({ statusCode }) => statusCode !== 429).length,
    limited: answers.filter(({ statusCode }) => statusCode === 429).length,
  };
}

test('allows an address 60 requests a minute on /auth, then answers 429 until the minute ends', async () => {
  const { app, platform } = await testApi({ routes, rateScale: 1 });
  platform.clock.now += 15_000;
  const refresh = (remoteAddress = '192.0.2.1') =>
    app.inject({ method: 'POST', url: '/auth/refresh', payload: { refreshToken: 'x' }, remoteAddress });
  const first = await refresh();
  expect(first.headers).toMatchObject({ 'ratelimit-policy': '"auth";q=60;w=60', ratelimit: '"auth";r=59;t=45' });
  expect(await statuses(99, refresh)).toEqual({ passed: 59, limited: 40 });
  platform.clock.now += 5_000;
  const limited = await refresh();
  expect(limited.json()).toMatchObject({ status: 429, code: 'rate-limited', retryAfter: 40 });
  expect(limited.headers).toMatchObject({ 'retry-after': '40', ratelimit: '"auth";r=0;t=40' });
  // A login of the same address counts too. Another address and other routes do not.
  expect(
    (await app.inject({ method: 'POST', url: '/auth/login', payload: {}, remoteAddress: '192.0.2.1' })).statusCode,
  ).toBe(429);
  expect((await refresh('192.0.2.2')).statusCode).toBe(401);
  expect((await app.inject({ url: '/health', remoteAddress: '192.0.2.1' })).statusCode).toBe(200);
  platform.clock.now += 40_000;
  expect((await refresh()).headers.ratelimit).toBe('"auth";r=59;t=60');
});

test('counts an IPv6 /64 network as one address, and ignores X-Forwarded-For', async () => {
  const { app } = await testApi({ routes, rateScale: 1 });
  let host = 0;
  const refresh = () =>
    app.inject({
      method: 'POST',
      url: '/auth/refresh',
      payload: { refreshToken: 'x' },
      remoteAddress: `2001:db8:1:2::${(++host).toString(16)}`,
      headers: { 'x-forwarded-for': `192.0.2.${host}` },
    });
  expect(await statuses(100, refresh)).toEqual({ passed: 60, limited: 40 });
});

test('limits each credential on its own', async () => {
  const api = await testApi({ routes, rateScale: 0.01 });
  const [asAda, asBob] = [await as(api, ada), await as(api, bob)];
  const first = await asAda({ url: '/mine' });
  expect(first.headers).toMatchObject({ 'ratelimit-policy': '"default";q=60;w=60', ratelimit: '"default";r=59;t=60' });
  expect(await statuses(100, () => asAda({ url: '/mine' }))).toEqual({ passed: 59, limited: 41 });
  expect((await asBob({ url: '/mine' })).headers.ratelimit).toBe('"default";r=59;t=60');
  api.platform.clock.now += minute;
  expect((await asAda({ url: '/mine' })).statusCode).toBe(200);
});

test('writes at most 100 times for 6,000 requests, and never exceeds the limit with several processes', async () => {
  const { platform } = await testApi();
  let writes = 0;
  const { add } = platform.records;
  platform.records.add = (...args) => {
    writes += 1;
    return add(...args);
  };
  const apps = [await appOver(platform, { routes, rateScale: 1 }), await appOver(platform, { routes, rateScale: 1 })];
  const [app] = apps;
  if (!app) throw new Error('no app');
  const call = await as({ app, platform });
  for (let round = 0; round < 6; round++) await statuses(100, () => call({ url: '/mine' }));
  expect(writes).toBe(10);

  writes = 0;
  platform.clock.now += minute;
  const { accessToken } = await openSession(platform, ada);
  const small = [
    await appOver(platform, { routes, rateScale: 0.0251 }),
    await appOver(platform, { routes, rateScale: 0.0251 }),
  ];
  let turn = 0;
  const both = () => {
    turn += 1;
    return (small[turn % 2] ?? app).inject({ url: '/mine', headers: { authorization: `Bearer ${accessToken}` } });
  };
  expect(await statuses(400, both)).toEqual({ passed: 151, limited: 249 });
});

test('sends Retry-After of at least a second if the minute ends during the count', async () => {
  const { app, platform } = await testApi({ routes, rateScale: 1 / 60 });
  const refresh = () =>
    app.inject({ method: 'POST', url: '/auth/refresh', payload: { refreshToken: 'x' }, remoteAddress: '192.0.2.1' });
  expect((await refresh()).statusCode).toBe(401);
  platform.clock.now += minute;
  const { add } = platform.records;
  platform.records.add = async (...args) => {
    const after = await add(...args);
    platform.clock.now += minute + 5_000;
    return { ...after, used: 2 };
  };
  const late = await refresh();
  expect(late.json()).toMatchObject({ status: 429, code: 'rate-limited', retryAfter: 1 });
  expect(late.headers).toMatchObject({ 'retry-after': '1', ratelimit: '"auth";r=0;t=1' });
  expect(late.json().detail).toMatch(/^Wait 1 s/);
});

test('turns limits and headers off with a scale of 0, and stores no address in plain text', async () => {
  const off = await testApi({ routes, rateScale: 0 });
  const answer = await off.app.inject({ method: 'POST', url: '/auth/refresh', payload: { refreshToken: 'x' } });
  expect([answer.headers.ratelimit, answer.headers['ratelimit-policy']]).toEqual([undefined, undefined]);

  const on = await testApi({ routes, rateScale: 1 });
  const recordKeys: string[] = [];
  const { add } = on.platform.records;
  on.platform.records.add = (key, ...args) => {
    recordKeys.push(JSON.stringify(key));
    return add(key, ...args);
  };
  await on.app.inject({
    method: 'POST',
    url: '/auth/refresh',
    payload: { refreshToken: 'x' },
    remoteAddress: '192.0.2.77',
  });
  expect(recordKeys).toHaveLength(1);
  expect(recordKeys.join()).not.toContain('192.0.2.77');
});
