import { LRUCache } from 'lru-cache';

/** A cache by key that drops the least recently used values above a total weight. Concurrent gets share one fetch. */
export type Cache<T> = { get(key: string, fetch: () => Promise<T>): Promise<T>; has(key: string): boolean };

/** A failed fetch is not cached, so the next caller tries again. */
export function cacheOf<T extends object>(maxWeight: number, weigh: (value: T) => number): Cache<T> {
  const held = new LRUCache<string, T, () => Promise<T>>({
    maxSize: maxWeight,
    // The library refuses a weight of 0.
    sizeCalculation: (value) => weigh(value) || 1,
    fetchMethod: (_key, _stale, { context: fetch }) => fetch(),
    // Otherwise the callers of a fetch that is dropped early would get an error.
    ignoreFetchAbort: true,
  });
  return { get: (key, fetch) => held.forceFetch(key, { context: fetch }), has: (key) => held.has(key) };
}

/** One cache per vault context. It lives as long as the context. */
export function remembered<T extends object>(
  maxWeight: number,
  weigh: (value: T) => number,
): (context: object) => Cache<T> {
  const caches = new WeakMap<object, Cache<T>>();
  return (context) => {
    const known = caches.get(context) ?? cacheOf(maxWeight, weigh);
    caches.set(context, known);
    return known;
  };
}
