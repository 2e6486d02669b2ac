/** Lost and damaged packs and manifests: later runs store again what is missing, and listings name the damage. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../activity/commit.ts';
import { createJob } from '../../commands/create-job.ts';
import { runJob } from '../../commands/run-job.ts';
import { findRestorePoint, listFiles } from '../../projections/files/listing.ts';
import { searchFiles } from '../../projections/files/search.ts';
import { getRun } from '../../projections/runs.ts';
import { metadataKey } from '../../vault/metadata.ts';
import { checkPacks, recordDamage } from '../../vault/pack-registry.ts';
import { expectClean } from '../support/check.ts';
import { flipped, noise } from '../vault/vault-fixture.ts';
import { smallLimits } from './small-limits.ts';
import { account, command, makeWorld, pictureOf, type World } from './world.ts';

async function worldWithFiles(): Promise<World> {
  const world = await makeWorld();
  for (const folder of ['a', 'b/c']) mkdirSync(join(world.source, folder), { recursive: true });
  for (let n = 0; n < 12; n++) writeFileSync(join(world.source, n % 2 ? 'a' : 'b/c', `f${n}`), noise(3000, n));
  writeFileSync(join(world.source, 'large'), noise(3_000_000, 'large'));
  return world;
}

async function run(world: World) {
  const id = await world.request();
  await world.settle();
  return getRun(world.platform, account, id);
}

function hashes({ source }: World): { [key: string]: string } {
  const files = readdirSync(source, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(paths.map((path) => [path.slice(source.length + 1), sha256(readFileSync(path))]).sort());
}

async function packsOf({ platform }: World): Promise<string[]> {
  return (await platform.blobs.list(`packs/${account}/`, { limit: 1000 })).items.map(({ key }) => key);
}

const sorted = (of: { [key: string]: string }) => Object.fromEntries(Object.entries(of).sort());

async function alter({ platform }: World, key: string, at: number): Promise<void> {
  await platform.blobs.put(key, flipped((await platform.blobs.get(key)) ?? noise(100), at));
}

const losses: [string, (world: World, key: string) => Promise<unknown>][] = [
  ['lost', ({ platform }, key) => platform.blobs.delete([key])],
  [
    'cut',
    async ({ platform }, key) => platform.blobs.put(key, ((await platform.blobs.get(key)) ?? noise(2)).slice(0, -1)),
  ],
];

const packLosses: typeof losses = [
  ...losses,
  [
    'altered and read',
    async (world, key) => {
      await alter(world, key, 60);
      await recordDamage({ ...world.platform, account }, key.slice(key.lastIndexOf('/') + 1), 0);
    },
  ],
];

describe.each(packLosses)('packs that are %s', (_how, lose) => {
  it('are not referred to by a copy of a file, nor by another job', async () => {
    const world = await worldWithFiles();
    expect(await run(world)).toMatchObject({ status: 'succeeded' });
    for (const key of await packsOf(world)) await lose(world, key);
    writeFileSync(join(world.source, 'copy'), noise(3_000_000, 'large'));
    const { id: jobId } = await createJob(world.platform, command(), { name: 'Second', sourceId: world.sourceId });
    const { id } = await runJob(world.platform, command(), jobId);
    await world.settle();
    expect(await getRun(world.platform, account, id)).toMatchObject({ status: 'succeeded', errors: [] });
    expect(sorted((await pictureOf({ ...world, jobId })).restored)).toEqual(hashes(world));
  });

  it('are stored again by the next run, although their files have not changed', async () => {
    const world = await worldWithFiles();
    await run(world);
    const packs = await packsOf(world);
    expect(packs.length).toBeGreaterThan(1);
    await lose(world, packs[0] ?? '');
    const repaired = await run(world);
    const filesDone = repaired?.progress.filesDone ?? 0;
    expect(filesDone).toBeGreaterThan(0);
    const message = expect.stringMatching(new RegExp(`damaged \\(1\\)\\..*again \\(${filesDone}\\)\\..*may be gone`));
    expect(repaired).toMatchObject({ status: 'succeeded', errors: [{ path: '', code: 'packs-lost', message }] });
    expect(sorted((await pictureOf(world)).restored)).toEqual(hashes(world));
    expect(await run(world)).toMatchObject({ progress: { filesDone: 0, filesUnchanged: 13 }, errors: [] });
  });
});

describe('a pack that was lost and is back', () => {
  it('is used by the next run, although the next check of all packs is not due', async () => {
    const world = await worldWithFiles();
    const { platform, deployment } = world;
    await run(world);
    const [key = ''] = await packsOf(world);
    const bytes = (await platform.blobs.get(key)) ?? noise(1);
    await platform.blobs.delete([key]);
    await checkPacks({ ...platform, account }, platform.now());
    await platform.records.write([
      { op: 'put', pk: `packs-checked/${account}`, sk: 'at', data: { at: platform.now() } },
    ]);
    await platform.blobs.put(key, bytes);
    deployment.limits = { ...smallLimits, packCheckMs: 24 * 3600_000 };
    expect(await run(world)).toMatchObject({ progress: { filesDone: 0, filesUnchanged: 13 }, errors: [] });
    await expectClean(platform, { deployment });
  });
});

const damages: [string, (world: World, key: string) => Promise<unknown>][] = [
  ...losses,
  ['altered in a segment', (world, key) => alter(world, key, 60)],
];

describe.each(damages)('a newest manifest that is %s', (_how, damage) => {
  it('is named in listings with the one before, and the next run reads everything again and says so', async () => {
    const world = await worldWithFiles();
    await run(world);
    const first = await findRestorePoint(world.platform, account, { jobId: world.jobId });
    // Every segment changes, so that none of them is in the first manifest.
    for (const [path] of Object.entries(hashes(world))) writeFileSync(join(world.source, path), noise(2000, path));
    await run(world);
    const second = await findRestorePoint(world.platform, account, { jobId: world.jobId });
    if (!first || !second) throw new Error('no restore point');
    await damage(world, metadataKey(account, second.manifest.id));

    // A context of its own, because readers cache.
    const platform = { ...world.platform };
    const named = {
      code: 'backup-damaged',
      message: expect.stringContaining(`run ${second.runId}`),
      extra: { runId: second.runId, at: second.at, runIdBefore: first.runId, asOf: first.at },
    };
    const query = { sourceId: world.sourceId, recursive: true };
    await expect(listFiles(platform, account, query, { limit: 100 })).rejects.toMatchObject(named);
    await expect(searchFiles(platform, account, { query: 'f1' }, { limit: 100 })).rejects.toMatchObject({
      code: 'backup-damaged',
    });
    const before = await listFiles(platform, account, { ...query, asOf: first.at }, { limit: 100 });
    expect(before.items.filter(({ kind }) => kind === 'file')).toHaveLength(13);

    const next = await run(world);
    expect(next).toMatchObject({
      status: 'succeeded',
      progress: { filesDone: 13, filesTotal: 13, filesFailed: 0 },
      errors: [{ path: '', code: 'base-damaged', message: expect.stringContaining('read all files again') }],
    });
    expect(sorted((await pictureOf({ ...world, platform: { ...world.platform } })).restored)).toEqual(hashes(world));
    expect(await run(world)).toMatchObject({ status: 'succeeded', progress: { filesUnchanged: 13 }, errors: [] });
  });
});

it('leaves nothing of its work behind', async () => {
  const world = await worldWithFiles();
  await run(world);
  await expectClean(world.platform, { deployment: world.deployment });
  expect((await world.platform.blobs.list('work/', { limit: 10 })).items).toEqual([]);
});
