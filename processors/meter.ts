/** Measures a piece of work: requests to the platform by kind, and their price. */
import type { Blobs, Platform, Queue, Records } from '../domain/ports.ts';
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
  const counts = { ...free };

  const blobs: Blobs = {
    put(key, body, options) {
      counts.blobWrite++;
      return platform.blobs.put(key, body, options);
    },
    get(key, range) {
      counts.blobRead++;
      return platform.blobs.get(key, range);
    },
    size(key) {
      counts.blobRead++;
      return platform.blobs.size(key);
    },
    list(prefix, options) {
      counts.blobWrite++;
      return platform.blobs.list(prefix, options);
    },
    delete: (keys) => platform.blobs.delete(keys),
  };

  const records: Records = {
    get: (key) => {
      counts.recordRead++;
      return platform.records.get(key);
    },
    getMany: (keys) => {
      counts.recordRead += keys.length;
      return platform.records.getMany(keys);
    },
    query: (pk, options) => {
      counts.recordRead++;
      return platform.records.query(pk, options);
    },
    write: (writes) => {
      counts.recordWrite += writes.length === 1 ? 1 : 2 * writes.length;
      return platform.records.write(writes);
    },
    add: (key, add, expiresAt) => {
      counts.recordWrite++;
      return platform.records.add(key, add, expiresAt);
    },
    putMany: (all) => {
      counts.recordWrite += all.length;
      return platform.records.putMany(all);
    },
  };

  const queue: Queue = {
    send: (name, messages) => {
      counts.message += messages.length;
      return platform.queue.send(name, messages);
    },
    receive: (name, options) => platform.queue.receive(name, options),
    ack: (name, receipt) => platform.queue.ack(name, receipt),
    extend: (name, receipt, seconds) => platform.queue.extend(name, receipt, seconds),
    deadLetters: (name) => platform.queue.deadLetters(name),
    redrive: (name) => platform.queue.redrive(name),
  };

  return {
    platform: { ...platform, blobs, records, queue },
    count(requests) {
      for (const kind of Object.keys(counts) as (keyof Prices)[]) counts[kind] += requests[kind] ?? 0;
    },
    cost() {
      const kinds = Object.keys(prices) as (keyof Prices)[];
      return {
        requests: kinds.reduce((sum, kind) => sum + counts[kind], 0),
        usd: kinds.reduce((sum, kind) => sum + counts[kind] * prices[kind], 0),
      };
    },
  };
}
