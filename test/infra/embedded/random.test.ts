import { describe, expect, it } from 'vitest';
import { openRandom } from '../../../infra/embedded/random.ts';

describe('openRandom', () => {
  it('returns the requested number of bytes and never repeats them, also past the end of the pool', () => {
    const random = openRandom();
    const results = Array.from({ length: 3000 }, (_, i) => random([12, 16, 32, 64, 1000][i % 5] ?? 0));
    expect(results.map(({ length }) => length)).toEqual(results.map((_, i) => [12, 16, 32, 64, 1000][i % 5]));
    expect(new Set(results.map((bytes) => Buffer.from(bytes).toString('hex'))).size).toBe(3000);
    const ones = results
      .flatMap((bytes) => [...bytes])
      .reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
    const bits = results.reduce((sum, { length }) => sum + length, 0) * 8;
    // Half of all bits are ones, within ten standard deviations. A block of zeros would fail this.
    expect(Math.abs(ones - bits / 2)).toBeLessThan(5 * Math.sqrt(bits));
  });

  it('does not change returned bytes later', () => {
    const random = openRandom();
    const first = random(16);
    const copy = [...first];
    for (let i = 0; i < 1000; i++) random(16);
    expect([...first]).toEqual(copy);
  });
});
