/** Data that is missing because a run was partial or cancelled. The server is canned: root can read any file. */

import { mkdir, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { type Cli, cliFor, email, sessionFile, testServer } from '../support/cli.ts';

const source = { id: `src_${'0'.repeat(26)}`, name: 'Docs' };
const entry = (path: string, kind: string) => ({ path, kind, size: 0, modifiedAt: null });

const cancelled = {
  id: `run_${'0'.repeat(26)}`,
  status: 'cancelled',
  startedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: '2026-01-01T00:00:01.000Z',
  errors: [],
  progress: { filesTotal: 90, filesDone: 40, filesSkipped: 0, filesFailed: 0, bytesRead: 1, bytesStored: 1 },
};

/** Returns the CLI at a server whose newest run has that status. The folder `noread` could not be read. */
async function afterRun(status: string): Promise<Cli> {
  const found: { [path: string]: unknown[] } = {
    '': [entry('noread', 'folder'), entry('empty', 'folder')],
  };
  const answers: { [path: string]: (query: URLSearchParams) => unknown[] } = {
    '/sources': () => [source],
    '/data/files': (query) => found[query.get('path') ?? ''] ?? [],
    '/runs': () => [
      { id: 'run_2', sourceId: source.id, status: 'failed', finishedAt: '2026-01-03T00:00:00.000Z' },
      { id: 'run_1', sourceId: source.id, status, finishedAt: '2026-01-02T00:00:00.000Z' },
      { id: 'run_0', sourceId: source.id, status: 'succeeded', finishedAt: '2026-01-01T00:00:00.000Z' },
    ],
    '/runs/run_1/errors': () => [{ path: 'noread', code: 'forbidden', message: '' }],
  };
  const json = (response: ServerResponse, body: unknown) =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  const url = await testServer(({ url: target = '/', headers }, response) => {
    const { pathname, searchParams } = new URL(target, 'http://server');
    if (pathname === '/data/download') return json(response, { id: 'dow_1', status: 'preparing' });
    if (pathname === '/data/downloads/dow_1')
      return json(response, { status: 'ready', url: `http://${headers.host}/zip` });
    if (pathname === `/runs/${cancelled.id}`) return json(response, cancelled);
    if (pathname === `/runs/${cancelled.id}/cancel`) return json(response, { id: cancelled.id, status: 'cancelling' });
    const [, id, verb] = /^\/runs\/(\w+)\/(pause|resume)$/.exec(pathname) ?? [];
    if (verb) return json(response, { id, status: verb === 'pause' ? 'paused' : 'running' });
    if (pathname === '/zip') return void response.end('zip');
    return json(response, { items: answers[pathname]?.(searchParams) ?? [], next: null });
  });
  const cli = await cliFor(url);
  const session = { email, accessToken: 'a', refreshToken: 'r', accessExpiresAt: 8e15 };
  await mkdir(dirname(sessionFile(cli)), { recursive: true });
  await writeFile(sessionFile(cli), JSON.stringify({ current: url, sessions: { [url]: session } }));
  return cli;
}

const seeErrors = ' The run of this backup could not read everything here. See `listbackup runs errors run_1`.\n';

test('a folder that could not be read does not look empty, and its zip not complete', async () => {
  const cli = await afterRun('partial');
  const [folder, file, zip, old, empty] = await Promise.all([
    cli('ls', 'noread'),
    cli('get', 'noread/secret.txt'),
    cli('get', 'noread', '-o', '-'),
    cli('ls', 'noread', '--as-of', '2026-01-01T12:00:00Z'),
    cli('ls', 'empty'),
  ]);
  expect(folder).toEqual({ code: 0, stdout: '', stderr: `The folder is empty.${seeErrors}` });
  expect(file).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'Error: `noread/secret.txt` does not exist in Docs. ' +
      `List the folder above it with \`listbackup ls Docs:noread\`.${seeErrors}`,
  });
  expect(zip).toEqual({ code: 2, stdout: 'zip', stderr: `The zip may lack files.${seeErrors}` });
  expect(old.stderr).toBe('The folder is empty.\n');
  expect(empty.stderr).toBe('The folder is empty.\n');
});

test('nothing is said about errors if the newest backup is complete', async () => {
  const cli = await afterRun('succeeded');
  expect(await cli('ls', 'noread')).toEqual({ code: 0, stdout: '', stderr: 'The folder is empty.\n' });
  expect(await cli('get', 'noread', '-o', '-')).toEqual({ code: 0, stdout: 'zip', stderr: '' });
});

test('a cancelled run saved nothing, and is not cancelled again', async () => {
  const cli = await afterRun('succeeded');
  expect((await cli('runs', 'show', cancelled.id)).stdout).toBe(
    `cancelled in 1.0 s  ${cancelled.id}\n  90 files: 40 read\n  1 B read, 1 B stored\n` +
      '  It created no restore point. Older backups stay.\n',
  );
  expect((await cli('runs', 'cancel', cancelled.id)).stdout).toBe(`Run ${cancelled.id} is cancelled.\n`);
});

test('a run is paused and resumed', async () => {
  const cli = await afterRun('succeeded');
  const { id } = cancelled;
  expect(await cli('runs', 'pause', id)).toEqual({ code: 0, stdout: `Run ${id} is paused.\n`, stderr: '' });
  expect(await cli('runs', 'resume', id)).toEqual({ code: 0, stdout: `Run ${id} goes on.\n`, stderr: '' });
  expect(JSON.parse((await cli('runs', 'pause', id, '--json')).stdout)).toEqual({ id, status: 'paused' });
});
