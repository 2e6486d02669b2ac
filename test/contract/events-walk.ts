/** The contract of the port EventStore for walks over all streams. */
import assert from 'node:assert/strict';
import { streamName } from '../../domain/event.ts';
import type { EventStore, StoredCommit } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const freshStream = () => streamName(fresh('acc'), 'job', fresh('job'));

function commit(stream: string, version: number): StoredCommit {
  const hash = version.toString(16).padStart(64, '0');
  return {
    stream,
    version,
    at: '2026-01-01T00:00:00.000Z',
    prevHash: hash,
    hash,
    body: { bytes: new TextEncoder().encode(stream) },
  };
}

async function fill(port: EventStore, stream: string, versions: number): Promise<void> {
  for (const version of upTo(versions)) assert.equal(await port.append(commit(stream, version)), 'appended');
}

/** The newest version of each stream in a walk. */
async function walk(
  port: EventStore,
  limit: number,
  meanwhile: () => Promise<unknown> = async () => {},
): Promise<Map<string, number>> {
  const walked = new Map<string, number>();
  let [cursor, pages]: [string | null, number] = [null, 0];
  do {
    const page = await port.streams({ limit, ...(cursor === null ? {} : { cursor }) });
    for (const { stream, version } of page.items) walked.set(stream, Math.max(version, walked.get(stream) ?? 0));
    cursor = page.next;
    // Only for some pages: the walk may include appended streams and would not end.
    if (pages++ < 5) await meanwhile();
  } while (cursor !== null);
  return walked;
}

export const eventWalkPromises: PortPromise<EventStore>[] = [
  {
    promise: 'walks over every stream of every account, also right after an append',
    async check(port) {
      const expected = new Map<string, number>();
      for (const n of upTo(12)) {
        const stream = freshStream();
        await fill(port, stream, 1 + (n % 3));
        expected.set(stream, 1 + (n % 3));
      }
      const walked = await walk(port, 5);
      assert.deepEqual(
        new Map([...walked].filter(([stream]) => expected.has(stream)).sort()),
        new Map([...expected].sort()),
      );
    },
    broken: (port) => ({ ...port, streams: async (page) => ({ ...(await port.streams(page)), next: null }) }),
  },
  {
    promise: 'returns the newest version of each stream in a walk, also of a long stream',
    async check(port) {
      const stream = freshStream();
      await fill(port, stream, 12);
      assert.equal((await walk(port, 7)).get(stream), 12);
      await port.append(commit(stream, 13));
      assert.equal((await walk(port, 100)).get(stream), 13);
    },
    broken: (port) => ({
      ...port,
      streams: async (page) => {
        const { items, next } = await port.streams(page);
        return { items: items.map(({ stream }) => ({ stream, version: 1 })), next };
      },
    }),
  },
  {
    promise: 'includes in a walk all streams that existed at its start, with concurrent appends',
    async check(port) {
      const streams = upTo(10).map(() => freshStream());
      for (const stream of streams) await fill(port, stream, 1);
      const walked = await walk(port, 3, () => fill(port, freshStream(), 2));
      assert.deepEqual(
        streams.filter((stream) => !walked.has(stream)),
        [],
      );
    },
    broken: (port) => ({
      ...port,
      streams: async (page) => {
        const { items, next } = await port.streams(page);
        return { items: page.cursor === undefined ? items : items.slice(1), next };
      },
    }),
  },
];
