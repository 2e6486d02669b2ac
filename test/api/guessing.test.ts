import { expect, test } from 'vitest';
import { appOver, type TestApi, testApi } from '../support/api.ts';

const person = { email: 'ada@example.org', password: 'correct horse battery', name: 'Ada' };
const quarter = 15 * 60_000;

/** Registers the user. `signIn` fails without hashing for the password `wrong`. */
async function opened() {
  const api = await testApi({ rateScale: 1 });
  expect(
    (await api.app.inject({ method: 'POST', url: '/auth/register', payload: person, remoteAddress: '203.0.113.1' }))
      .statusCode,
  ).toBe(201);
  const { signIn } = api.platform.identity;
  api.platform.identity.signIn = async (email, password) =>
    password === 'wrong' ? { outcome: 'refused' } : signIn(email, password);
  return api;
}

const login = ({ app }: Pick<TestApi, 'app'>, remoteAddress: string, password = 'wrong', email = person.email) =>
  app.inject({ method: 'POST', url: '/auth/login', payload: { email, password }, remoteAddress });

async function statuses(times: number, call: (turn: number) => Promise<{ statusCode: number }>) {
  const all = await Promise.all(Array.from({ length: times }, (_, turn) => call(turn)));
  return Object.fromEntries(
    Object.entries(Object.groupBy(all, ({ statusCode }) => statusCode)).map(([status, some]) => [status, some?.length]),
  );
}

test('checks at most 10 wrong passwords from one address, until the 15 minutes are over', async () => {
  const api = await opened();
  let checked = 0;
  const { signIn } = api.platform.identity;
  api.platform.identity.signIn = (...args) => {
    checked += 1;
    return signIn(...args);
  };
  // Concurrent attempts, in upper and lower case, by two processes.
  const other = { app: await appOver(api.platform, { rateScale: 1 }) };
  const spelling = (turn: number) => (turn % 2 ? person.email : person.email.toUpperCase());
  expect(await statuses(25, (turn) => login(turn % 3 ? api : other, '192.0.2.1', 'wrong', spelling(turn)))).toEqual({
    401: 10,
    429: 15,
  });
  expect(checked).toBe(10);
  api.platform.clock.now += 60_000;
  const limited = await login(api, '192.0.2.1', person.password);
  expect(limited.json()).toMatchObject({ status: 429, code: 'rate-limited', retryAfter: 14 * 60 });
  expect(limited.headers['retry-after']).toBe('840');
  // Neither another address nor another e-mail is limited.
  expect((await login(api, '192.0.2.2', person.password)).statusCode).toBe(200);
  expect((await login(api, '192.0.2.1', 'wrong', 'eve@example.org')).statusCode).toBe(401);
  api.platform.clock.now += quarter;
  expect((await login(api, '192.0.2.1', person.password)).statusCode).toBe(200);
});

test('limits an unknown e-mail alike', async () => {
  const api = await opened();
  const guesses = (email: string) => statuses(12, () => login(api, '192.0.2.1', 'wrong', email));
  expect(await guesses('nobody@example.org')).toEqual(await guesses(person.email));
});

test('does not count failures of the identity provider and unconfirmed e-mail addresses', async () => {
  const api = await opened();
  const { signIn } = api.platform.identity;
  api.platform.identity.signIn = () => Promise.reject(new Error('away'));
  expect(await statuses(10, () => login(api, '192.0.2.1'))).toEqual({ 500: 10 });
  api.platform.identity.signIn = async () => ({ outcome: 'unconfirmed' });
  expect(await statuses(10, () => login(api, '192.0.2.1'))).toEqual({ 403: 10 });
  api.platform.identity.signIn = signIn;
  expect((await login(api, '192.0.2.1', person.password)).statusCode).toBe(200);
});

test('does not count successful sign-ins', async () => {
  const api = await opened();
  for (let times = 0; times < 12; times++)
    expect((await login(api, '192.0.2.1', person.password)).statusCode).toBe(200);
});

test('allows 50 wrong passwords from many addresses, and exempts an address that signed in before', async () => {
  const api = await opened();
  expect((await login(api, '203.0.113.1', person.password)).statusCode).toBe(200);
  expect(await statuses(60, (turn) => login(api, `198.51.100.${turn}`))).toEqual({ 401: 50, 429: 10 });
  expect((await login(api, '203.0.113.2', person.password)).statusCode).toBe(429);
  expect((await login(api, '203.0.113.1', person.password)).statusCode).toBe(200);
});

test('stores neither the e-mail nor the address in plain text', async () => {
  const api = await opened();
  const written: string[] = [];
  for (const method of ['add', 'putMany'] as const) {
    const real = api.platform.records[method] as (...args: unknown[]) => Promise<never>;
    api.platform.records[method] = (...args: unknown[]) => {
      written.push(JSON.stringify(args));
      return real(...args);
    };
  }
  await login(api, '192.0.2.77', person.password);
  expect(written.filter((text) => text.includes('guess#')).length).toBeGreaterThan(2);
  expect(written.join()).not.toMatch(/192\.0\.2\.77|ada@/i);
});
