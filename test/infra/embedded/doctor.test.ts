/** `listbackup doctor` as operators have it: a process over a data folder, which it leaves as it is. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { sha256 } from '../../../activity/commit.ts';
import { client } from '../../acceptance/client.ts';
import { type BackedUp, makeBackedUp } from '../../faults/backed-up.ts';
import { endBoxes, startBox } from '../../faults/box-process.ts';

const program = fileURLToPath(new URL('../../../infra/embedded/doctor.ts', import.meta.url));
const cli = fileURLToPath(new URL('../../../cli/listbackup.ts', import.meta.url));

let root = '';
let kept: BackedUp;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'listbackup-doctor-'));
  kept = await makeBackedUp(root);
});
afterAll(async () => {
  endBoxes();
  await rm(root, { recursive: true, force: true });
});

type Ended = { code: number; stdout: string; stderr: string };

function run(script: string, args: string[], env: { [name: string]: string } = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, ...env }, cwd: root };
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
  await cp(kept.data, data, { recursive: true });
  return data;
}

/** Every file of the folder with its content and time, and every folder. */
async function traceOf(data: string): Promise<{ [name: string]: string }> {
  const trace: { [name: string]: string } = {};
  for (const name of await readdir(data, { recursive: true })) {
    const path = join(data, name);
    const about = await stat(path);
    trace[name] = `${about.mtimeMs} ${about.isFile() ? sha256(await readFile(path)) : 'folder'}`;
  }
  return trace;
}

/** One byte in the middle of the first pack. */
async function damagePack(data: string): Promise<void> {
  const packs = (await readdir(join(data, 'blobs/packs'), { recursive: true }))
    .filter((name) => name.endsWith('.f'))
    .sort();
  const path = join(data, 'blobs/packs', packs[0] ?? '');
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(50) ^ 1, 50);
  await writeFile(path, bytes);
}

it('says that nothing is wrong, what it looked at, and leaves no trace', async () => {
  const before = await traceOf(kept.data);
  const { code, stdout, stderr } = await doctor(kept.data);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/\d+ ledger entries, \d+ commits/);
  expect(stdout).toMatch(/No failures found\. Content was not read\. To read it too, add --read-data/);
  expect(await traceOf(kept.data)).toEqual(before);
});

it('reads content when told to, and names what is wrong and what to do', async () => {
  const data = await copyOf();
  await damagePack(data);
  expect((await doctor(data)).code).toBe(0);
  const { code, stdout } = await doctor(data, '--read-data');
  expect(code).toBe(1);
  expect(stdout).toMatch(/FAILURE: pack slots \(1\)\n {2}pak_\S+ slot \d+: .*does not authenticate/);
  expect(stdout).toMatch(/FAILURE: file versions \(\d+\)/);
  expect(stdout).toMatch(/→ .*Put the blob back from a copy/);
  expect(stdout).toMatch(/\d+ failures found\.$/m);
});

it('speaks to programs: a finding a line, then the summary', async () => {
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

it('says nothing personal', async () => {
  const data = await copyOf();
  for (const name of await readdir(join(data, 'blobs/packs'), { recursive: true }))
    if (name.endsWith('.f')) await rm(join(data, 'blobs/packs', name));
  const { stdout } = await doctor(data, '--json');
  expect(stdout).toContain('"file"');
  for (const secret of ['a.txt', 'photos', 'Papers', 'Nightly', 'ada@example.com', kept.source])
    expect(stdout).not.toContain(secret);
});

it('compares with the sources when told to', async () => {
  const data = await copyOf();
  expect((await doctor(data, '--sources')).stdout).toMatch(/\d+ source entries/);
  await writeFile(join(kept.source, 'later.txt'), 'x');
  onTestFinished(() => rm(join(kept.source, 'later.txt')));
  const { code, stdout } = await doctor(data, '--sources');
  expect(code).toBe(1);
  expect(stdout).toMatch(/FAILURE: source entries \(1\)/);
  expect(stdout).not.toContain('later.txt');
});

it('is a command of the command line', async () => {
  const { code, stdout } = await run(cli, ['doctor', '--json'], { LISTBACKUP_DATA: kept.data });
  expect(code).toBe(0);
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ type: 'summary', failures: 0 });
  expect((await run(cli, ['doctor', '--data', root])).code).toBe(2);
});

it('does not check a folder in use, and says what to do', async () => {
  const data = await copyOf();
  // A process of its own: whoever reads the file in the process that has it locked takes the lock away (POSIX).
  const box = await startBox(data);
  onTestFinished(async () => void (await box?.stop()));
  const before = await traceOf(data);
  const { code, stdout, stderr } = await doctor(data);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/ListBackup is running on this data folder. Stop it .* or check a snapshot/);
  expect(await traceOf(data)).toEqual(before);
});

it('checks what kill -9 has left, and leaves it as it is', async () => {
  const data = await copyOf();
  await writeFile(join(kept.source, 'new.txt'), 'new');
  onTestFinished(() => rm(join(kept.source, 'new.txt')));
  const box = await startBox(data, 'store:counted');
  if (!box) throw new Error('it was killed before anything was asked for');
  const api = client(box.url, kept.owner.token);
  await api.call('POST', `/jobs/${kept.owner.jobId}/run`).catch(() => undefined);
  expect(await box.ended).toBe('SIGKILL');
  const before = await traceOf(data);
  expect(Object.keys(before)).toContain('listbackup.db-wal');
  const { code, stdout, stderr } = await doctor(data, '--read-data');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/Info: open runs \(1\)\n {2}run_\S+: it is running/);
  expect(await traceOf(data)).toEqual(before);
});

it.each<[string, (data: string) => Promise<void>, number, RegExp]>([
  ['nothing at all', (data) => rm(data, { recursive: true }), 2, /is no data folder/],
  ['a database that is none', (data) => writeFile(join(data, 'listbackup.db'), 'x'.repeat(8192)), 1, /database/],
  [
    'a key file that is lost',
    (data) => rm(join(data, 'keys.json')),
    1,
    /FAILURE: key files \(\d+\)\n.*lost its keys.json[\s\S]*Put keys.json back/,
  ],
  [
    'blobs that are elsewhere',
    (data) => writeFile(join(data, 'blobs-are-at'), 's3://some-bucket\n'),
    2,
    /set LISTBACKUP_BLOBS=s3:\/\/some-bucket/,
  ],
  ['what a newer version made', async (data) => inDatabase(data, 'PRAGMA user_version = 999'), 2, /newer version/],
  [
    'what an older version made',
    async (data) => inDatabase(data, 'PRAGMA user_version = 0'),
    2,
    /start and stop this one once/,
  ],
  ['an index that lacks an entry', async (data) => inDatabase(data, dropFromIndex), 1, /FAILURE: databases/],
])('tells of %s', async (_what, damage, due, said) => {
  const data = await copyOf();
  await damage(data);
  const { code, stdout, stderr } = await doctor(data);
  expect(stdout + stderr).toMatch(said);
  expect(code).toBe(due);
});

const dropFromIndex = `
  PRAGMA writable_schema = ON;
  CREATE TABLE other (account TEXT, ledger_at TEXT);
  CREATE INDEX others ON other (account, ledger_at);
  UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'others') WHERE name = 'commits_by_time';
  PRAGMA writable_schema = RESET;`;

function inDatabase(data: string, sql: string): void {
  const db = new DatabaseSync(join(data, 'listbackup.db'), { defensive: false });
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

it('says how it is used', async () => {
  expect(await run(program, ['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('--read-data') });
  expect(await run(program, ['--wrong'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--wrong') });
});
