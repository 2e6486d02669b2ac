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
  it('gives what is there and then what comes, in order', async () => {
    const { platform, feed } = await openTestPlatform();
    await append(platform.events, 'a/job/1', 1, 2);
    const got: FeedNotification[] = [];
    const following = feed('follower', async (notifications) => void got.push(...notifications));
    await following.caughtUp();
    expect(got).toEqual([
      { position: 1, stream: 'a/job/1', version: 1 },
      { position: 2, stream: 'a/job/1', version: 2 },
    ]);
    await append(platform.events, 'a/job/1', 3);
    await append(platform.events, 'a/job/1', 3);
    await following.caughtUp();
    expect(versions(got)).toEqual([1, 2, 3]);
  });

  it('is woken by an append, without anyone asking', async () => {
    const { platform, feed } = await openTestPlatform();
    const woken = Promise.withResolvers<FeedNotification[]>();
    feed('follower', async (notifications) => woken.resolve(notifications));
    await append(platform.events, 'a/job/1', 1);
    expect(versions(await woken.promise)).toEqual([1]);
  });

  it('goes on where it was after a restart; another consumer has a place of its own', async () => {
    const data = await testFolder();
    const first = await openTestPlatform({ data });
    await append(first.platform.events, 'a/job/1', 1, 2);
    await first.feed('follower', async () => {}).caughtUp();
    await first.close();

    const second = await openTestPlatform({ data });
    await append(second.platform.events, 'a/job/1', 3);
    const got: FeedNotification[] = [];
    const all: FeedNotification[] = [];
    await second.feed('follower', async (notifications) => void got.push(...notifications)).caughtUp();
    await second.feed('other', async (notifications) => void all.push(...notifications)).caughtUp();
    expect(versions(got)).toEqual([3]);
    expect(versions(all)).toEqual([1, 2, 3]);
  });

  it('gives the same again when the handler fails, and again after a restart if it never succeeded', async () => {
    const data = await testFolder();
    const failed = Promise.withResolvers<void>();
    const first = await openTestPlatform({ data, log: { ...silent, error: () => failed.resolve() } });
    await append(first.platform.events, 'a/job/1', 1, 2);
    first.feed('follower', async () => {
      throw new Error('not now');
    });
    await failed.promise;
    await first.close();

    const second = await openTestPlatform({ data });
    const tries: number[][] = [];
    const following = second.feed('follower', async (notifications) => {
      tries.push(versions(notifications));
      if (tries.length < 3) throw new Error('not yet');
    });
    await following.caughtUp();
    expect(tries).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
  });

  it('gives no more at once than the batch, and everything in the end', async () => {
    const { platform, feed } = await openTestPlatform();
    await Promise.all(Array.from({ length: 25 }, (_, i) => append(platform.events, `a/job/${i}`, 1)));
    const batches: number[] = [];
    await feed('follower', async (notifications) => void batches.push(notifications.length), { batch: 10 }).caughtUp();
    expect(batches).toEqual([10, 10, 5]);
  });

  it.each([1, 2, 3])(
    'with trouble (seed %i) loses nothing, though things come twice, late and out of order',
    async (seed) => {
      const data = await testFolder();
      const deployment = await openTestPlatform({ data, chaos: makeChaos(seed) });
      const got: FeedNotification[] = [];
      const following = deployment.feed('follower', async (notifications) => void got.push(...notifications), {
        batch: 20,
      });
      await Promise.all(Array.from({ length: 100 }, (_, i) => append(deployment.platform.events, `a/job/${i}`, 1, 2)));
      await following.caughtUp();
      const positions = got.map((notification) => notification.position);
      expect(new Set(positions).size).toBe(200);
      expect(positions.length).toBeGreaterThan(200);
      expect(positions).not.toEqual(positions.toSorted((a, b) => a - b));
    },
  );

  it.each([1, 2, 3, 4, 5])(
    'with trouble (seed %i) is caught up only when all is handled, also what failed before',
    async (seed) => {
      const chaos = makeChaos(seed);
      const deployment = await openTestPlatform({ chaos });
      const got = new Set<number>();
      const handle = async (notifications: FeedNotification[]) => {
        await new Promise(setImmediate);
        if (chaos.chance(0.2)) throw new Error('not now');
        for (const { position } of notifications) got.add(position);
      };
      const following = deployment.feed('follower', handle, { batch: 20 });
      for (let i = 1; i <= 40; i++) {
        await append(deployment.platform.events, `a/job/${i}`, 1);
        if (chaos.chance(0.5)) continue;
        await following.caughtUp();
        expect(got.size).toBe(i);
      }
    },
  );
});
