/**
 * ministack, the AWS emulator that tests and local deployments run against: installed from PyPI into `.venv` at pinned versions,
 * started on a free loopback port with IAM enforced. `node scripts/ministack.ts` runs one until it is interrupted.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const requirements = join(root, 'scripts', 'ministack-requirements.txt');

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
  const python = await installMinistack();
  const work = await mkdtemp(join(tmpdir(), 'ministack-'));
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const started = await launch(python, port, work);
    if (started) return started;
    if (attempt === 3) throw new Error('ministack found no free port in three attempts; start it again');
  }
}

/** The Python of a venv that holds exactly the pinned packages, named by their hash and made when it is not there. */
async function installMinistack(): Promise<string> {
  const pins = await readFile(requirements);
  const venv = join(root, '.venv', `ministack-${createHash('sha256').update(pins).digest('hex').slice(0, 12)}`);
  const python = join(venv, 'bin', 'python');
  if (await exists(python)) return python;
  // Built aside and renamed, so that two test runs at once never see half a venv.
  const building = join(root, '.venv', `building-${process.pid}`);
  await mkdir(join(root, '.venv'), { recursive: true });
  await step(
    'python3',
    ['-m', 'venv', building],
    'ministack needs Python 3.10 or later with its venv module (on Debian: apt install python3-venv)',
  );
  await step(
    join(building, 'bin', 'python'),
    ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', requirements],
    'the packages in scripts/ministack-requirements.txt could not be installed; is the Python package index reachable?',
  );
  await rename(building, venv).catch(async (error: unknown) => {
    await rm(building, { recursive: true, force: true });
    if (!(await exists(python))) throw error;
  });
  return python;
}

async function step(command: string, args: string[], advice: string): Promise<void> {
  try {
    await run(command, args, { maxBuffer: 16 << 20 });
  } catch (error) {
    throw new Error(`${advice}\n${error instanceof Error ? error.message : String(error)}`, { cause: error });
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
  const stop = async () => {
    await end(child);
    await rm(work, { recursive: true, force: true, maxRetries: 5 });
  };
  if (!(await answers(endpoint, child))) {
    await end(child);
    if (text.includes('already in use') || text.includes('Address already in use')) return undefined;
    await stop();
    throw new Error(`ministack did not start:\n${text}`);
  }
  return {
    endpoint,
    account: '000000000000',
    region,
    environment: { ...credentials, AWS_ENDPOINT_URL: endpoint, AWS_REGION: region, AWS_DEFAULT_REGION: region },
    output: () => text,
    stop,
  };
}

/** Waits up to a minute for it to be ready; false when it ended or the time is over. */
async function answers(endpoint: string, child: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline && child.exitCode === null && child.signalCode === null) {
    const ready = await fetch(`${endpoint}/_ministack/ready`).then(
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
      server.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

if (import.meta.main) {
  const ministack = await startMinistack();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void ministack.stop());
  for (const [name, value] of Object.entries(ministack.environment)) console.log(`export ${name}=${value}`);
}
