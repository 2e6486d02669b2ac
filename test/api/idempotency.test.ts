import { expect, test } from 'vitest';
import * as z from 'zod';
import { created, type RouteModule, route } from '../../api/route.ts';
import { Problem } from '../../domain/errors.ts';
import type { JsonObject } from '../../domain/ports.ts';
import { ada, appOver, as, bob, testApi } from '../support/api.ts';

const body = z.strictObject({
  name: z.string(),
  size: z.int().optional(),
  refuse: z.string().optional(),
  free: z.record(z.string(), z.unknown()).optional(),
});

/** Routes that make a thing at each run of the handler. `made` records the runs. */
function workshop() {
  const made: { name: string; commandId: string }[] = [];
  /** `hold` delays the handler until the test resolves it. `entered` is called when the handler starts. */
  const gate = { hold: undefined as Promise<void> | undefined, entered: () => {} };
  const make = (url: `/${string}`, more: { public?: boolean; credentials?: boolean } = {}) =>
    route({
      ...more,
      method: 'POST',
      url,
      summary: 'Makes a thing',
      tags: ['test'],
      body,
      query: z.strictObject({ q: z.string().optional() }),
      answers: { 201: z.object({ n: z.int(), name: z.string(), filler: z.string() }) },
      handler: async ({ body: { name, size = 0, refuse }, command }) => {
        const n = made.push({ name, commandId: command.commandId });
        gate.entered();
        await gate.hold;
        if (refuse === 'bug') throw new Error('a bug');
        if (refuse) throw new Problem(refuse as 'conflict', 'No.', { extra: { made: n } });
        const filler = Array.from({ length: size }, () => Math.random().toString(36).slice(2)).join('');
        return created(`/things/${n}`, { n, name, filler }, { written: { stream: `acc_ada/thing/${n}`, version: 1 } });
      },
    });
  const routes: RouteModule = [
    make('/things'),
    make('/things/{id}/parts'),
    make('/open', { public: true }),
    make('/tokens', { credentials: true }),
  ];
  return { routes: [routes], made, gate };
}

async function caller() {
  const { routes, made, gate } = workshop();
  const api = await testApi({ routes });
  const call = await as(api);
  const post = (payload: JsonObject, key?: string, url = '/things') =>
    call({ method: 'POST', url, payload, headers: key === undefined ? {} : { 'idempotency-key': key } });
  return { ...api, routes, made, gate, call, post };
}

test('answers a replay exactly like the first request, and runs the handler once', async () => {
  const { post, made } = await caller();
  const first = await post({ name: 'é 🎉' }, 'k');
  const again = await post({ name: 'é 🎉' }, 'k');
  expect(first.statusCode).toBe(201);
  expect([again.statusCode, again.body]).toEqual([201, first.body]);
  for (const header of ['location', 'consistency-token', 'content-type'])
    expect([header, again.headers[header]]).toEqual([header, first.headers[header]]);
  expect([first.headers['idempotent-replayed'], again.headers['idempotent-replayed']]).toEqual([undefined, 'true']);
  expect(made).toHaveLength(1);
  await post({ name: 'é 🎉' });
  await post({ name: 'é 🎉' }, 'k2');
  expect(made).toHaveLength(3);
});

test('treats the same JSON in another notation as a replay, and rejects other input', async () => {
  const { call, post, made } = await caller();
  await post({ name: 'a', size: 0 }, 'k');
  const raw = (payload: string) =>
    call({
      method: 'POST',
      url: '/things',
      headers: { 'idempotency-key': 'k', 'content-type': 'application/json' },
      payload,
    });
  expect((await raw('{ "size": 0,\n "name": "\\u0061" }')).statusCode).toBe(201);
  expect(made).toHaveLength(1);
  await post({ name: 'a', free: { x: 1, y: { z: 1, a: 2 } } }, 'free');
  expect((await post({ name: 'a', free: { y: { a: 2, z: 1 }, x: 1 } }, 'free')).headers['idempotent-replayed']).toBe(
    'true',
  );
  expect((await post({ name: 'a', free: { y: { a: 2, z: 2 }, x: 1 } }, 'free')).statusCode).toBe(422);
  expect(made).toHaveLength(2);
  for (const answer of [
    await post({ name: 'b' }, 'k'),
    await post({ name: 'a' }, 'k'),
    await post({ name: 'a', size: 0 }, 'k', '/things?q=1'),
  ]) {
    expect([answer.statusCode, answer.json().code]).toEqual([422, 'idempotency-mismatch']);
  }
  expect(made).toHaveLength(2);
});

