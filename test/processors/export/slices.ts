/** Exports in slices, by workers that die, in any deployment. */
import { expect, it } from 'vitest';
import type { TestPlatform } from '../../support/api.ts';
import type { Things } from '../../support/backups.ts';
import { noise } from '../../vault/vault-fixture.ts';
import { metered, mortal, requestOf, sliceOf } from './requested.ts';

const mebibyte = 1024 * 1024;

/** `isPlain`: exports are not encrypted, as on AWS. */
export function testSlices(open: () => Promise<TestPlatform>, isPlain: boolean): void {
  const things: Things = { 'a/': { mode: 0o700 }, 'z/last': 'end', 'b/both': 'file', 'b/both/below': 'x' };
  for (let n = 0; n < 400; n++) things[`many/${n}`] = noise(n % 3 === 0 ? 30_000 : 50, n);
  things['huge/one'] = noise(21 * mebibyte, 1);
  things['huge/two'] = noise(9 * mebibyte, 2);

  it.each([
    ['a zip', 60, { paths: ['z', 'many', 'b/both', 'huge', 'a'] }],
    ['a file', 4, { paths: ['huge/one'], file: { version: 1 } }],
  ])('goes on after the last byte of %s, whatever the slices', async (_name, asks, options) => {
    const [whole, cut] = [
      await requestOf(things, { ...options, on: await open(), isPlain }),
      await requestOf(things, { ...options, on: await open(), isPlain }),
    ];
    await whole.prepare();
    const expected = await whole.content();
    let n = 0;
    const meter = metered(cut.platform);
    await cut.prepare(() => sliceOf(asks + ((n++ * 37) % asks)), meter.platform);
    expect(n).toBeGreaterThan(4);
    expect((await cut.content())?.equals(expected ?? Buffer.alloc(0))).toBe(true);
    // A slice drops at most the read that it uses and the next one.
    expect(meter.bytes()).toBeLessThan((expected?.length ?? 0) + n * 17 * mebibyte);
    expect((await cut.left()).filter((key) => key.startsWith(cut.blob))).toEqual([cut.blob]);
  });

  it('is the same when its worker is killed at any write', async () => {
    const whole = await requestOf(things, { on: await open(), isPlain });
    await whole.prepare();
    const expected = await whole.content();
    const box = await requestOf(things, { on: await open(), isPlain });
    let deaths = 0;
    for (let n = 0; (await box.state()).status === 'preparing'; n++) {
      await box.prepare(() => sliceOf(60 + ((n * 53) % 200)), mortal(box.platform, 3 + (n % 5))).catch(() => deaths++);
      box.platform.clock.now += 61_000;
      await box.maintain();
    }
    expect(deaths).toBeGreaterThan(5);
    expect(await box.state()).toMatchObject({ status: 'ready', size: expected?.length });
    expect((await box.content())?.equals(expected ?? Buffer.alloc(0))).toBe(true);
    expect((await box.left()).filter((key) => key.startsWith(box.blob))).toEqual([box.blob]);
  });
}
