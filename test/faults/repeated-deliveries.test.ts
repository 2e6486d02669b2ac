import { expect, it } from 'vitest';
import { makeChaos } from '../../infra/embedded/chaos.ts';
import { expectClean } from '../support/check.ts';
import {
  deliverRepeatedly,
  everyMessage,
  everyType,
  expectOneOfEach,
  expectRowsUnchanged,
} from './repeated-deliveries.ts';
import { makeWorld, pictureOf } from './world.ts';

it('a message delivered a hundred times has one effect and one event, and repeated notifications change no row', async () => {
  const [calm, world] = [await makeWorld(), await makeWorld({ projectors: 10 })];
  await everyMessage(calm, calm.handle);
  const { handle, seen } = deliverRepeatedly(world.handle, 100, 10);
  await everyMessage(world, handle);
  expect(world.failures).toEqual([]);
  expect(Object.keys(seen).sort()).toEqual(everyType);
  expect(seen.store).toBeGreaterThan(5);
  await expectOneOfEach(world.platform);
  expect(await pictureOf(world)).toEqual(await pictureOf(calm));
  await expectRowsUnchanged(world.platform, makeChaos(1), 100, 10);
  await expectClean(world.platform, { deployment: world.deployment });
});
