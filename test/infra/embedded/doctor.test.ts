/** Runs `listbackup doctor` as a process over a data folder, as operators do. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { sha256 } from '../../../activity/commit.ts';
import { chunkIndexFile } from '../../../infra/embedded/chunk-index.ts';
import { client } from '../../acceptance/client.ts';
import { type BackedUp, makeBackedUp } from '../../faults/backed-up.ts';
import { killServers, startKillableServer } from '../../faults/killable-server.ts';

const program = fileURLToPath(new URL('../../../infra/embedded/doctor.ts', import.meta.url));
const cli = fileURLToPath(new URL('../../../cli/listbackup.ts', import.meta.url));

let root = '';
let backedUp: BackedUp;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'listbackup-doctor-'));
  backedUp = await makeBackedUp(root);
});
afterAll(async () => {
  killServers();
  await rm(root, { recursive: true, force: true });
});

type Ended = { code: number; stdout: string; stderr: string };

function run(script: string, args: string[], env: { [name: string]: string } = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const { PATH, NODE_COMPILE_CACHE } = process.env;
    const options = { env: { PATH, NODE_COMPILE_CACHE, ...env }, cwd: root };
    execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', script, ...args],
      options,
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

const doctor = (data: string, ...args: string[]) => run(program, ['--data', data, ...args]);

async function copyOf(): Promise<string> {
  const data = await mkdtemp(join(root, 'copy-'));
  await cp(backedUp.data, data, { recursive: true });
  return data;
}

/** Returns every file of the folder with its hash and time, and every folder. */
async function traceOf(data: string): Promise<{ [name: string]: string }> {
  const trace: { [name: string]: string } = {};
  for (const name of await readdir(data, { recursive: true })) {
    const path = join(data, name);
    const stats = await stat(path);
    trace[name] = `${stats.mtimeMs} ${stats.isFile() ? sha256(await readFile(path)) : 'folder'}`;
  }
  return trace;
}

/** Flips a bit in the middle of the first pack. */
async function damagePack(data: string): Promise<void> {
  const names = (await readdir(join(data, 'blobs/packs'), { recursive: true })).filter((name) => name.endsWith('.f'));
  const packs = await Promise.all(
    names.map(async (name) => {
      const path = join(data, 'blobs/packs', name);
      return { path, bytes: await readFile(path) };
    }),
  );
  // In a small pack the byte is outside of any slot.
  const [largest] = packs.sort((a, b) => b.bytes.length - a.bytes.length);
  if (!largest) throw new Error('There is no pack to damage.');
  const { path, bytes } = largest;
  bytes.writeUInt8(bytes.readUInt8(50) ^ 1, 50);
  await writeFile(path, bytes);
}

it('reports no failures and the number of checks, and changes no file', async () => {
  const before = await traceOf(backedUp.data);
  const { code, stdout, stderr } = await doctor(backedUp.data);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/\d+ ledger entries, \d+ commits/);
  expect(stdout).toMatch(/No failures found\. Content was not read\. To read it too, add --read-data/);
  expect(await traceOf(backedUp.data)).toEqual(before);
});

it('finds damaged content with --read-data and says what to do', async () => {
  const data = await copyOf();
  await damagePack(data);
  expect((await doctor(data)).code).toBe(0);
  const { code, stdout } = await doctor(data, '--read-data');
  expect(code).toBe(1);
  expect(stdout).toMatch(/FAILURE: pack slots \(1\)\n {2}pak_\S+ slot \d+: it does not authenticate/);
  expect(stdout).toMatch(/FAILURE: file versions \(\d+\)\n {2}file_\S+ version 2: /);
  // Both kinds have the same advice.
  expect(stdout.match(/→ .*Restore missing or damaged packs and manifests from a copy/g)).toHaveLength(1);
  expect(stdout).toMatch(/\d+ failures found\.$/m);
});

it('prints one JSON line per finding and a summary with --json', async () => {
  const data = await copyOf();
  await damagePack(data);
  const { code, stdout } = await doctor(data, '--read-data', '--json');
  expect(code).toBe(1);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const summary = lines.pop();
  expect(summary).toMatchObject({
    type: 'summary',
    readData: true,
    failures: lines.filter(({ severity }) => severity === 'failure').length,
  });
  expect(summary.checked).toMatchObject({ ledger: expect.any(Number), file: expect.any(Number) });
  expect(lines).toContainEqual(expect.objectContaining({ type: 'finding', severity: 'failure', what: 'pack-slot' }));
});

it.each([
  ['npm run doctor', [program]],
  ['listbackup doctor', [cli, 'doctor']],
])('%s ends quietly when the reader of its output closes the pipe', async (_name, command) => {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ...command, '--data', backedUp.data, '--json'],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: root },
  );
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const [code] = await once(child, 'close');
  expect([code, stderr]).toEqual([2, '']);
});

it('prints no personal data', async () => {
  const data = await copyOf();
  for (const name of await readdir(join(data, 'blobs/packs'), { recursive: true }))
    if (name.endsWith('.f')) await rm(join(data, 'blobs/packs', name));
  const { stdout } = await doctor(data, '--json');
  expect(stdout).toContain('"file"');
  for (const secret of ['a.txt', 'photos', 'Papers', 'Nightly', 'ada@example.com', backedUp.source])
    expect(stdout).not.toContain(secret);
});