test('separates keys by user, account and URL', async () => {
  const { app, platform, post, made } = await caller();
  await post({ name: 'a' }, 'k');
  const asBob = await as({ app, platform }, bob);
  const asAdasColleague = await as({ app, platform }, { ...ada, userId: 'usr_colleague' });
  const asAdaElsewhere = await as({ app, platform }, { ...ada, accountId: 'acc_elsewhere' });
  const request = {
    method: 'POST',
    url: '/things',
    payload: { name: 'a' },
    headers: { 'idempotency-key': 'k' },
  } as const;
  for (const call of [asBob, asAdasColleague, asAdaElsewhere])
    expect((await call(request)).headers['idempotent-replayed']).toBeUndefined();
  await post({ name: 'a' }, 'k', '/things/1/parts');
  await post({ name: 'a' }, 'k', '/things/2/parts');
  expect(made).toHaveLength(6);
  expect(new Set(made.map(({ commandId }) => commandId)).size).toBe(6);
});

test('runs one of several concurrent requests and answers 409 to the others, across processes', async () => {
  const { app, platform, made, gate, routes, post } = await caller();
  const second = await as({ app: await appOver(platform, { routes }), platform });
  const entered = new Promise<void>((resolve) => {
    gate.entered = resolve;
  });
  let open = () => {};
  gate.hold = new Promise((resolve) => {
    open = resolve;
  });
  const first = post({ name: 'a' }, 'k');
  await entered;
  const request = {
    method: 'POST',
    url: '/things',
    payload: { name: 'a' },
    headers: { 'idempotency-key': 'k' },
  } as const;
  const duplicates = await Promise.all([
    ...Array.from({ length: 10 }, () => post({ name: 'a' }, 'k')),
    second({ ...request }),
  ]);
  // Another session of the same user shares the key.
  duplicates.push(await (await as({ app, platform }))({ ...request }));
  for (const duplicate of duplicates)
    expect([duplicate.statusCode, duplicate.json().code, duplicate.headers['retry-after']]).toEqual([
      409,
      'idempotency-in-progress',
      '1',
    ]);
  expect((await post({ name: 'b' }, 'k')).json().code).toBe('idempotency-mismatch');
  open();
  expect((await first).statusCode).toBe(201);
  expect((await post({ name: 'a' }, 'k')).body).toBe((await first).body);
  expect(made).toHaveLength(1);
});

test('runs exactly one of 50 concurrent requests', async () => {
  const { post, made } = await caller();
  const answers = await Promise.all(Array.from({ length: 50 }, () => post({ name: 'a' }, 'k')));
  expect(made).toHaveLength(1);
  expect(answers.filter(({ statusCode }) => statusCode === 201).length).toBeGreaterThan(0);
  expect(answers.every(({ statusCode }) => statusCode === 201 || statusCode === 409)).toBe(true);
});

test('lets a repeat take over from a request that died, under the same command id', async () => {
  const { platform, post, made, gate } = await caller();
  const entered = new Promise<void>((resolve) => {
    gate.entered = resolve;
  });
  let open = () => {};
  gate.hold = new Promise((resolve) => {
    open = resolve;
  });
  const dead = post({ name: 'a' }, 'k');
  await entered;
  gate.hold = undefined;
  platform.clock.now += 60_000;
  expect((await post({ name: 'a' }, 'k')).statusCode).toBe(409);
  platform.clock.now += 1;
  const takeover = await post({ name: 'a' }, 'k');
  expect([takeover.statusCode, takeover.json().n]).toEqual([201, 2]);
  expect(platform.lines).toEqual([]);
  expect(new Set(made.map(({ commandId }) => commandId)).size).toBe(1);
  // The first request was only slow. Its client gets its answer, and repeats get the stored one.
  open();
  expect((await dead).json().n).toBe(1);
  expect((await post({ name: 'a' }, 'k')).body).toBe(takeover.body);
});

test('keeps the record of the request that took over when the slow one fails', async () => {
  const { platform, post, made, gate } = await caller();
  const entered = new Promise<void>((resolve) => {
    gate.entered = resolve;
  });
  let open = () => {};
  gate.hold = new Promise((resolve) => {
    open = resolve;
  });
  const slow = post({ name: 'a', refuse: 'bug' }, 'k');
  await entered;
  platform.clock.now += 60_001;
  const reentered = new Promise<void>((resolve) => {
    gate.entered = resolve;
  });
  let openSecond = () => {};
  gate.hold = new Promise((resolve) => {
    openSecond = resolve;
  });
  const second = post({ name: 'a', refuse: 'bug' }, 'k');
  await reentered;
  open();
  expect((await slow).statusCode).toBe(500);
  expect((await post({ name: 'a', refuse: 'bug' }, 'k')).json().code).toBe('idempotency-in-progress');
  openSecond();
  expect((await second).statusCode).toBe(500);
  expect(made).toHaveLength(2);
});

