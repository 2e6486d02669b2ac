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
// as in one second: the server signs the same claims once more
const fresh: Session = { ...stale, refreshToken: 'r2' };

beforeEach(async () => {
  vi.stubEnv('XDG_CONFIG_HOME', await testFolder());
  return () => vi.unstubAllEnvs();
});

test('of several that refresh at the same time one does, and the others take what it got', async () => {
  await keepSession(url, stale);
  const exchange = vi.fn(async (_refreshToken: string) => fresh);
  expect(await Promise.all([1, 2, 3].map(() => refreshSession(url, stale, exchange)))).toEqual([fresh, fresh, fresh]);
  expect(exchange.mock.calls).toEqual([['r1']]);
  expect(await readSession(url)).toEqual(fresh);
});

test('an exchange whose answer was lost is tried again; if that fails too the session is kept for the next time', async () => {
  await keepSession(url, stale);
  const lost = new Error('lost');
  expect(await refreshSession(url, stale, vi.fn().mockRejectedValueOnce(lost).mockResolvedValue(fresh))).toEqual(fresh);
  await expect(refreshSession(url, fresh, vi.fn().mockRejectedValue(lost))).rejects.toBe(lost);
  expect(await readSession(url)).toEqual(fresh);
  expect(await refreshSession(url, fresh, async () => undefined)).toBeUndefined();
  expect(await readSession(url)).toBeUndefined();
});

test('a lock whose holder died is no obstacle', async () => {
  await mkdir(dirname(sessionPath()), { recursive: true });
  const lock = `${sessionPath()}.lock`;
  await writeFile(lock, '');
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(lock, longAgo, longAgo);
  await keepSession(url, stale);
  expect(await readSession(url)).toEqual(stale);
  await expect(stat(lock)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('each server has its session, and the last one signed in to is the current one', async () => {
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

test('of several requests whose token is refused at the same time, each is made again with the new one', async () => {
  const exchanged = Promise.withResolvers<void>();
  const deployment = await testServer(async (request, response) => {
    const say = (status: number, body: object) =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.url === '/auth/refresh')
      return say(200, { accessToken: 'new', refreshToken: 'r2', expiresIn: 900, tokenType: 'Bearer' });
    const good = request.headers.authorization === 'Bearer new';
    if (good) exchanged.resolve();
    else if (request.url === '/sources') await exchanged.promise;
    return good ? say(200, { items: [], next: null }) : say(401, { title: 'No', detail: 'No.', code: 'invalid-token' });
  });
  await keepSession(deployment, { ...stale, accessExpiresAt: Date.now() + 3_600_000 });
  const api = openApi(deployment);
  const answers = await Promise.all([answered(api.GET('/jobs')), answered(api.GET('/sources'))]);
  expect(answers).toEqual([1, 2].map(() => ({ items: [], next: null })));
  expect(await readSession(deployment)).toMatchObject({ accessToken: 'new', refreshToken: 'r2' });
});

test('the live socket tells that there is news', async () => {
  const deployment = await testServerUrl();
  const body = JSON.stringify({ email, password, name: 'Ada' });
  await fetch(`${deployment}/auth/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  await signIn(deployment, email, password);
  const api = openApi(deployment);
  const news = listen(api, new AbortController().signal);
  onTestFinished(() => news.stop());
  await expect.poll(news.live).toBe(true);
  const told = news.next(3_600_000);
  const credentials = { accessKeyId: 'a', secretAccessKey: 's' };
  await answered(
    api.POST('/sources', { body: { type: 's3', name: 'Bucket', config: { bucket: 'my-bucket' }, credentials } }),
  );
  await told;
});
