/** Rebuilds every read model repeatedly during runs, with repeated, late and reordered deliveries. */
import { expect, it } from 'vitest';
import { makeChaos } from '../../infra/embedded/chaos.ts';
import { foldAsOf } from '../../projections/engine/fold.ts';
import { readGenerations, rowsAt } from '../../projections/engine/generations.ts';
import { rebuild } from '../../projections/engine/rebuild.ts';
import { projections } from '../../projections/index.ts';
import { expectClean } from '../support/check.ts';
import { changeCorpus, makeCorpus } from './corpus.ts';
import { account, makeWorld, pictureOf, type World } from './world.ts';

async function twoRuns(world: World): Promise<void> {
  await makeCorpus(world.source);
  for (const change of [async () => {}, changeCorpus]) {
    await change(world.source);
    await world.request();
    await world.settle();
  }
}

/** The account's current rows of each read model. */
async function rowsRead({ platform }: World) {
  const generations = await readGenerations(platform);
  const all = await Promise.all(
    projections.map(async (projection) => {
      const { rows } = await foldAsOf(platform, projection, account);
      const current = rowsAt(platform.rows, generations.get(projection.name)?.current ?? 1);
      const read = await Promise.all(rows.map(({ pk, sk }) => current.get({ table: projection.name, pk, sk })));
      return { name: projection.name, rows, read };
    }),
  );
  return {
    expected: all.map(({ name, rows }) => ({ name, rows })),
    read: all.map(({ name, read }) => ({ name, rows: read })),
  };
}

it.each([1, 2, 3])('read models rebuilt during runs equal those without rebuilds (%i)', async (seed) => {
  const [calm, world] = [await makeWorld(), await makeWorld({ chaos: makeChaos(seed) })];
  await twoRuns(calm);
  let running = true;
  const runs = twoRuns(world).finally(() => {
    running = false;
  });
  const rebuilding = async () => {
    while (running) await Promise.all(projections.map((projection) => rebuild(world.platform, projection)));
  };
  await Promise.all([runs, rebuilding(), rebuilding()]);
  await world.caughtUp();
  const generations = await readGenerations(world.platform);
  for (const { name } of projections) expect(generations.get(name)?.current).toBeGreaterThan(3);
  const { expected, read } = await rowsRead(world);
  expect(read).toEqual(expected);
  expect(await pictureOf(world)).toEqual(await pictureOf(calm));
  await expectClean(world.platform, { deployment: world.deployment });
});
