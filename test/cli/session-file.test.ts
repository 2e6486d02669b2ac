import { mkdir, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { answered, openApi, signIn } from '../../cli/client.ts';
import { listen } from '../../cli/follow.ts';
import {
  currentUrl,
  forgetSession,
  keepSession,
  readSession,
  refreshSession,
  type Session,
  sessionPath,
} from '../../cli/session.ts';
import { email, password, testServer, testServerUrl } from '../support/cli.ts';
import { testFolder } from '../support/embedded.ts';

const url = 'http://127.0.0.1:4000';
const stale: Session = { email: 'a@b.c', accessToken: 'old', refreshToken: 'r1', accessExpiresAt: 0 };
// Two access tokens of the same second are equal, because the server signs the same claims.
const fresh: Session = { ...stale, refreshToken: 'r2' };

beforeEach(async () => {
  vi.stubEnv('XDG_CONFIG_HOME', await testFolder());
  return () => vi.unstubAllEnvs();
});

test('refreshes once for several concurrent calls, which all get the new session', async () => {
  await keepSession(url, stale);
  const exchange = vi.fn(async (_refreshToken: string) => fresh);
  expect(await Promise.all([1, 2, 3].map(() => refreshSession(url, stale, exchange)))).toEqual([fresh, fresh, fresh]);
  expect(exchange.mock.calls).toEqual([['r1']]);
  expect(await readSession(url)).toEqual(fresh);
});

test('repeats an exchange whose answer was lost, and keeps the session if the repeat fails too', async () => {
  await keepSession(url, stale);
  const lost = new Error('lost');
  expect(await refreshSession(url, stale, vi.fn().mockRejectedValueOnce(lost).mockResolvedValue(fresh))).toEqual(fresh);
  await expect(refreshSession(url, fresh, vi.fn().mockRejectedValue(lost))).rejects.toBe(lost);
  expect(await readSession(url)).toEqual(fresh);
  expect(await refreshSession(url, fresh, async () => undefined)).toBeUndefined();
  expect(await readSession(url)).toBeUndefined();
});

test('removes a stale lock', async () => {
  await mkdir(dirname(sessionPath()), { recursive: true });
  const lock = `${sessionPath()}.lock`;
  await writeFile(lock, '');
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(lock, longAgo, longAgo);
  await keepSession(url, stale);
  expect(await readSession(url)).toEqual(stale);
  await expect(stat(lock)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('keeps a session per server and makes the last sign-in current', async () => {
  await keepSession('http://one', stale);
  await keepSession('http://two', fresh);
  expect([await currentUrl(), await readSession('http://one'), await readSession('http://two')]).toEqual([
    'http://two',
    stale,
    fresh,
  ]);
  await forgetSession('http://two');
  expect([await currentUrl(), await readSession('http://two')]).toEqual(['http://one', undefined]);
});

test('repeats each of several requests with a rejected token after one refresh', async () => {
  const exchanged = Promise.withResolvers<void>();
  const deployment = await testServer(async (request, response) => {
    const reply = (status: number, body: object) =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.url === '/auth/refresh')
      return reply(200, { accessToken: 'new', refreshToken: 'r2', expiresIn: 900, tokenType: 'Bearer' });
    const good = request.headers.authorization === 'Bearer new';
    if (good) exchanged.resolve();
    else if (request.url === '/sources') await exchanged.promise;
    return good
      ? reply(200, { items: [], next: null })
      : reply(401, { title: 'No', detail: 'No.', code: 'invalid-token' });
  });
  await keepSession(deployment, { ...stale, accessExpiresAt: Date.now() + 3_600_000 });
  const api = openApi(deployment);
  const answers = await Promise.all([answered(api.GET('/jobs')), answered(api.GET('/sources'))]);
  expect(answers).toEqual([1, 2].map(() => ({ items: [], next: null })));
  expect(await readSession(deployment)).toMatchObject({ accessToken: 'new', refreshToken: 'r2' });
});

test('listen resolves when the live socket sends a message', async () => {
  const deployment = await testServerUrl();
  const body = JSON.stringify({ email, password, name: 'Ada' });
  await fetch(`${deployment}/auth/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  await signIn(deployment, email, password);
  const api = openApi(deployment);
  const news = listen(api, new AbortController().signal);
  onTestFinished(() => news.stop());
  await expect.poll(news.live).toBe(true);
  const message = news.next(3_600_000);
  const credentials = { accessKeyId: 'a', secretAccessKey: 's' };
  await answered(
    api.POST('/sources', { body: { type: 's3', name: 'Bucket', config: { bucket: 'my-bucket' }, credentials } }),
  );
  await message;
});
