/** Unreadable folders, and files that change before the read: the run reports them and keeps the last good version. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sha256 } from '../../activity/commit.ts';
import { findRestorePoint, listFiles } from '../../projections/files/listing.ts';
import { getRun } from '../../projections/runs.ts';
import { metadataKey } from '../../vault/metadata.ts';
import { expectClean } from '../support/check.ts';
import { testFolder } from '../support/embedded.ts';
import { hashesOf } from './corpus.ts';
import { account, makeWorld, pictureOf, type World } from './world.ts';

/** Runs the work as the user nobody, because permissions do not bind root. */
async function asNobody<T>(act: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return act();
  process.seteuid?.(65_534);
  try {
    return await act();
  } finally {
    process.seteuid?.(0);
  }
}

/** A world in a data folder that the user nobody may write to. */
async function nobodysWorld(): Promise<World> {
  const data = await testFolder();
  const world = await makeWorld({ data });
  if (process.geteuid?.() === 0) execFileSync('chown', ['-R', '65534', data, world.source]);
  await chmod(world.source, 0o755);
  return world;
}

/** A whole run with the permissions of nobody. Returns it as the API shows it. */
async function run(world: World) {
  const id = await world.request();
  await asNobody(() => world.settle());
  return getRun(world.platform, account, id);
}

const filesOf = async (world: World) => new Map((await pictureOf(world)).files.map((file) => [file.path, file]));
const contents = async (world: World) => new Map(Object.entries((await pictureOf(world)).restored));

async function expectAsAtSource(world: World): Promise<void> {
  await expectClean(world.platform, { deployment: world.deployment });
}

