/** Makes delivery as unreliable as on AWS: duplicated, reordered and delayed. For tests. */

export type Chaos = {
  /** Returns true with this probability (0–1). */
  chance(probability: number): boolean;
  shuffled<T>(items: T[]): T[];
  /** Returns a whole number from 0 to `limit` − 1. */
  below(limit: number): number;
};

/**
 * The same seed gives the same sequence of faults. The generator is mulberry32:
 * https://gist.github.com/tommyettinger/46a874533244883189143505d203312c
 */
export function makeChaos(seed: number): Chaos {
  let state = seed >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    chance: (probability) => random() < probability,
    below: (limit) => Math.floor(random() * limit),
    shuffled: (items) =>
      items
        .map((item) => ({ item, order: random() }))
        .sort((a, b) => a.order - b.order)
        .map(({ item }) => item),
  };
}
