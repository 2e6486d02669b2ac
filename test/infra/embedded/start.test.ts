/** `npm start`: the banner, the options, and one line for each error that says what to do. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, it } from 'vitest';
import { urlHost } from '../../../infra/embedded/server.ts';
import { readSettings } from '../../../infra/embedded/settings.ts';
import { describeStartError } from '../../../infra/embedded/start-error.ts';
import { client, until } from '../../acceptance/client.ts';
import { testFolder } from '../../support/embedded.ts';
import { npmStart, type Started } from '../../support/npm-start.ts';

const running: Started[] = [];
afterEach(async () => {
  for (const started of running.splice(0)) await started.stop();
});
async function start(env: { [name: string]: string }, ...args: string[]): Promise<Started> {
  const started = await npmStart(env, args);
  running.push(started);
  return started;
}
/** Starts a server that must fail. Returns its one line of output. */
function failedStart(env: { [name: string]: string }, ...args: string[]): string {
  const result = spawnSync('npm', ['start', '--silent', '--', ...args], {
    env: { ...process.env, PORT: '0', ...env },
    encoding: 'utf8',
  });
  expect(result.status).toBe(1);
  const lines = result.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('npm '));
  expect(lines).toHaveLength(1);
  return lines[0] ?? '';
}

describe('npm start', () => {
  it('names a port that is in use and how to choose another', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
    expect(failedStart({ PORT: String(port), LISTBACKUP_DATA: await testFolder() })).toBe(
      `Port ${port} is in use. Stop the program that uses it, or choose another: PORT=${port + 1} npm start`,
    );
    server.close();
  });

  it('stops cleanly when npm receives SIGTERM', async () => {
    const started = await npmStart({ LISTBACKUP_DATA: await testFolder() });
    expect(await started.stop()).toBe(0);
    await expect(fetch(`${started.url}/health`)).rejects.toThrow();
  });

  it('allows one process per data folder', async () => {
    const data = await testFolder();
    await start({ LISTBACKUP_DATA: data });
    expect(failedStart({ LISTBACKUP_DATA: data })).toMatch(/Another process uses this data folder/);
    expect(failedStart({ LISTBACKUP_DATA: data }, '--reset')).toMatch(/Another process uses this data folder/);
  });

  it('does not touch data of a newer version', async () => {
    const data = await testFolder();
    mkdirSync(data, { recursive: true });
    const db = new DatabaseSync(join(data, 'listbackup.db'));
    db.exec('PRAGMA user_version = 999');
    db.close();
    expect(failedStart({ LISTBACKUP_DATA: data })).toMatch(/A newer version of ListBackup made this data folder/);
  });

  it('deletes its data folder with --reset, and no other folder', async () => {
    const data = await testFolder();
    const first = await npmStart({ LISTBACKUP_DATA: data });
    const person = { email: 'a@example.com', password: 'correct horse battery', name: 'A' };
    await client(first.url).expect(201, 'POST', '/auth/register', { body: person });
    await first.stop();
    const second = await start({ LISTBACKUP_DATA: data }, '--reset');
    await client(second.url).expect(201, 'POST', '/auth/register', { body: person });

    const other = await testFolder();
    mkdirSync(other, { recursive: true });
    writeFileSync(join(other, 'precious'), 'mine');
    expect(failedStart({ LISTBACKUP_DATA: other }, '--reset')).toMatch(/is not a data folder of ListBackup/);
  });

  it('creates an account with a finished, a failed and a running run with --demo', async () => {
    const { url, shown } = await start({ LISTBACKUP_DATA: await testFolder() }, '--demo');
    expect(shown()).toMatch(/ {2}Runs {5}1 open run\n/);
    const { accessToken } = await client(url).expect(200, 'POST', '/auth/login', {
      body: { email: 'demo@example.com', password: 'a demo for everyone' },
    });
    const runs = await until('all three runs are there', async () => {
      const all = await client(url, String(accessToken)).all('/runs');
      return all.length === 3 ? all : undefined;
    });
    const statuses = runs.map(({ status }) => status);
    expect(statuses.slice(1).sort()).toEqual(['failed', 'succeeded']);
    expect(['requested', 'running', 'succeeded']).toContain(statuses[0]);
  });

  it('warns of a folder that does not exist, and starts', async () => {
    const { warnings } = await start({ LISTBACKUP_DATA: await testFolder(), LISTBACKUP_FOLDERS: '/nope' });
    expect(warnings()).toBe(
      '/nope in LISTBACKUP_FOLDERS does not exist. Mount or create it, or correct the setting.\n',
    );
  });

  it.each([
    ['ENOSPC', 'is full'],
    ['EDQUOT', 'is full'],
    ['ENOTDIR', 'is not a folder'],
    ['EEXIST', 'is not a folder'],
    ['ENOENT', 'cannot be created'],
    ['EACCES', 'cannot be used'],
    ['EROFS', 'cannot be used'],
    ['EADDRNOTAVAIL', 'is not an address of this computer'],
  ])('has a line for %s', (code, line) => {
    const error = Object.assign(new Error('x'), { code });
    expect(describeStartError(error, { data: '/data', host: '192.0.2.1', port: 4000 })).toMatch(line);
  });

  it.each([
    [{ code: 'EACCES', syscall: 'listen' }, 'needs administrator rights'],
    [{ code: 'EACCES', syscall: 'open', path: '/data/keys.json' }, '/data/keys.json cannot be used'],
    [{ code: 'ERR_SQLITE_ERROR', message: 'unable to open database file' }, '/data/listbackup.db cannot be opened'],
    [{ code: 'ERR_SQLITE_ERROR', message: 'disk I/O error' }, '/data/listbackup.db cannot be opened'],
  ])('names what is refused for %j', (error, line) => {
    expect(describeStartError(error, { data: '/data', host: '127.0.0.1', port: 80 })).toMatch(line);
  });

  it.each([
    ['::', '[::]'],
    ['FD00:0:0::2', '[fd00::2]'],
    ['Backup.local', 'backup.local'],
    ['127.0.0.1', '127.0.0.1'],
  ])('accepts the Host header of HOST=%s', (host, name) => {
    expect(urlHost(host)).toBe(name);
  });

  it('prints its help with --help', () => {
    const result = spawnSync('npm', ['start', '--silent', '--', '--help'], { encoding: 'utf8' });
    expect([result.status, result.stderr]).toEqual([0, '']);
    expect(result.stdout).toMatch(/^Usage: npm start -- \[options\]\n/);
    expect(result.stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(result.stdout).toContain('trace, debug, info, warn, error, fatal or silent');
    expect(result.stdout).toContain('s3://bucket or s3://bucket/prefix');
  });

  it.each<[{ [name: string]: string }, string[], RegExp]>([
    [{}, ['--frobnicate'], /^Unknown option '--frobnicate'\. See npm start -- --help\.$/],
    [{}, ['demo'], /^Unexpected argument 'demo'\. See npm start -- --help\.$/],
    [{ PORT: '0x10' }, [], /^PORT must be a whole number from 0 to 65535, not 0x10\.$/],
    [{ LISTBACKUP_RATE_LIMIT: ' ' }, [], /^LISTBACKUP_RATE_LIMIT must be a number, or 0 for no limits, not {2}\.$/],
    [
      { LISTBACKUP_LOG_LEVEL: 'loud' },
      [],
      /^LISTBACKUP_LOG_LEVEL must be one of trace, .*fatal or silent, not loud\.$/,
    ],
    [{ LISTBACKUP_ALLOW_HOSTS: 'a b' }, [], /^LISTBACKUP_ALLOW_HOSTS must hold host or host:port, .*, not a b\.$/],
    [{ LISTBACKUP_HOSTNAMES: 'http://x' }, [], /^LISTBACKUP_HOSTNAMES must hold host names .*, not http:\/\/x\.$/],
    [{ LISTBACKUP_FOLDERS: 'relative' }, [], /^LISTBACKUP_FOLDERS must hold absolute paths, not relative\.$/],
    [{ LISTBACKUP_GRACE_DAYS: '-1' }, [], /^LISTBACKUP_GRACE_DAYS must be a whole number from 0 to 999, not -1\.$/],
    [{ LISTBACKUP_RATE_LIMIT: 'fast' }, [], /^LISTBACKUP_RATE_LIMIT must be a number, or 0 for no limits, not fast\.$/],
  ])('explains the wrong setting %j %j', (env, args, line) => {
    let error: unknown;
    try {
      readSettings(args, env);
    } catch (thrown) {
      error = thrown;
    }
    expect(describeStartError(error)).toMatch(line);
  });

  it.each<[{ [name: string]: string }, string[], RegExp]>([
    [{ PORT: 'http' }, [], /^PORT must be a whole number from 0 to 65535, not http\.$/],
    [{ LISTBACKUP_DATA: '/etc' }, [], /^\/etc holds other files and is not a data folder of ListBackup\. Name an/],
    [{ LISTBACKUP_DATA: '/etc' }, ['--reset'], /^\/etc holds other files and is not a data folder of ListBackup\./],
    [{ LISTBACKUP_DATA: '/dev/null' }, [], /^\/dev\/null is not a folder/],
    [{ LISTBACKUP_DATA: '/dev/null/below' }, [], /^\/dev\/null\/below is not a folder, or is inside a file\. Name a/],
    [{ LISTBACKUP_DATA: '/proc/x' }, [], /^\/proc\/x cannot be created\. Name another folder in LISTBACKUP_DATA\.$/],
  ])('refuses to start with %j %j, and says why in one line', (env, args, line) => {
    expect(failedStart(env, ...args)).toMatch(line);
  });

  it('has a line for a Node that is too old', () => {
    const old = `Object.defineProperty(process.versions, 'node', { value: '20.0.0' }); await import('./infra/embedded/start.js');`;
    const result = spawnSync('node', ['--input-type=module', '-e', old], { encoding: 'utf8' });
    expect([result.status, result.stderr]).toEqual([
      1,
      expect.stringMatching(/^ListBackup needs Node 24 or later, and this is 20\.0\.0\..*\n$/),
    ]);
  });
});
