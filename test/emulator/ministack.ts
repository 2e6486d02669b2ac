/**
 * ministack, the AWS emulator that tests and local deployments run against: installed from PyPI into `.venv` at pinned versions,
 * started on a free loopback port with IAM enforced. `node test/emulator/ministack.ts` runs one until it is interrupted.
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
  /** What an AWS SDK or CLI needs in its environment to talk to it as root. */
  environment: { [name: string]: string };
  /** What it has written so far, newest last, at most the last 64 KB. */
  output(): string;
  /** Ends it and the Lambda workers it started. */
  stop(): Promise<void>;
};

/**
 * The emulator runs in a process group of its own and ends the group when its standard input closes: nothing stays behind, not even
 * when whoever started it is killed.
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

/** Starts a fresh, empty ministack; resolves when it answers. */
export async function startMinistack(): Promise<Ministack> {
  const python = await pythonWith('ministack');
  const work = await mkdtemp(join(tmpdir(), 'ministack-'));
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const started = await launch(python, port, work);
    if (started) return started;
    if (attempt === 3) throw new Error('ministack found no free port in three attempts; start it again');
  }
}

/** undefined when the port was taken in between. */
async function launch(python: string, port: number, work: string): Promise<Ministack | undefined> {
  const endpoint = `http://127.0.0.1:${port}`;
  const region = 'us-east-1';
  const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };
  const child = spawn(python, ['-c', launcher], {
    cwd: work,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    // Lambdas inherit this environment, so it holds nothing of ours but the path: their Node is the first in it.
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
    throw new Error(`ministack did not start:\n${text}`);
  }
  // Or all that is left to see are refused connections.
  child.once(
    'exit',
    (code, signal) => stopping || console.error(`ministack ended by itself (${signal ?? code}):\n${text}`),
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

/** Waits up to three minutes for it to be ready; false when it ended or the time is over. */
async function answers(endpoint: string, child: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + 180_000;
  while (Date.now() < deadline && child.exitCode === null && child.signalCode === null) {
    // Whoever took the port in between may never answer.
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
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.stdin?.end();
  await gone;
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
