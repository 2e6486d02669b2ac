import { describe, expect, it } from 'vitest';
import type { EventStore } from '../../../domain/ports.ts';
import type { FeedWakeup } from '../../../infra/embedded/feed.ts';
import { makeTrouble } from '../../../infra/embedded/trouble.ts';
import { openTestHome, silent, testFolder } from '../../support/embedded.ts';

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

const versions = (wakeups: FeedWakeup[]) => wakeups.map((wakeup) => wakeup.version);

describe('a feed', () => {
  it('gives what is there and then what comes, in order', async () => {
    const { machine, feed } = await openTestHome();
    await append(machine.events, 'a/job/1', 1, 2);
    const got: FeedWakeup[] = [];
    const following = feed('follower', async (wakeups) => void got.push(...wakeups));
    await following.caughtUp();
    expect(got).toEqual([
      { position: 1, stream: 'a/job/1', version: 1 },
      { position: 2, stream: 'a/job/1', version: 2 },
    ]);
    await append(machine.events, 'a/job/1', 3);
    await append(machine.events, 'a/job/1', 3);
    await following.caughtUp();
    expect(versions(got)).toEqual([1, 2, 3]);
  });

  it('is woken by an append, without anyone asking', async () => {
    const { machine, feed } = await openTestHome();
    const woken = Promise.withResolvers<FeedWakeup[]>();
    feed('follower', async (wakeups) => woken.resolve(wakeups));
    await append(machine.events, 'a/job/1', 1);
    expect(versions(await woken.promise)).toEqual([1]);
  });

  it('goes on where it was after a restart; another consumer has a place of its own', async () => {
    const data = await testFolder();
    const first = await openTestHome({ data });
    await append(first.machine.events, 'a/job/1', 1, 2);
    await first.feed('follower', async () => {}).caughtUp();
    await first.close();

    const second = await openTestHome({ data });
    await append(second.machine.events, 'a/job/1', 3);
    const got: FeedWakeup[] = [];
    const all: FeedWakeup[] = [];
    await second.feed('follower', async (wakeups) => void got.push(...wakeups)).caughtUp();
    await second.feed('other', async (wakeups) => void all.push(...wakeups)).caughtUp();
    expect(versions(got)).toEqual([3]);
    expect(versions(all)).toEqual([1, 2, 3]);
  });

  it('gives the same again when the handler fails, and again after a restart if it never succeeded', async () => {
    const data = await testFolder();
    const failed = Promise.withResolvers<void>();
    const first = await openTestHome({ data, log: { ...silent, error: () => failed.resolve() } });
    await append(first.machine.events, 'a/job/1', 1, 2);
    first.feed('follower', async () => {
      throw new Error('not now');
    });
    await failed.promise;
    await first.close();

    const second = await openTestHome({ data });
    const tries: number[][] = [];
    const following = second.feed('follower', async (wakeups) => {
      tries.push(versions(wakeups));
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
    const { machine, feed } = await openTestHome();
    await Promise.all(Array.from({ length: 25 }, (_, i) => append(machine.events, `a/job/${i}`, 1)));
    const batches: number[] = [];
    await feed('follower', async (wakeups) => void batches.push(wakeups.length), { batch: 10 }).caughtUp();
    expect(batches).toEqual([10, 10, 5]);
  });

  it.each([1, 2, 3])('with trouble (seed %i) loses nothing, though things come twice, late and out of order', async (seed) => {
    const data = await testFolder();
    const home = await openTestHome({ data, trouble: makeTrouble(seed) });
    const got: FeedWakeup[] = [];
    const following = home.feed('follower', async (wakeups) => void got.push(...wakeups), { batch: 20 });
    await Promise.all(Array.from({ length: 100 }, (_, i) => append(home.machine.events, `a/job/${i}`, 1, 2)));
    await following.caughtUp();
    const positions = got.map((wakeup) => wakeup.position);
    expect(new Set(positions).size).toBe(200);
    expect(positions.length).toBeGreaterThan(200);
    expect(positions).not.toEqual(positions.toSorted((a, b) => a - b));
  });

  it.each([1, 2, 3, 4, 5])('with trouble (seed %i) is caught up only when all is handled, also what failed before', async (seed) => {
    const trouble = makeTrouble(seed);
    const home = await openTestHome({ trouble });
    const got = new Set<number>();
    const handle = async (wakeups: FeedWakeup[]) => {
      await new Promise(setImmediate);
      if (trouble.chance(0.2)) throw new Error('not now');
      for (const { position } of wakeups) got.add(position);
    };
    const following = home.feed('follower', handle, { batch: 20 });
    for (let i = 1; i <= 40; i++) {
      await append(home.machine.events, `a/job/${i}`, 1);
      if (trouble.chance(0.5)) continue;
      await following.caughtUp();
      expect(got.size).toBe(i);
    }
  });
});