test('stores an error of the command, but no failure and no transient problem', async () => {
  const { post } = await caller();
  for (const [refuse, status, stored] of [
    ['not-found', 404, true],
    ['run-open', 409, true],
    ['not-available', 422, true],
    ['conflict', 409, false],
    ['rate-limited', 429, false],
    ['unavailable', 503, false],
    ['bug', 500, false],
  ] as const) {
    const [first, again] = [
      await post({ name: 'a', refuse }, `k ${refuse}`),
      await post({ name: 'a', refuse }, `k ${refuse}`),
    ];
    expect([refuse, first.statusCode, again.statusCode]).toEqual([refuse, status, status]);
    expect(again.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect([refuse, again.headers['idempotent-replayed'] === 'true', again.body === first.body]).toEqual([
      refuse,
      stored,
      stored,
    ]);
  }
  expect((await post({ nobody: 1 }, 'k')).statusCode).toBe(400);
  expect((await post({ name: 'a' }, 'k')).statusCode).toBe(201);
});

test('keeps answers of any size for a day, encrypted', async () => {
  const { platform, post } = await caller();
  const written: string[] = [];
  const { putMany } = platform.records;
  platform.records.putMany = (records) => {
    written.push(JSON.stringify(records));
    return putMany(records);
  };
  const large = await post({ name: 'secret name', size: 80_000 }, 'k');
  expect(large.body.length).toBeGreaterThan(800_000);
  expect(JSON.parse(written[0] ?? '[]').length).toBeGreaterThan(1);
  expect(written.join()).not.toContain('secret name');
  platform.clock.now += 24 * 60 * 60 * 1000;
  // After a day the access token has expired, but not the key.
  const call = await as({ app: (await testApiOf(platform)).app, platform });
  const again = await call({
    method: 'POST',
    url: '/things',
    payload: { name: 'secret name', size: 80_000 },
    headers: { 'idempotency-key': 'k' },
  });
  expect(again.body === large.body).toBe(true);
  platform.clock.now += 60 * 60 * 1000;
  const later = await as({ app: (await testApiOf(platform)).app, platform });
  const afterExpiry = await later({
    method: 'POST',
    url: '/things',
    payload: { name: 'secret name', size: 80_000 },
    headers: { 'idempotency-key': 'k' },
  });
  expect(afterExpiry.headers['idempotent-replayed']).toBeUndefined();
});

async function testApiOf(platform: Parameters<typeof appOver>[0]) {
  return { app: await appOver(platform, { routes: workshop().routes }) };
}

test('runs the handler again for answers with credentials, under the same command id', async () => {
  const { post, made } = await caller();
  const [first, again] = [await post({ name: 'a' }, 'k', '/tokens'), await post({ name: 'a' }, 'k', '/tokens')];
  expect([first.json().n, again.json().n]).toEqual([1, 2]);
  expect(made[0]?.commandId).toBe(made[1]?.commandId);
  expect(made[0]?.commandId).toMatch(/^[0-9a-f]{64}$/);
});

test('shares keys of a public route between IP addresses', async () => {
  const { app } = await caller();
  const post = (name: string, remoteAddress: string) =>
    app.inject({ method: 'POST', url: '/open', payload: { name }, headers: { 'idempotency-key': 'k' }, remoteAddress });
  const first = await post('a', '192.0.2.1');
  expect((await post('a', '198.51.100.1')).body).toBe(first.body);
  expect((await post('b', '192.0.2.1')).json().code).toBe('idempotency-mismatch');
});

test('accepts keys of 1 to 255 printable characters, and ignores keys on other methods', async () => {
  const { post, call, app } = await caller();
  for (const key of ['', 'k'.repeat(256), 'tab\there', 'é', '\u007f']) {
    expect([key, (await post({ name: 'a' }, key)).json().errors?.[0]?.path]).toEqual([key, 'Idempotency-Key']);
  }
  for (const key of ['k'.repeat(255), ' ~!"#,;', '0']) expect((await post({ name: 'a' }, key)).statusCode).toBe(201);
  expect((await call({ url: '/things', headers: { 'idempotency-key': '' } })).statusCode).toBe(405);
  expect(
    (await app.inject({ method: 'POST', url: '/things', payload: { name: 'a' }, headers: { 'idempotency-key': '' } }))
      .statusCode,
  ).toBe(401);
});