it('compares backups with their sources with --sources', async () => {
  const data = await copyOf();
  expect((await doctor(data, '--sources')).stdout).toMatch(/\d+ source entries/);
  await writeFile(join(backedUp.source, 'later.txt'), 'x');
  onTestFinished(() => rm(join(backedUp.source, 'later.txt')));
  const { code, stdout } = await doctor(data, '--sources');
  expect(code).toBe(1);
  expect(stdout).toMatch(/FAILURE: source entries \(1\)/);
  expect(stdout).not.toContain('later.txt');
});

it('runs as a command of the CLI', async () => {
  const { code, stdout } = await run(cli, ['doctor', '--json'], { LISTBACKUP_DATA: backedUp.data });
  expect(code).toBe(0);
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ type: 'summary', failures: 0 });
  expect((await run(cli, ['doctor', '--data', root])).code).toBe(2);
});

it('refuses a folder in use and says what to do', async () => {
  const data = await copyOf();
  // In another process: with POSIX locks, closing the file in the locking process would release the lock.
  const box = await startKillableServer(data);
  onTestFinished(async () => void (await box?.stop()));
  const before = await traceOf(data);
  const { code, stdout, stderr } = await doctor(data);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/ListBackup is running on this data folder. Stop it .* or check a snapshot/);
  expect(await traceOf(data)).toEqual(before);
});

it('checks a folder after kill -9 without changing it', async () => {
  const data = await copyOf();
  await writeFile(join(backedUp.source, 'new.txt'), 'new');
  onTestFinished(() => rm(join(backedUp.source, 'new.txt')));
  const box = await startKillableServer(data, 'store:packed');
  if (!box) throw new Error('The server was killed before the first request.');
  const api = client(box.url, backedUp.owner.token);
  await api.call('POST', `/jobs/${backedUp.owner.jobId}/run`).catch(() => undefined);
  expect(await box.ended).toBe('SIGKILL');
  const before = await traceOf(data);
  expect(Object.keys(before)).toContain('listbackup.db-wal');
  const { code, stdout, stderr } = await doctor(data, '--read-data');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/Info: open runs \(1\)\n {2}run_\S+: it is running/);
  expect(await traceOf(data)).toEqual(before);
});

it.each<[string, (data: string) => Promise<void>, number, RegExp]>([
  ['a missing folder', (data) => rm(data, { recursive: true }), 2, /is not a data folder/],
  ['a file that is not a database', (data) => writeFile(join(data, 'listbackup.db'), 'x'.repeat(8192)), 1, /database/],
  [
    'a lost key file with a copy',
    (data) => rm(join(data, 'keys.json')),
    0,
    /Info: key files \(1\)\n {2}keys.json: it is missing; the next start writes it again/,
  ],
  [
    'a lost copy of the key file',
    (data) => rm(join(data, 'keys-copy.json')),
    0,
    /Info: key files \(1\)\n {2}keys-copy.json: it is missing; the next start writes it again/,
  ],
  [
    'lost key files',
    async (data) => {
      for (const file of ['keys.json', 'keys-copy.json']) await rm(join(data, file));
    },
    1,
    /FAILURE: key files \(\d+\)\n.*lost its keys.json[\s\S]*Restore keys\.json/,
  ],
  [
    'blobs in another location',
    (data) => writeFile(join(data, 'blobs-are-at'), 's3://some-bucket\n'),
    2,
    /Set LISTBACKUP_BLOBS=s3:\/\/some-bucket/,
  ],
  ['a folder of a newer version', async (data) => inDatabase(data, 'PRAGMA user_version = 999'), 2, /newer version/],
  [
    'a folder of an older version',
    async (data) => inDatabase(data, 'PRAGMA user_version = 0'),
    2,
    /Start and stop this version once/,
  ],
  ['a missing chunk index', (data) => rm(join(data, chunkIndexFile)), 0, /Info: .*\n.*chunk-index\.db: it is missing/],
  [
    'a chunk index that is not a database',
    (data) => writeFile(join(data, chunkIndexFile), 'x'.repeat(8192)),
    0,
    /Info: .*\n.*chunk-index\.db: it is missing or damaged/,
  ],
  ['an index without one of its entries', async (data) => inDatabase(data, dropFromIndex), 1, /FAILURE: databases/],
])('reports %s', async (_name, damage, exitCode, output) => {
  const data = await copyOf();
  await damage(data);
  const { code, stdout, stderr } = await doctor(data);
  expect(stdout + stderr).toMatch(output);
  expect(code).toBe(exitCode);
});

const dropFromIndex = `
  PRAGMA writable_schema = ON;
  CREATE TABLE other (account TEXT, ledger_at TEXT);
  CREATE INDEX others ON other (account, ledger_at);
  UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'others')
    WHERE name = 'commits_by_time';
  PRAGMA writable_schema = RESET;`;

function inDatabase(data: string, sql: string): void {
  const db = new DatabaseSync(join(data, 'listbackup.db'), { defensive: false });
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

it('prints its help, and names a wrong option', async () => {
  expect(await run(program, ['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('--read-data') });
  expect(await run(program, ['--wrong'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--wrong') });
});
