import { describe, expect, it } from 'vitest';
import type { EventStore } from '../../../domain/ports.ts';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import type { FeedNotification } from '../../../infra/embedded/feed.ts';
import { openTestPlatform, silent, testFolder } from '../../support/embedded.ts';

async function append(events: EventStore, stream: string, ...versions: number[]): Promise<void> {
  for (const version of versions) {
    const hash = `${version}`.padStart(64, '0');
    await events.append({
      stream,
      version,
      at: new Date(0).toISOString(),
      prevHash: hash,
      hash,
      body: { bytes: new Uint8Array([version]) },
    });
  }
}

const versions = (notifications: FeedNotification[]) => notifications.map((notification) => notification.version);

describe('a feed', () => {
  it('delivers existing and then new commits in order', async () => {
    const { platform, feed } = await openTestPlatform();
    await append(platform.events, 'a/job/1', 1, 2);
    const received: FeedNotification[] = [];
    const running = feed('consumer', async (notifications) => void received.push(...notifications));
    await running.caughtUp();
    expect(received).toEqual([
      { position: 1, stream: 'a/job/1', version: 1 },
      { position: 2, stream: 'a/job/1', version: 2 },
    ]);
    await append(platform.events, 'a/job/1', 3);
    await append(platform.events, 'a/job/1', 3);
    await running.caughtUp();
    expect(versions(received)).toEqual([1, 2, 3]);
  });

  it('delivers a commit as soon as it is appended', async () => {
    const { platform, feed } = await openTestPlatform();
    const delivered = Promise.withResolvers<FeedNotification[]>();
    feed('consumer', async (notifications) => delivered.resolve(notifications));
    await append(platform.events, 'a/job/1', 1);
    expect(versions(await delivered.promise)).toEqual([1]);
  });

  it('continues at its position after a restart, and has a position per consumer', async () => {
    const data = await testFolder();
    const first = await openTestPlatform({ data });
    await append(first.platform.events, 'a/job/1', 1, 2);
    await first.feed('consumer', async () => {}).caughtUp();
    await first.close();

    const second = await openTestPlatform({ data });
    await append(second.platform.events, 'a/job/1', 3);
    const received: FeedNotification[] = [];
    const all: FeedNotification[] = [];
    await second.feed('consumer', async (notifications) => void received.push(...notifications)).caughtUp();
    await second.feed('other', async (notifications) => void all.push(...notifications)).caughtUp();
    expect(versions(received)).toEqual([3]);
    expect(versions(all)).toEqual([1, 2, 3]);
  });

  it('delivers the same commits again if the handler fails, also after a restart', async () => {
    const data = await testFolder();
    const failed = Promise.withResolvers<void>();
    const first = await openTestPlatform({ data, log: { ...silent, error: () => failed.resolve() } });
    await append(first.platform.events, 'a/job/1', 1, 2);
    first.feed('consumer', async () => {
      throw new Error('not now');
    });
    await failed.promise;
    await first.close();

    const second = await openTestPlatform({ data });
    const tries: number[][] = [];
    const running = second.feed('consumer', async (notifications) => {
      tries.push(versions(notifications));
      if (tries.length < 3) throw new Error('not yet');
    });
    await running.caughtUp();
    expect(tries).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
  });

  it('delivers all commits in batches of the given size', async () => {
    const { platform, feed } = await openTestPlatform();
    await Promise.all(Array.from({ length: 25 }, (_, i) => append(platform.events, `a/job/${i}`, 1)));
    const batches: number[] = [];
    await feed('consumer', async (notifications) => void batches.push(notifications.length), { batch: 10 }).caughtUp();
    expect(batches).toEqual([10, 10, 5]);
  });

  it.each([1, 2, 3])('loses no commit with duplicated, delayed and reordered delivery (seed %i)', async (seed) => {
    const data = await testFolder();
    const deployment = await openTestPlatform({ data, chaos: makeChaos(seed) });
    const received: FeedNotification[] = [];
    const running = deployment.feed('consumer', async (notifications) => void received.push(...notifications), {
      batch: 20,
    });
    await Promise.all(Array.from({ length: 100 }, (_, i) => append(deployment.platform.events, `a/job/${i}`, 1, 2)));
    await running.caughtUp();
    const positions = received.map((notification) => notification.position);
    expect(new Set(positions).size).toBe(200);
    expect(positions.length).toBeGreaterThan(200);
    expect(positions).not.toEqual(positions.toSorted((a, b) => a - b));
  });

  it.each([1, 2, 3, 4, 5])(
    'is caught up only once every commit is handled, also with chaos and failures (seed %i)',
    async (seed) => {
      const chaos = makeChaos(seed);
      const deployment = await openTestPlatform({ chaos });
      const received = new Set<number>();
      const handle = async (notifications: FeedNotification[]) => {
        await new Promise(setImmediate);
        if (chaos.chance(0.2)) throw new Error('not now');
        for (const { position } of notifications) received.add(position);
      };
      const running = deployment.feed('consumer', handle, { batch: 20 });
      for (let i = 1; i <= 40; i++) {
        await append(deployment.platform.events, `a/job/${i}`, 1);
        if (chaos.chance(0.5)) continue;
        await running.caughtUp();
        expect(received.size).toBe(i);
      }
    },
  );
});