describe('unreadable entries', () => {
  it('are listed with their reason, the rest is backed up, and their earlier versions stay', async () => {
    const world = await nobodysWorld();
    const at = (path: string) => join(world.source, path);
    for (const folder of ['shut/in', 'blind', 'fine']) mkdirSync(at(folder), { recursive: true });
    for (const path of ['a', 'secret', 'shut/1', 'shut/in/2', 'blind/3', 'fine/4', 'z'])
      writeFileSync(at(path), `first ${path}`);
    expect(await run(world)).toMatchObject({ status: 'succeeded', progress: { filesDone: 7 } });

    for (const path of ['a', 'secret', 'shut/1', 'fine/4']) writeFileSync(at(path), `second ${path}`);
    for (const path of ['fresh secret', 'fresh']) writeFileSync(at(path), path);
    mkdirSync(at('fresh shut'));
    rmSync(at('z'));
    for (const [path, mode] of [
      ['secret', 0],
      ['fresh secret', 0],
      ['shut', 0],
      ['fresh shut', 0],
      ['blind', 0o444],
    ] as const)
      chmodSync(at(path), mode);
    if (process.geteuid?.() === 0) execFileSync('chown', ['-R', '65534', world.source]);
    onTestFinished(() => {
      for (const path of ['shut', 'fresh shut', 'blind']) chmodSync(at(path), 0o755);
    });
    const refused = await run(world);
    const denied = expect.stringMatching(/no permission.*Let its user/);
    expect(refused).toMatchObject({
      status: 'partial',
      progress: { filesDone: 3, filesFailed: 5, filesDeleted: 1, filesSkipped: 0 },
      errors: expect.toSatisfy((errors: { path: string; code: string; message: string }[]) => {
        expect(errors.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual(
          ['blind/3', 'fresh secret', 'fresh shut', 'secret', 'shut'].map((path) => ({
            path,
            code: 'unreadable',
            message: denied,
          })),
        );
        return true;
      }),
    });
    expect([...(await filesOf(world)).keys()]).toEqual([
      'a',
      'blind',
      'blind/3',
      'fine',
      'fine/4',
      'fresh',
      'fresh shut',
      'secret',
      'shut',
      'shut/1',
      'shut/in',
      'shut/in/2',
    ]);
    expect(await contents(world)).toEqual(
      new Map(
        ['second a', 'first blind/3', 'second fine/4', 'fresh', 'first secret', 'first shut/1', 'first shut/in/2'].map(
          (text) => [text.split(' ').at(-1) ?? '', sha256(Buffer.from(text))],
        ),
      ),
    );
    await asNobody(() => expectAsAtSource(world));

    for (const path of ['secret', 'fresh secret', 'shut', 'fresh shut', 'blind']) chmodSync(at(path), 0o755);
    expect(await run(world)).toMatchObject({ status: 'succeeded', progress: { filesFailed: 0, filesDeleted: 0 } });
    expect(await contents(world)).toEqual(await hashesOf(world.source));
    await expectAsAtSource(world);
  });

  it('leave the newest backup if the one before is damaged, and the run names the time to find them at', async () => {
    const world = await nobodysWorld();
    const { platform } = world;
    for (const path of ['secret', 'z']) writeFileSync(join(world.source, path), 'first');
    await run(world);
    writeFileSync(join(world.source, 'z'), 'second');
    await run(world);
    const damaged = await findRestorePoint(platform, account, { jobId: world.jobId });
    await platform.blobs.delete([metadataKey(account, damaged?.manifest.id ?? '')]);
    chmodSync(join(world.source, 'secret'), 0);
    // A crash after the restore point: the repeat must not take that for the damaged one.
    let crashes = 0;
    world.deployment.reached = (step) => {
      if (step === 'commit:committed' && crashes++ === 0) throw new Error('crash');
    };
    const partial = await run(world);
    expect(partial).toMatchObject({ status: 'partial', errors: [{ code: 'base-damaged' }, { path: 'secret' }] });
    const message = partial?.errors[0]?.message ?? '';
    expect(message).toContain('could not read (1)');
    const [, asOf] = /asOf=(\S+?)\. /.exec(message) ?? [];
    const paths = async (at?: string) =>
      (await listFiles(platform, account, { recursive: true, asOf: at }, { limit: 10 })).items.map(({ path }) => path);
    expect(await paths()).toEqual(['z']);
    expect(await paths(asOf)).toEqual(['secret', 'z']);
  });

  it('fail the run if the root is unreadable: it says what to do, and no file counts as deleted', async () => {
    const world = await nobodysWorld();
    writeFileSync(join(world.source, 'a'), 'a');
    expect(await run(world)).toMatchObject({ status: 'succeeded' });
    const before = await contents(world);
    await chmod(world.source, 0);
    expect(await run(world)).toMatchObject({
      status: 'failed',
      errors: [{ code: 'source-forbidden', message: expect.stringContaining('Let its user read') }],
    });
    expect(await contents(world)).toEqual(before);
    await chmod(world.source, 0o755);
    expect(await run(world)).toMatchObject({ status: 'succeeded', progress: { filesDeleted: 0 } });
    await expectAsAtSource(world);
  });
});

/** Calls `change` between the listing and the first read of the next run. */
function betweenListingAndReading(world: World, change: () => void): void {
  world.deployment.reached = (step) => {
    if (step !== 'plan:planned') return;
    delete world.deployment.reached;
    change();
  };
}

/** Calls `change` in the middle of reading a file, when the vault checks its first chunks up. */
function whileReading(world: World, change: () => void): void {
  const { platform } = world.deployment;
  const { chunks } = platform;
  world.deployment.platform = {
    ...platform,
    chunks: {
      ...chunks,
      find(of, ids) {
        change();
        return chunks.find(of, ids);
      },
    },
  };
  onTestFinished(() => {
    world.deployment.platform = platform;
  });
}

function replace(path: string, make: () => void): void {
  rmSync(path);
  make();
}

/** Overwrites the file itself, from its start. */
function overwrite(path: string, bytes: Uint8Array): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes);
  closeSync(file);
}

async function runAsRoot(world: World) {
  const id = await world.request();
  await world.settle();
  return getRun(world.platform, account, id);
}

