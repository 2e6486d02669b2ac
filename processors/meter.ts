/** Measures a piece of work: requests to the platform by kind, and their price. */
import type { Platform } from '../domain/ports.ts';
import type { Cost } from '../domain/run.ts';

/** US dollars per request. */
export type Prices = { blobWrite: number; blobRead: number; recordWrite: number; recordRead: number; message: number };

/** Self-hosted: requests cost nothing. */
export const free: Prices = { blobWrite: 0, blobRead: 0, recordWrite: 0, recordRead: 0, message: 0 };

export type Meter = {
  /** Counts every request that goes through it. */
  platform: Platform;
  /** Adds requests that did not go through `platform`. */
  count(requests: Partial<Prices>): void;
  cost(): Cost;
};

/** Wraps the platform so that its requests are counted. */
export function metered(platform: Platform, prices: Prices): Meter {
  const kinds = Object.keys(free) as (keyof Prices)[];
  const counts = { ...free };
  const { blobs, records, queue } = platform;

  function counting<A extends unknown[], R>(kind: keyof Prices, call: (...given: A) => R, many = (..._: A) => 1) {
    return (...given: A): R => {
      counts[kind] += many(...given);
      return call(...given);
    };
  }

  return {
    platform: {
      ...platform,
      blobs: {
        ...blobs,
        put: counting('blobWrite', blobs.put),
        get: counting('blobRead', blobs.get),
        size: counting('blobRead', blobs.size),
        list: counting('blobWrite', blobs.list),
      },
      records: {
        get: counting('recordRead', records.get),
        getMany: counting('recordRead', records.getMany, (keys) => keys.length),
        query: counting('recordRead', records.query),
        write: counting('recordWrite', records.write, (writes) => (writes.length === 1 ? 1 : 2 * writes.length)),
        add: counting('recordWrite', records.add),
        putMany: counting('recordWrite', records.putMany, (all) => all.length),
      },
      queue: { ...queue, send: counting('message', queue.send, (_name, messages) => messages.length) },
    },
    count(requests) {
      for (const kind of kinds) counts[kind] += requests[kind] ?? 0;
    },
    cost: () => ({
      requests: kinds.reduce((sum, kind) => sum + counts[kind], 0),
      usd: kinds.reduce((sum, kind) => sum + counts[kind] * prices[kind], 0),
    }),
  };
}
