import { expect, test } from 'vitest';
import { readActivity } from '../../../activity/feed.ts';
import { readConsistencyTokens } from '../../../api/consistency.ts';
import { principalOf } from '../../../api/sessions.ts';
import { makeId } from '../../../crypto/ids.ts';
import { testApi } from '../../support/api.ts';

const person = { email: 'ada@example.org', password: 'correct horse battery', name: 'Ada' };
const day = 24 * 60 * 60 * 1000;

async function caller() {
  const api = await testApi();
  const post = (url: string, payload: object, key?: string) =>
    api.app.inject({ method: 'POST', url, payload, headers: key === undefined ? {} : { 'idempotency-key': key } });
  return { ...api, post };
}

test('registers, signs in, refreshes and signs out', async () => {
  const { platform, post } = await caller();
  const registered = await post('/auth/register', person);
  expect(registered.statusCode).toBe(201);
  const login = await post('/auth/login', { email: 'Ada@Example.org', password: person.password });
  expect(login.statusCode).toBe(200);
  expect(login.json()).toEqual({
    accessToken: expect.any(String),
    refreshToken: expect.any(String),
    expiresIn: 900,
    tokenType: 'Bearer',
  });
  const refreshed = (await post('/auth/refresh', { refreshToken: login.json().refreshToken })).json();
  const { account, user } = registered.json();
  expect(await principalOf(platform, refreshed.accessToken)).toMatchObject({
    account: account.id,
    user: user.id,
    role: 'owner',
  });

  const out = await post('/auth/logout', { refreshToken: refreshed.refreshToken });
  expect([out.statusCode, out.body]).toEqual([204, '']);
  for (const accessToken of [login.json().accessToken, refreshed.accessToken]) {
    await expect(principalOf(platform, accessToken)).rejects.toMatchObject({ code: 'invalid-token' });
  }
  expect((await post('/auth/refresh', { refreshToken: refreshed.refreshToken })).json().code).toBe('invalid-token');
});

test('names the written streams in the Consistency-Token of registration and sign-in', async () => {
  const { platform, post } = await caller();
  const written = async (answer: { headers: { [name: string]: unknown } }, account: string) =>
    (await readConsistencyTokens(platform, account, String(answer.headers['consistency-token']))).map(
      ({ stream }) => stream.split('/')[1],
    );
  const registered = await post('/auth/register', person);
  expect(await written(registered, registered.json().account.id)).toEqual(['user', 'account']);

  const accountId = makeId('account', new Uint8Array(16));
  const withoutEvents = {
    email: 'eve@example.org',
    password: person.password,
    name: 'Eve',
    userId: makeId('user', new Uint8Array(16)),
    accountId,
  };
  await platform.identity.register(withoutEvents);
  const login = () => post('/auth/login', { email: withoutEvents.email, password: withoutEvents.password });
  expect(await written(await login(), accountId)).toEqual(['user', 'account', 'session']);
  expect(await written(await login(), accountId)).toEqual(['session']);
});

test('accepts repeated and late sign-outs, and answers 401 to another kind of token', async () => {
  const { platform, post } = await caller();
  await post('/auth/register', person);
  const { refreshToken, accessToken } = (
    await post('/auth/login', { email: person.email, password: person.password })
  ).json();
  expect((await post('/auth/logout', { refreshToken: accessToken })).statusCode).toBe(401);
  expect((await post('/auth/logout', { refreshToken: 'garbage' })).statusCode).toBe(401);
  for (let times = 0; times < 2; times++) expect((await post('/auth/logout', { refreshToken })).statusCode).toBe(204);
  platform.clock.now += 100 * day;
  expect((await post('/auth/logout', { refreshToken })).statusCode).toBe(204);
});

test('records the end of a session once, also if the first attempt failed', async () => {
  const { platform, post } = await caller();
  const { account } = (await post('/auth/register', person)).json();
  const { refreshToken } = (await post('/auth/login', { email: person.email, password: person.password })).json();
  const { append } = platform.events;
  platform.events.append = () => Promise.reject(new Error('the process died'));
  expect((await post('/auth/logout', { refreshToken })).statusCode).toBe(500);
  platform.events.append = append;
  const answers = await Promise.all([post('/auth/logout', { refreshToken }), post('/auth/logout', { refreshToken })]);
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([204, 204]);
  const { items } = await readActivity(platform, account.id, { type: 'session.ended', order: 'asc' }, { limit: 10 });
  expect(items.map(({ data }) => data.reason)).toEqual(['signed-out']);
});

test('answers exactly alike to a wrong password and an unknown e-mail', async () => {
  const { post } = await caller();
  await post('/auth/register', person);
  const wrong = await post('/auth/login', { email: person.email, password: 'wrong' });
  const unknown = await post('/auth/login', { email: 'eve@example.org', password: 'wrong' });
  expect([wrong.statusCode, wrong.body]).toEqual([401, unknown.body]);
  expect(wrong.json().code).toBe('invalid-credentials');
});

test('issues new tokens to repeats with an Idempotency-Key, and stores none', async () => {
  const { platform, post } = await caller();
  const written: string[] = [];
  for (const method of ['write', 'putMany'] as const) {
    const real = platform.records[method] as (writes: unknown) => Promise<never>;
    platform.records[method] = (writes: unknown) => {
      written.push(JSON.stringify(writes));
      return real(writes);
    };
  }
  await post('/auth/register', person, 'register');
  const credentials = { email: person.email, password: person.password };
  const [first, second] = [await post('/auth/login', credentials, 'k'), await post('/auth/login', credentials, 'k')];
  expect(second.statusCode).toBe(200);
  expect(second.json().refreshToken).not.toBe(first.json().refreshToken);
  const { refreshToken } = first.json();
  const pairs = [
    await post('/auth/refresh', { refreshToken }, 'r'),
    await post('/auth/refresh', { refreshToken }, 'r'),
  ];
  expect(new Set(pairs.map((answer) => answer.json().refreshToken)).size).toBe(2);
  expect(written.filter((text) => text.includes('idempotency#') && !text.includes('"answer":'))).not.toEqual([]);
  for (const secret of [refreshToken, person.password, person.email, first.json().accessToken])
    expect(written.join()).not.toContain(secret);
});

test('answers a repeated registration with the same key like the first one', async () => {
  const { post } = await caller();
  const first = await post('/auth/register', person, 'sign-up');
  const again = await post('/auth/register', person, 'sign-up');
  expect([again.statusCode, again.json(), again.headers['idempotent-replayed']]).toEqual([201, first.json(), 'true']);
  expect((await post('/auth/register', { ...person, name: 'Eve' }, 'sign-up')).json().code).toBe(
    'idempotency-mismatch',
  );
  expect((await post('/auth/register', person)).json().code).toBe('email-taken');
});
