import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type Cli, cliFor, email, sessionFile, testServer, testServerUrl } from '../support/cli.ts';

type File = { sessions: { [url: string]: { accessToken: string; refreshToken: string; accessExpiresAt: number } } };

async function read(cli: Cli): Promise<File> {
  return JSON.parse(await readFile(sessionFile(cli), 'utf8'));
}

async function change(cli: Cli, url: string, members: Partial<File['sessions'][string]>): Promise<void> {
  const file = await read(cli);
  await writeFile(
    sessionFile(cli),
    JSON.stringify({ ...file, sessions: { [url]: { ...file.sessions[url], ...members } } }),
  );
}

test('signs in with a password of the environment or standard input, protects the session file, and signs out', async () => {
  const url = await testServerUrl();
  const cli = await cliFor(url);
  expect(await cli('register')).toMatchObject({ code: 0 });
  expect((await stat(sessionFile(cli))).mode & 0o777).toBe(0o600);
  const { refreshToken = '' } = (await read(cli)).sessions[url] ?? {};

  expect(await cli('logout')).toMatchObject({ code: 0, stdout: `Signed out at ${url}.\n` });
  const revoked = await fetch(`${url}/auth/refresh`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ refreshToken }),
  });
  expect(revoked.status).toBe(401);
  expect(await cli('whoami')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('Run `listbackup login`'),
  });

  const wrong = cli.start(['login', '--password-stdin', '--json'], { input: 'not the password\n' });
  const refused = await wrong.ended;
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(JSON.parse(refused.stderr)).toMatchObject({
    code: 'invalid-credentials',
    status: 401,
    detail: expect.any(String),
  });
  expect(await cli.start(['login'], { env: { LISTBACKUP_PASSWORD: '' } }).ended).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('--password-stdin'),
  });
  expect(await cli('login', '--password', 'x')).toMatchObject({
    code: 64,
    stderr: expect.stringContaining("unknown option '--password'"),
  });

  expect(await cli('login', '--json')).toMatchObject({
    code: 0,
    stdout: `${JSON.stringify({ url, email }, null, 2)}\n`,
  });
  expect(await cli('whoami')).toMatchObject({ code: 0, stdout: expect.stringContaining(email) });
});

test('refreshes an expired access token once for several commands at a time', async () => {
  const url = await testServerUrl();
  const cli = await cliFor(url);
  await cli('register');
  const before = (await read(cli)).sessions[url];
  await change(cli, url, { accessExpiresAt: 0 });
  const answers = await Promise.all([cli('sources'), cli('jobs'), cli('runs')]);
  expect(answers.map(({ code, stderr }) => [code, stderr.includes('Error')])).toEqual(
    [0, 0, 0].map((code) => [code, false]),
  );
  const after = (await read(cli)).sessions[url];
  expect(after?.refreshToken).not.toBe(before?.refreshToken);
  const generation = (token = '') => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).gen;
  expect(generation(after?.refreshToken)).toBe(2);

  // The server rejects the token before it expires, for example after a change of its secrets.
  await change(cli, url, { accessToken: 'worn out', accessExpiresAt: Date.now() + 3_600_000 });
  expect(await cli('sources')).toMatchObject({ code: 0 });

  await change(cli, url, { refreshToken: 'worn out', accessToken: 'worn out' });
  expect(await cli('sources')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Run `listbackup login`'),
  });
  expect(await read(cli)).toEqual({ current: null, sessions: {} });
});

/** Returns a URL at which no server can listen: its port belongs to the client end of a connection. */
async function deadUrl(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  await once(socket, 'connect');
  return `http://127.0.0.1:${socket.localPort}`;
}

test('says what to do if no server or another server answers, and for wrong usage', async () => {
  const dead = await deadUrl();
  const cli = await cliFor(dead);
  expect(await cli('login')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`No server answers at ${dead} (ECONNREFUSED). Start it with \`npm start\``),
  });
  const asJson = await cli('login', '--json');
  expect(JSON.parse(asJson.stderr)).toMatchObject({ code: 'unreachable', title: expect.any(String) });
  const page = await testServer((_request, response) => response.end('<html>'));
  expect(await cli('--url', page, 'login')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Check --url or LISTBACKUP_URL'),
  });
  expect(await cli('frobnicate', '--json')).toMatchObject({
    code: 64,
    stdout: '',
    stderr: expect.stringMatching(/^\{.*"code":"usage"\}\n$/),
  });
  expect(await cli('--url', 'gopher://x', 'login')).toMatchObject({ code: 64 });
  expect(await cli('ls', '--as-of', 'yesterday')).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('2026-01-31'),
  });
});
