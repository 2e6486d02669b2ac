import { mkdir, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { dirname } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Cli, cliFor, sessionFile, testServer } from '../support/cli.ts';

const id = 'run_00000000000000000000000000';

type Look = { status: string; percent: number | null; done?: number; failed?: number; errors?: number };

function view({ status, percent, done = 0, failed = 0, errors = 0 }: Look) {
  const over = !['requested', 'running'].includes(status);
  return {
    ...{ id, jobId: 'job_1', sourceId: 'src_1', status },
    ...{
      requestedAt: '2026-01-01T00:00:00.000Z',
      startedAt: '2026-01-01T00:00:00.000Z',
      finishedAt: over ? '2026-01-01T00:01:02.000Z' : null,
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

/** A server where a run looks like this, look after look, the last one for ever; `undefined`: it is away. It has no live socket. */
async function serving(
  looks: (Look | undefined)[],
  asked: (request: IncomingMessage) => void = () => {},
): Promise<Cli> {
  let at = 0;
  const url = await testServer((request, response) => {
    asked(request);
    if (request.url !== `/runs/${id}`) return response.writeHead(404).end();
    const look = looks[Math.min(at, looks.length - 1)];
    at += 1;
    if (!look) return request.socket.destroy();
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(view(look)));
  });
  const cli = await cliFor(url);
  await mkdir(dirname(sessionFile(cli)), { recursive: true });
  const session = { email: 'a@b.c', accessToken: 'a', refreshToken: 'r', accessExpiresAt: Date.now() + 3_600_000 };
  await writeFile(sessionFile(cli), JSON.stringify({ current: url, sessions: { [url]: session } }));
  return cli;
}

test('a run is followed without a live socket, never backwards, also while the server is away; then it shows the true counts', async () => {
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
    'waiting to begin',
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
    `  All of them: listbackup runs errors ${id}`,
  ]);
});

test('Ctrl+C again, whenever it comes, changes nothing', async () => {
  const cli = await serving([{ status: 'running', percent: 10, done: 1 }]);
  const running = cli.start(['runs', 'follow', id]);
  await expect.poll(running.stderr).toContain('10%');
  const pressing = setInterval(() => running.process.kill('SIGINT'), 1);
  onTestFinished(() => clearInterval(pressing));
  expect(await running.ended).toMatchObject({ code: 130, stderr: expect.stringContaining('The run goes on') });
});

test('the exit code says how the run ended', async () => {
  const codes = await Promise.all(
    ['succeeded', 'failed', 'cancelled'].map(
      async (status) => (await (await serving([{ status, percent: 100 }]))('runs', 'follow', id, '--json')).code,
    ),
  );
  expect(codes).toEqual([0, 1, 1]);
});

test('Ctrl+C ends the watching, not the run', async () => {
  const asked: string[] = [];
  const cli = await serving([{ status: 'running', percent: 10, done: 1 }], ({ method, url }) =>
    asked.push(`${method} ${url}`),
  );
  const running = cli.start(['runs', 'follow', id], { launcher: true, group: true });
  await expect.poll(running.stderr).toContain('10%');
  // as a terminal does it: to all processes of the group
  process.kill(-(running.process.pid ?? 0), 'SIGINT');
  expect(await running.ended).toMatchObject({
    code: 130,
    stdout: '',
    stderr: expect.stringContaining(`The run goes on: \`listbackup runs follow ${id}\``),
  });
  expect(asked.filter((one) => one.includes('cancel'))).toEqual([]);
});
