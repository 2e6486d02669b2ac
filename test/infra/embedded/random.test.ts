import { describe, expect, it } from 'vitest';
import { openRandom } from '../../../infra/embedded/random.ts';

describe('random bytes', () => {
  it('are as many as asked for, past the end of the pool too, and never the same twice', () => {
    const random = openRandom();
    const given = Array.from({ length: 3000 }, (_, i) => random([12, 16, 32, 64, 1000][i % 5] ?? 0));
    expect(given.map(({ length }) => length)).toEqual(given.map((_, i) => [12, 16, 32, 64, 1000][i % 5]));
    expect(new Set(given.map((bytes) => Buffer.from(bytes).toString('hex'))).size).toBe(3000);
    const ones = given
      .flatMap((bytes) => [...bytes])
      .reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
    const bits = given.reduce((sum, { length }) => sum + length, 0) * 8;
    // Half of all bits are ones, within ten standard deviations: none of it is left empty.
    expect(Math.abs(ones - bits / 2)).toBeLessThan(5 * Math.sqrt(bits));
  });

  it('stay as they were given, whatever is asked for afterwards', () => {
    const random = openRandom();
    const first = random(16);
    const copy = [...first];
    for (let i = 0; i < 1000; i++) random(16);
    expect([...first]).toEqual(copy);
  });
});
