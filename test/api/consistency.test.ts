import { expect, test } from 'vitest';
import * as z from 'zod';
import { consistencyToken } from '../../api/consistency.ts';
import { created, listRoute, ok, type RouteModule, route } from '../../api/route.ts';
import type { Written } from '../../commands/context.ts';
import { ada, as, bob, testApi } from '../support/api.ts';

const described = { summary: 'For tests', tags: ['test'] as [string] };
const answers = { 200: z.object({ ok: z.boolean() }) };
const stream = 'acc_ada/source/src_1';
const tools: RouteModule = [
  route({
    ...described,
    method: 'POST',
    url: '/sources',
    answers: { 201: z.object({}) },
    handler: async () => created('/sources/1', {}, { written: { stream, version: 3 } }),
  }),
  route({
    ...described,
    method: 'GET',
    url: '/sources/{id}',
    params: z.strictObject({ id: z.string() }),
    reads: ['sources'],
    answers,
    handler: async () => ok({ ok: true }),
  }),
  listRoute({
    ...described,
    url: '/sources',
    reads: ['sources', 'overview'],
    item: z.object({}),
    handler: async () => ({ items: [], next: null }),
  }),
  route({ ...described, method: 'GET', url: '/clock', answers, handler: async () => ok({ ok: true }) }),
];
const followers = [
  { name: 'sources', streams: ['source'] },
  { name: 'overview', streams: ['source', 'job'] },
];

async function caller(person = ada) {
  const slept: number[] = [];
  const hooks = { onWait: async () => {} };
  const sleep = async (milliseconds: number) => {
    slept.push(milliseconds);
    api.platform.clock.now += milliseconds;
    await hooks.onWait();
  };
  const api = await testApi({ routes: [tools], followers, sleep });
  const call = await as(api, person);
  const get = (url: string, token: string) => call({ url, headers: { 'consistency-token': token } });
  /** Applies the stream to a read model up to that version. */
  const project = async (projection: string, version: number, of = stream) => {
    for (let v = (await api.platform.rows.cursor(projection, of)) + 1; v <= version; v++)
      await api.platform.rows.apply(projection, of, v, []);
  };
  const token = (...written: Written[]) => consistencyToken(api.platform, written);
  return { ...api, call, get, slept, hooks, project, token };
}

test('delays a read with the token of a write until the read model has applied the write', async () => {
  const { call, get, slept, hooks, project } = await caller();
  const token = String((await call({ method: 'POST', url: '/sources' })).headers['consistency-token']);
  expect(Buffer.from(token, 'base64url').toString('latin1')).toContain(stream);
  await project('sources', 2);
  hooks.onWait = async () => {
    if (slept.length === 4) await project('sources', 3);
  };
  const answer = await get('/sources/1', token);
  expect(answer.statusCode).toBe(200);
  expect(slept).toEqual([10, 20, 40, 80]);
  expect((await get('/sources/1', token)).statusCode).toBe(200);
  expect(slept).toHaveLength(4);
});

test('answers 503 with Retry-After if the read model is behind for two seconds', async () => {
  const { get, slept, project, token } = await caller();
  await project('sources', 3);
  const answer = await get('/sources', await token({ stream, version: 3 }));
  expect([answer.statusCode, answer.json().code, answer.headers['retry-after']]).toEqual([503, 'unavailable', '1']);
  const waited = slept.reduce((sum, pause) => sum + pause, 0);
  expect(waited).toBeGreaterThanOrEqual(2000);
  expect(waited).toBeLessThan(2300);
});

test('says that a read model is parked at the write, with a longer Retry-After', async () => {
  const { get, project, token, platform } = await caller();
  const park = (projection: string) =>
    platform.records.write([{ op: 'put', pk: 'parked', sk: `${projection} ${stream}`, data: { version: 3, stream } }]);
  await project('sources', 2);
  await project('overview', 3);
  await park('overview');
  const otherParked = await get('/sources', await token({ stream, version: 3 }));
  const { detail } = otherParked.json();
  expect([otherParked.statusCode, otherParked.headers['retry-after'], detail.includes('parked')]).toEqual([
    503,
    '1',
    false,
  ]);
  await park('sources');
  const answer = await get('/sources', await token({ stream, version: 3 }));
  expect([answer.statusCode, answer.json().code, answer.headers['retry-after']]).toEqual([503, 'unavailable', '60']);
  expect(answer.json().detail).toMatch(/parked/);
  expect((await get('/sources/1', await token({ stream, version: 2 }))).statusCode).toBe(200);
});

test('waits for the generation that queries read after a rebuild', async () => {
  const { get, project, token, platform } = await caller();
  await project('sources', 3);
  const data = { revision: 1, current: 2, version: 1, last: 2, building: null, retired: [] };
  await platform.records.write([{ op: 'put', pk: 'generations', sk: 'sources', data }]);
  expect((await get('/sources/1', await token({ stream, version: 3 }))).statusCode).toBe(503);
  for (const version of [1, 2, 3]) await platform.rows.apply('sources@2', stream, version, []);
  expect((await get('/sources/1', await token({ stream, version: 3 }))).statusCode).toBe(200);
});

test('waits only for streams that a read model of the route follows', async () => {
  const { get, slept, project, token } = await caller();
  await project('sources', 1);
  const job = { stream: 'acc_ada/job/job_1', version: 9 };
  expect((await get('/sources/1', await token(job))).statusCode).toBe(200);
  expect((await get('/clock', await token({ stream, version: 9 }))).statusCode).toBe(200);
  expect((await get('/sources/1', `${await token({ stream, version: 1 })}, ${await token(job)}`)).statusCode).toBe(200);
  expect(slept).toEqual([]);
  expect((await get('/sources', await token({ stream, version: 1 }, job))).statusCode).toBe(503);
});

test('rejects a token of another account, without an HMAC, or with any character changed', async () => {
  const { call, get, token } = await caller();
  const good = await token({ stream, version: 1 });
  const bad = [
    '',
    'x',
    `${good}A`,
    good.slice(1),
    `${good},`,
    `${good},${good.slice(0, -1)}`,
    Array(21).fill(good).join(','),
    'A'.repeat(4000),
  ];
  for (let index = 0; index < good.length; index++)
    bad.push(good.slice(0, index) + (good[index] === 'A' ? 'B' : 'A') + good.slice(index + 1));
  bad.push(
    Buffer.from(JSON.stringify([[stream, 1]])).toString('base64url'),
    await token({ stream: 'acc_bob/source/src_1', version: 1 }),
  );
  for (const header of bad) {
    const answer = await get('/sources/1', header);
    expect([header, answer.statusCode, answer.json().errors?.[0]?.path]).toEqual([header, 400, 'Consistency-Token']);
  }
  expect((await call({ url: '/sources/1' })).statusCode).toBe(200);
  const asBob = await caller(bob);
  expect((await asBob.get('/sources/1', await asBob.token({ stream, version: 1 }))).statusCode).toBe(400);
});
