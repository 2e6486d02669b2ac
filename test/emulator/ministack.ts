/**
 * Starts ministack, the AWS emulator for tests and local deployments. It is installed from PyPI into `.venv` at pinned
 * versions and runs on a free loopback port with IAM enforced. `node test/emulator/ministack.ts` runs one until
 * interrupted.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pythonWith } from '../../scripts/venv.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export type Ministack = {
  /** `http://127.0.0.1:<port>` */
  endpoint: string;
  account: string;
  region: string;
  /** Environment variables for an AWS SDK or CLI that calls it as root. */
  environment: { [name: string]: string };
  /** Its output so far, at most the last 64 KB. */
  output(): string;
  /** Ends the emulator and its Lambda workers. */
  stop(): Promise<void>;
};

/**
 * Runs the emulator in a process group of its own and kills the group when its standard input closes. Nothing stays
 * behind, not even when the process that started it is killed.
 */
const launcher = `
import os, shutil, signal, sys, threading
def wait_for_parent():
    while os.read(0, 1024): pass
    shutil.rmtree(os.environ['TMPDIR'], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=wait_for_parent, daemon=True).start()
from ministack.app import main
sys.argv = ['ministack']
main()
`;

/** Starts an empty ministack. Resolves when it answers. */
export async function startMinistack(): Promise<Ministack> {
  const python = await pythonWith('ministack');
  const work = await mkdtemp(join(tmpdir(), 'ministack-'));
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const started = await launch(python, port, work);
    if (started) return started;
    if (attempt === 3) throw new Error('ministack found no free port in three attempts. Start it again.');
  }
}

/** Returns undefined when another process took the port in the meantime. */
async function launch(python: string, port: number, work: string): Promise<Ministack | undefined> {
  const endpoint = `http://127.0.0.1:${port}`;
  const region = 'us-east-1';
  const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };
  const child = spawn(python, ['-c', launcher], {
    cwd: work,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    // Lambda workers inherit this environment. It has only the path of the caller, and the pinned Node comes first.
    env: {
      ...credentials,
      PATH: [join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter),
      HOME: work,
      TMPDIR: work,
      STATE_DIR: work,
      S3_DATA_DIR: work,
      LANG: 'C.UTF-8',
      BIND_HOST: '127.0.0.1',
      GATEWAY_PORT: String(port),
      MINISTACK_HOST: '127.0.0.1',
      MINISTACK_REGION: region,
      AUTH: 'true',
      IOT_MTLS_ENABLED: '0',
      SFTP_ENABLED: '0',
      LOG_LEVEL: process.env.MINISTACK_LOG_LEVEL ?? 'WARNING',
      PYTHONUNBUFFERED: '1',
    },
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text = (text + piece).slice(-65_536);
    });
  }
  let stopping = false;
  const stop = async () => {
    stopping = true;
    await end(child);
    await rm(work, { recursive: true, force: true, maxRetries: 20 });
  };
  if (!(await answers(endpoint, child))) {
    await end(child);
    if (text.includes('already in use') || text.includes('Address already in use')) return undefined;
    await stop();
    throw new Error(`ministack did not start. Its output:\n${text}`);
  }
  // Without this, a crash of the emulator would show only as refused connections.
  child.once(
    'exit',
    (code, signal) =>
      stopping || console.error(`ministack ended unexpectedly (${signal ?? code}). Its output:\n${text}`),
  );
  return {
    endpoint,
    account: '000000000000',
    region,
    environment: { ...credentials, AWS_ENDPOINT_URL: endpoint, AWS_REGION: region, AWS_DEFAULT_REGION: region },
    output: () => text,
    stop,
  };
}

/** Waits up to three minutes until the emulator is ready. False when it ended or is not ready in time. */
async function answers(endpoint: string, child: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + 180_000;
  while (Date.now() < deadline && child.exitCode === null && child.signalCode === null) {
    // Another process may have taken the port and never answer.
    const ready = await fetch(`${endpoint}/_ministack/ready`, { signal: AbortSignal.timeout(10_000) }).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return child.exitCode === null;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.stdin?.end();
  await exited;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

if (import.meta.main) {
  const ministack = await startMinistack();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void ministack.stop());
  for (const [name, value] of Object.entries(ministack.environment)) console.log(`export ${name}=${value}`);
}
