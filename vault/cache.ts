/** A cache by key that drops the least recently used values above a total weight. Concurrent gets share one fetch. */
export type Cache<T> = { get(key: string, fetch: () => Promise<T>): Promise<T> };

/** A failed fetch is not cached, so the next caller tries again. */
export function cacheOf<T>(maxWeight: number, weigh: (value: T) => number): Cache<T> {
  const held = new Map<string, { value: Promise<T>; weight: number }>();
  let total = 0;

  function drop(key: string): void {
    total -= held.get(key)?.weight ?? 0;
    held.delete(key);
  }

  return {
    get(key, fetch) {
      const known = held.get(key);
      if (known) {
        held.delete(key);
        held.set(key, known);
        return known.value;
      }
      const entry = { value: fetch(), weight: 0 };
      held.set(key, entry);
      entry.value.then(
        (value) => {
          if (held.get(key) !== entry) return;
          entry.weight = weigh(value);
          total += entry.weight;
          for (const oldest of held.keys()) {
            if (total <= maxWeight) break;
            drop(oldest);
          }
        },
        () => {
          if (held.get(key) === entry) drop(key);
        },
      );
      return entry.value;
    },
  };
}

/** One cache per vault context. It lives as long as the context. */
export function remembered<T>(maxWeight: number, weigh: (value: T) => number): (context: object) => Cache<T> {
  const caches = new WeakMap<object, Cache<T>>();
  return (context) => {
    const known = caches.get(context) ?? cacheOf(maxWeight, weigh);
    caches.set(context, known);
    return known;
  };
}
