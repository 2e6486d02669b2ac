/** A source that is replaced during its backup: none of the listed files may count as deleted. */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { changeSource } from '../../commands/change-source.ts';
import { getRun } from '../../projections/runs.ts';
import { expectClean } from '../support/check.ts';
import { testFolder } from '../support/embedded.ts';
import { account, command, makeWorld, pictureOf, statusOf, type World } from './world.ts';

const names = Array.from({ length: 30 }, (_, number) => `file-${String(number).padStart(2, '0')}`);

/** Gives each file new content, so that the next run fetches it. */
async function fill(folder: string, content: string): Promise<void> {
  for (const name of names) await writeFile(join(folder, name), `${content} of ${name}`);
}

/** Simulates an unplugged disk: the folder moves away, and its path leads to an empty mount point. */
async function unplug({ source }: World): Promise<void> {
  const away = `${source}-away`;
  await rename(source, away);
  onTestFinished(() => rm(away, { recursive: true, force: true }));
  await mkdir(source);
}

async function pointElsewhere({ platform, sourceId }: World): Promise<void> {
  const path = await testFolder();
  await writeFile(join(path, names[0] ?? ''), 'of another source');
  await changeSource(platform, command(), sourceId, { name: 'Papers', config: { path } });
}

/** Requests a run and lists the source. Nothing is fetched yet. */
async function listed(world: World): Promise<string> {
  const runId = await world.request();
  await world.caughtUp();
  for (const { body, receipt } of await world.receive('job')) {
    await world.handle(body);
    await world.platform.queue.ack('job', receipt);
  }
  return runId;
}

/** The last run, and the files of the newest restore point. */
async function outcome(world: World, runId: string) {
  const run = await getRun(world.platform, account, runId);
  const { restored, files } = await pictureOf(world);
  return { status: run?.status, code: run?.errors[0]?.code, restored, files: files.length };
}

const ways = [
  { what: 'is gone from its path', turn: unplug, code: 'source-not-found' },
  { what: 'is given another path', turn: pointElsewhere, code: 'source-unusable' },
];

it.each(ways)('a source that $what after it was listed fails the run, and loses no file', async ({ turn, code }) => {
  const world = await makeWorld();
  await fill(world.source, 'one');
  await world.request();
  await world.settle();
  const before = await pictureOf(world);
  await fill(world.source, 'two');
  const runId = await listed(world);
  await turn(world);
  await world.settle();
  const { restored, files } = before;
  expect(await outcome(world, runId)).toEqual({ status: 'failed', code, restored, files: files.length });
  await expectClean(world.platform);
});

it.each(ways)(
  'a source that $what during a listing that continues after a crash fails the run',
  async ({ turn, code }) => {
    const crashed = Promise.withResolvers<void>();
    const tested = Promise.withResolvers<void>();
    onTestFinished(() => tested.resolve());
    let crash = false;
    const world = await makeWorld({
      reached: async (step) => {
        if (!crash || step !== 'plan:advanced') return;
        crash = false;
        crashed.resolve();
        await tested.promise;
      },
    });
    await fill(world.source, 'one');
    await world.request();
    await world.settle();
    const before = await pictureOf(world);
    const runId = await world.request();
    crash = true;
    let isCrashed = false;
    const turned = crashed.promise.then(() => {
      isCrashed = true;
      return turn(world);
    });
    await world.settle((body) => (isCrashed ? world.handle(body) : Promise.race([world.handle(body), turned])));
    expect(await outcome(world, runId)).toMatchObject({ status: 'failed', code, restored: before.restored });
  },
);

it('a disk that is not mounted fails the run, and is backed up again once it is mounted', async () => {
  const world = await makeWorld();
  await fill(world.source, 'one');
  await world.request();
  await world.settle();
  const { restored, files } = await pictureOf(world);
  await unplug(world);
  const runId = await world.request();
  await world.settle();
  expect(await outcome(world, runId)).toEqual({
    status: 'failed',
    code: 'source-not-found',
    restored,
    files: files.length,
  });
  await rm(world.source, { recursive: true });
  await rename(`${world.source}-away`, world.source);
  await fill(world.source, 'two');
  const again = await world.request();
  await world.settle();
  expect(await statusOf(world, again)).toBe('succeeded');
  await expectClean(world.platform, { deployment: world.deployment });
});

it('an emptied folder is backed up as empty, and a new folder at its path once it has files', async () => {
  const world = await makeWorld();
  await fill(world.source, 'one');
  for (const [turn, kept] of [
    [() => Promise.all(names.map((name) => rm(join(world.source, name)))), {}],
    [() => fill(world.source, 'two'), expect.objectContaining({ 'file-00': expect.any(String) })],
    [() => unplug(world).then(() => writeFile(join(world.source, 'other'), '')), { other: expect.any(String) }],
  ] as const) {
    await world.request();
    await world.settle();
    await turn();
    const runId = await world.request();
    await world.settle();
    expect(await outcome(world, runId)).toMatchObject({ status: 'succeeded' });
    expect((await pictureOf(world)).restored).toEqual(kept);
  }
});

it('a new name or new credentials of the source do not affect a run', async () => {
  const world = await makeWorld();
  await fill(world.source, 'one');
  const runId = await listed(world);
  await changeSource(world.platform, command(), world.sourceId, {
    name: 'Other papers',
    config: { path: world.source },
  });
  await world.settle();
  expect(await statusOf(world, runId)).toBe('succeeded');
});

it('a folder below the root that is replaced with all its files is backed up in its new state', async () => {
  const world = await makeWorld();
  await fill(world.source, 'one');
  const runId = await listed(world);
  await unplug(world);
  await fill(world.source, 'another');
  await world.settle();
  expect(await statusOf(world, runId)).toBe('succeeded');
  expect((await readdir(world.source)).length).toBe(names.length);
  await expectClean(world.platform, { deployment: world.deployment });
});
