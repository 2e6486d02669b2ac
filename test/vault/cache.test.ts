import { expect, it } from 'vitest';
import { cacheOf } from '../../vault/cache.ts';

it('answers a fetch that other values push out, and values of no weight', async () => {
  const cache = cacheOf<string[]>(2, (value) => value.length);
  const slow = Promise.withResolvers<string[]>();
  const waiting = [1, 2].map(() => cache.get('slow', () => slow.promise));
  for (const key of ['a', 'b', 'c', 'd']) expect(await cache.get(key, async () => [key])).toEqual([key]);
  slow.resolve([]);
  expect(await Promise.all(waiting)).toEqual([[], []]);
  expect(await cache.get('a', async () => ['new'])).toEqual(['new']);
  expect(await cache.get('a', async () => ['newer'])).toEqual(['new']);
});
