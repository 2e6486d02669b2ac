import { mkdir, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { dirname } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Cli, cliFor, sessionFile, testServer } from '../support/cli.ts';

const id = 'run_00000000000000000000000000';

type RunState = { status: string; percent: number | null; done?: number; failed?: number; errors?: number };

function view({ status, percent, done = 0, failed = 0, errors = 0 }: RunState) {
  const ended = !['requested', 'running'].includes(status);
  return {
    ...{ id, jobId: 'job_1', sourceId: 'src_1', status },
    ...{
      requestedAt: '2026-01-01T00:00:00.000Z',
      startedAt: '2026-01-01T00:00:00.000Z',
      finishedAt: ended ? '2026-01-01T00:01:02.000Z' : null,
    },
    progress: {
      ...{ filesTotal: 10, filesDone: done, filesUnchanged: 0, filesDeleted: 0, filesFailed: failed, filesSkipped: 0 },
      ...{ bytesRead: done * 1024, bytesStored: done * 512, percent },
    },
    errors: Array.from({ length: errors }, (_, n) => ({
      path: `bad \u001b[31m${n}`,
      code: 'unreadable',
      message: 'It cannot be read.',
    })),
    cost: { requests: 1, usd: 0 },
  };
}

/**
 * Serves a run. Each request returns the next state, and the last one repeats. For `undefined` the connection breaks.
 * The server has no live socket.
 */
async function serving(
  states: (RunState | undefined)[],
  onRequest: (request: IncomingMessage) => void = () => {},
): Promise<Cli> {
  let next = 0;
  const url = await testServer((request, response) => {
    onRequest(request);
    if (request.url !== `/runs/${id}`) return response.writeHead(404).end();
    const state = states[Math.min(next, states.length - 1)];
    next += 1;
    if (!state) return request.socket.destroy();
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(view(state)));
  });
  const cli = await cliFor(url);
  await mkdir(dirname(sessionFile(cli)), { recursive: true });
  const session = { email: 'a@b.c', accessToken: 'a', refreshToken: 'r', accessExpiresAt: Date.now() + 3_600_000 };
  await writeFile(sessionFile(cli), JSON.stringify({ current: url, sessions: { [url]: session } }));
  return cli;
}

test('follows a run without a live socket and through an outage, never backwards, and prints its counts', async () => {
  const cli = await serving([
    { status: 'requested', percent: null },
    { status: 'running', percent: null },
    { status: 'running', percent: 40, done: 4 },
    undefined,
    { status: 'running', percent: 20, done: 4 },
    { status: 'partial', percent: 100, done: 3, failed: 7, errors: 7 },
  ]);
  const { code, stdout, stderr } = await cli('runs', 'follow', id);
  expect(code).toBe(2);
  expect(stderr.split('\n').map((line) => line.split('  ')[0])).toEqual([
    'waiting to start',
    'planning',
    '40%',
    '100%',
    '',
  ]);
  const lines = stdout.trimEnd().split('\n');
  expect(lines.slice(0, 3)).toEqual([
    `partial in 1 min 2 s  ${id}`,
    '  10 files: 3 saved, 7 failed',
    '  3.0 KiB read, 1.5 KiB stored',
  ]);
  expect(lines.slice(3)).toEqual([
    ...Array.from({ length: 5 }, (_, n) => `  bad \\u{1b}[31m${n}: It cannot be read. (unreadable)`),
    `  See all of them with \`listbackup runs errors ${id}\`.`,
  ]);
});

test('rejects text that cannot be the id of a run and says how to list runs', async () => {
  const cli = await serving([{ status: 'running', percent: 10 }]);
  expect(await cli('runs', 'show', 'run_x')).toEqual({
    code: 1,
    stdout: '',
    stderr: 'Error: `run_x` is not the id of a run. List runs with `listbackup runs`.\n',
  });
});

test('ignores a repeated Ctrl+C at any time', async () => {
  const cli = await serving([{ status: 'running', percent: 10, done: 1 }]);
  const running = cli.start(['runs', 'follow', id]);
  await expect.poll(running.stderr).toContain('10%');
  const pressing = setInterval(() => running.process.kill('SIGINT'), 1);
  onTestFinished(() => clearInterval(pressing));
  expect(await running.ended).toMatchObject({ code: 130, stderr: expect.stringContaining('The run continues') });
});

test('sets the exit code by the end of the run', async () => {
  const codes = await Promise.all(
    ['succeeded', 'failed', 'cancelled'].map(
      async (status) => (await (await serving([{ status, percent: 100 }]))('runs', 'follow', id, '--json')).code,
    ),
  );
  expect(codes).toEqual([0, 1, 1]);
});

test('stops following on Ctrl+C and does not cancel the run', async () => {
  const requests: string[] = [];
  const cli = await serving([{ status: 'running', percent: 10, done: 1 }], ({ method, url }) =>
    requests.push(`${method} ${url}`),
  );
  const running = cli.start(['runs', 'follow', id], { launcher: true, group: true });
  await expect.poll(running.stderr).toContain('10%');
  // A terminal sends the signal to all processes of the group.
  process.kill(-(running.process.pid ?? 0), 'SIGINT');
  expect(await running.ended).toMatchObject({
    code: 130,
    stdout: '',
    stderr: expect.stringContaining(
      `The run continues. Follow it again with \`listbackup runs follow ${id}\`, or cancel it with`,
    ),
  });
  expect(requests.filter((request) => request.includes('cancel'))).toEqual([]);
});
