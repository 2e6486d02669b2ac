import { describe, expect, it } from 'vitest';
import { cacheOf } from '../../vault/cache.ts';

describe('cache', () => {
  it('fetches once, also for concurrent callers', async () => {
    const cache = cacheOf<string>(10, (value) => value.length);
    let fetches = 0;
    const fetch = async () => `value ${++fetches}`;
    expect(await Promise.all([cache.get('a', fetch), cache.get('a', fetch)])).toEqual(['value 1', 'value 1']);
    expect(await cache.get('a', fetch)).toBe('value 1');
  });

  it('drops the least recently used values, and a value that alone is too heavy', async () => {
    const cache = cacheOf<string>(3, (value) => value.length);
    const fetched: string[] = [];
    const get = (key: string, value = key) =>
      cache.get(key, async () => {
        fetched.push(key);
        return value;
      });
    for (const key of ['a', 'b', 'c', 'a', 'd']) await get(key);
    fetched.length = 0;
    for (const key of ['a', 'c', 'd', 'b']) await get(key);
    expect(fetched).toEqual(['b']);
    await get('heavy', 'xxxx');
    await get('heavy', 'xxxx');
    expect(fetched).toEqual(['b', 'heavy', 'heavy']);
  });

  it('does not cache a failed fetch', async () => {
    const cache = cacheOf<number>(3, () => 1);
    const failing = async (): Promise<number> => {
      throw new Error('unreachable');
    };
    await expect(cache.get('a', failing)).rejects.toThrow('unreachable');
    expect(await cache.get('a', async () => 1)).toBe(1);
  });
});
