/** Runs the command line as scripts do: as a process without a terminal, with its own configuration folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { startServer } from '../../infra/embedded/server.ts';
import { readSettings } from '../../infra/embedded/settings.ts';
import { silent, testFolder } from './embedded.ts';

export type Ended = { code: number | null; stdout: string; stderr: string };
export type Running = { process: ChildProcess; stderr: () => string; ended: Promise<Ended> };
export type Cli = {
  /** The folder of the session file. */
  config: string;
  (...args: string[]): Promise<Ended>;
  start(
    args: string[],
    options?: { input?: string; launcher?: boolean; group?: boolean; env?: { [name: string]: string } },
  ): Running;
};

const program = fileURLToPath(new URL('../../cli/listbackup.ts', import.meta.url));
const launcher = fileURLToPath(new URL('../../cli/bin.js', import.meta.url));
export const email = 'ada@example.com';
export const password = 'correct horse battery staple';

/** The command line against that server. Its user is Ada. */
export async function cliFor(url: string, env: { [name: string]: string } = {}): Promise<Cli> {
  const config = await testFolder();
  const start: Cli['start'] = (args, options = {}) => {
    const node = options.launcher ? [launcher] : ['--disable-warning=ExperimentalWarning', program];
    const child = spawn(process.execPath, [...node, ...args], {
      cwd: config,
      env: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
        HOME: config,
        XDG_CONFIG_HOME: config,
        LISTBACKUP_URL: url,
        LISTBACKUP_EMAIL: email,
        LISTBACKUP_PASSWORD: password,
        ...env,
        ...options.env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: options.group === true,
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream].setEncoding('utf8').on('data', (text) => (said[stream] += text));
    child.stdin.end(options.input);
    const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, ...said })));
    return { process: child, stderr: () => said.stderr, ended };
  };
  return Object.assign((...args: string[]) => start(args).ended, { config, start });
}

export function sessionFile(cli: Cli): string {
  return join(cli.config, 'listbackup', 'session.json');
}

/** The self-hosted server in this process, on a free port. */
export async function testServerUrl(): Promise<string> {
  const settings = readSettings([], {
    PORT: '0',
    LISTBACKUP_DATA: join(await testFolder(), 'data'),
    LISTBACKUP_RATE_LIMIT: '0',
  });
  const deployment = await startServer(settings, silent);
  onTestFinished(() => deployment.close());
  return deployment.url;
}

/** An HTTP server on a free port that closes with the test. Returns its address. */
export async function testServer(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