describe('an entry that changes after it was listed', () => {
  it('is backed up in its state at the read, nothing outside the source is read, and nothing hangs', async () => {
    const [world, outside] = [await makeWorld(), await testFolder()];
    const at = (path: string) => join(world.source, path);
    for (const folder of [at('away'), at('moved')]) mkdirSync(folder);
    for (const name of ['grows', 'shrinks', 'goes', 'to pipe', 'to link', 'to folder', 'stays', 'away/x', 'moved/x'])
      writeFileSync(at(name), `listed ${name}`);
    // Hard links to the same files, so that only the path shows that they are outside
    linkSync(at('away/x'), join(outside, 'x'));
    linkSync(at('to link'), join(outside, 'target'));
    betweenListingAndReading(world, () => {
      writeFileSync(at('grows'), 'listed grows, and has grown');
      truncateSync(at('shrinks'), 3);
      for (const name of ['goes', 'to pipe', 'to link', 'to folder']) rmSync(at(name));
      execFileSync('mkfifo', [at('to pipe')]);
      symlinkSync(join(outside, 'target'), at('to link'));
      mkdirSync(at('to folder'));
      renameSync(at('away'), join(outside, 'away'));
      symlinkSync(outside, at('away'));
      renameSync(at('moved'), at('moved again'));
    });
    const ended = await runAsRoot(world);
    expect(ended).toMatchObject({ status: 'succeeded', progress: { filesFailed: 0, filesSkipped: 5 } });
    expect(ended?.errors.map(({ path, code }) => [path, code]).sort()).toEqual(
      ['away/x', 'goes', 'moved/x', 'to folder', 'to pipe'].map((path) => [path, 'vanished']),
    );
    expect(await contents(world)).toEqual(
      new Map(['grows', 'shrinks', 'stays'].map((name) => [name, sha256(readFileSync(at(name)))])),
    );
    expect((await filesOf(world)).get('to link')).toMatchObject({ kind: 'link', hash: null });
    await expectClean(world.platform);
    expect(await runAsRoot(world)).toMatchObject({ status: 'succeeded' });
    await expectAsAtSource(world);
  });

  it.each([
    ['grows', (path: string) => appendFileSync(path, 'more')],
    ['shrinks', (path: string) => truncateSync(path, 5_000_000)],
    ['is another', (path: string) => writeFileSync(path, randomBytes(16_000_000))],
    ['vanishes', (path: string) => rmSync(path)],
    ['becomes a link', (path: string) => replace(path, () => symlinkSync('/etc/passwd', path))],
    ['becomes a pipe', (path: string) => replace(path, () => execFileSync('mkfifo', [path]))],
  ])('while a file is read, which %s, is never half of what it was and half of what it is', async (_how, change) => {
    const world = await makeWorld();
    const path = join(world.source, 'large');
    writeFileSync(path, randomBytes(16_000_000));
    let changes = 0;
    whileReading(world, () => {
      if (changes++ === 0) change(path);
    });
    expect(await runAsRoot(world)).toMatchObject({ status: 'succeeded', progress: { filesFailed: 0 } });
    expect(changes).toBeGreaterThan(0);
    expect(await contents(world)).toEqual(await hashesOf(world.source));
    await expectClean(world.platform);
    await runAsRoot(world);
    await expectAsAtSource(world);
  });

  it('at every attempt is listed as failed, and its last good version stays', async () => {
    const world = await makeWorld();
    const path = join(world.source, 'log');
    const good = randomBytes(16_000_000);
    writeFileSync(path, good);
    expect(await runAsRoot(world)).toMatchObject({ status: 'succeeded' });
    writeFileSync(path, randomBytes(16_000_000));
    writeFileSync(join(world.source, 'other'), 'other');
    let isBusy = true;
    whileReading(world, () => {
      if (isBusy) overwrite(path, randomBytes(100));
    });
    expect(await runAsRoot(world)).toMatchObject({
      status: 'partial',
      progress: { filesFailed: 1, filesDone: 1 },
      errors: [{ path: 'log', code: 'changed', message: expect.stringContaining('changed during the backup') }],
    });
    expect(await contents(world)).toEqual(
      new Map([
        ['log', sha256(good)],
        ['other', sha256(Buffer.from('other'))],
      ]),
    );
    isBusy = false;
    expect(await runAsRoot(world)).toMatchObject({ status: 'succeeded' });
    await expectAsAtSource(world);
  });
});
