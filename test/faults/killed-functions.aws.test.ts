/** A few seeds of `npm run soak -- --aws`. */
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { deployedUrl } from '../emulator/deployed.ts';
import { openTarget, type Target, tellOnAws } from './killed-functions.ts';

let target: Target;
beforeAll(async () => {
  target = await openTarget(await deployedUrl(), inject('ministack').environment);
});
afterAll(() => target?.close());

it.concurrent.each([1, 2])(
  'restores everything although functions are killed (npm run soak -- --aws --seed %i)',
  async (seed) => {
    expect((await tellOnAws(target, seed)).length).toBeGreaterThan(1);
  },
);
