import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ActivityCursor, type ActivityFilter, type ActivityItem, readActivity } from '../../activity/feed.ts';
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { type JobEvent, job } from '../../domain/job.ts';
import type { Platform } from '../../domain/ports.ts';
import { connectSource, source } from '../../domain/source.ts';
import { openTestPlatform } from '../support/embedded.ts';

const startOfTime = Date.UTC(2026, 0, 1);
const time = (minute: number) => new Date(startOfTime + minute * 60_000).toISOString();

/**
 * One commit a minute: of 1 to 4 events, by two actors, on two types of streams. Another account has its own commits.
 */
async function ledger(sizes: number[]) {
  let now = startOfTime;
  const { platform } = await openTestPlatform({ now: () => now });
  for (const [i, size] of sizes.entries()) {
    now = startOfTime + i * 60_000;
    const cause = systemContext('acc_1', i % 2 === 0 ? 'even' : 'odd', 'x', `${i}`);
    const renamed = (n: number) => ({ type: 'JobRenamed' as const, data: { jobId: 'job_1', name: `${i}.${n}` } });
    if (i % 5 === 4)
      await transact(
        platform,
        source,
        `acc_1/source/${i}`,
        connectSource(`${i}`, 's3', { name: `${i}`, config: {} }),
        cause,
      );
    else
      await transact(
        platform,
        job,
        `acc_1/job/${i % 3}`,
        () => Array.from({ length: size }, (_, n) => renamed(n)),
        cause,
      );
    await transact(platform, job, 'acc_2/job/1', () => [renamed(0)], systemContext('acc_2', 'even', 'x', `${i}`));
  }
  return platform;
}

async function pages(platform: Platform, filter: ActivityFilter, limit: number): Promise<ActivityItem[][]> {
  const all: ActivityItem[][] = [];
  for (let cursor: ActivityCursor | null | undefined; cursor !== null; ) {
    const { items, next } = await readActivity(platform, 'acc_1', filter, { limit, ...(cursor ? { cursor } : {}) });
    // Clients send the cursor back as JSON text.
    cursor = JSON.parse(JSON.stringify(next)) as ActivityCursor | null;
    all.push(items);
    expect(all.length, 'the pages do not end').toBeLessThan(500);
  }
  return all;
}

const positionOf = ({ seq, index }: ActivityItem) => `${seq}.${index}`;
const sizes = Array.from({ length: 30 }, (_, i) => 1 + (i % 4));

describe('readActivity', () => {
  it('returns every event once, in ledger order or reversed, with any page size', async () => {
    const platform = await ledger(sizes);
    const whole = (await pages(platform, { order: 'asc' }, 200)).flat();
    expect(whole.map(({ seq }) => seq)).toEqual(whole.map(({ seq }) => seq).toSorted((a, b) => a - b));
    expect(new Set(whole.map(positionOf)).size).toBe(whole.length);
    expect(whole.filter(({ type }) => type === 'job.renamed.v1')).toHaveLength(
      sizes.filter((_, i) => i % 5 !== 4).reduce((a, b) => a + b),
    );
    for (const limit of [1, 2, 3, 7, 19, 20, 21, whole.length]) {
      const up = await pages(platform, { order: 'asc' }, limit);
      const down = await pages(platform, { order: 'desc' }, limit);
      expect(up.flat(), `${limit} a page`).toEqual(whole);
      expect(down.flat(), `${limit} a page`).toEqual(whole.toReversed());
      for (const page of [...up.slice(0, -1), ...down.slice(0, -1)]) expect(page).toHaveLength(limit);
    }
  });

  it('returns decrypted events with actor, time and stream, and none of other accounts', async () => {
    const platform = await ledger([1, 2]);
    const { items, next } = await readActivity(platform, 'acc_1', { order: 'asc' }, { limit: 50 });
    expect(next).toBeNull();
    expect(items.map(({ seq, index }) => [seq, index])).toEqual([
      [1, 0],
      [2, 0],
      [2, 1],
    ]);
    const [commit] = await platform.events.load('acc_1/job/1');
    expect(items[2]).toEqual({
      ...{
        seq: 2,
        index: 1,
        id: expect.stringMatching(/^evt_/),
        type: 'job.renamed.v1',
        at: time(1),
        stream: 'acc_1/job/1',
        version: 1,
      },
      ...{ actor: { type: 'system', id: 'odd' }, data: { jobId: 'job_1', name: '1.1' }, hash: commit?.hash },
    });
  });

  it('returns the events that match all filters, in both orders and with any page size', async () => {
    const platform = await ledger(sizes);
    const whole = (await pages(platform, { order: 'asc' }, 200)).flat();
    const minute = fc.integer({ min: -2, max: 32 }).map(time);
    const filters = fc.record(
      {
        from: minute,
        to: minute,
        actor: fc.constantFrom('even', 'odd', 'nobody'),
        type: fc.constantFrom('job.renamed.v1', 'job.renamed', 'source.connected', 'job.renamed.v2'),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(
        filters,
        fc.constantFrom('asc', 'desc'),
        fc.integer({ min: 1, max: 12 }),
        async (filter, order, limit) => {
          const expected = whole.filter(
            ({ at, actor, type }) =>
              at >= (filter.from ?? '') &&
              at < (filter.to ?? '~') &&
              actor.id === (filter.actor ?? actor.id) &&
              (type === (filter.type ?? type) || type === `${filter.type}.v1`),
          );
          const found = (await pages(platform, { ...filter, order }, limit)).flat();
          expect(found).toEqual(order === 'asc' ? expected : expected.toReversed());
        },
      ),
      { numRuns: 60 },
    );
  });

  it('finds commits that are much older than their ledger entry: a clock set back, a late relay', async () => {
    let now = startOfTime;
    const { platform } = await openTestPlatform({ now: () => now });
    // The ledger time stays at hour 5 until the clock has caught up.
    const hours = [0, 5, 1, 2, 6, 3, 7, 8, 4, 9];
    for (const [i, hour] of hours.entries()) {
      now = startOfTime + hour * 3_600_000;
      const renamed: JobEvent = { type: 'JobRenamed', data: { jobId: 'job_1', name: `${hour}` } };
      await transact(platform, job, `acc_1/job/${i}`, () => [renamed], systemContext('acc_1', 'x', 'x', `${i}`));
    }
    for (const order of ['asc', 'desc'] as const) {
      for (const limit of [1, 2, 3, 50]) {
        for (let from = 0; from < 10; from++) {
          for (let to = from; to <= 10; to++) {
            const found = (await pages(platform, { order, from: time(from * 60), to: time(to * 60) }, limit)).flat();
            const expected = hours.filter((hour) => hour >= from && hour < to);
            expect(found.map(({ data }) => Number(data.name))).toEqual(
              order === 'asc' ? expected : expected.toReversed(),
            );
          }
        }
      }
    }
  });

  it('continues in the middle of a commit, and sees new commits', async () => {
    const platform = await ledger([4]);
    const first = await readActivity(platform, 'acc_1', { order: 'asc' }, { limit: 2 });
    await transact(
      platform,
      job,
      'acc_1/job/later',
      (): JobEvent[] => [{ type: 'JobDeleted', data: { jobId: 'later' } }],
      systemContext('acc_1', 'x', 'x', 'x'),
    );
    const cursor = first.next ?? { seq: 0, index: 0 };
    const { items, next } = await readActivity(platform, 'acc_1', { order: 'asc' }, { limit: 50, cursor });
    expect(items.map(positionOf)).toEqual(['1.2', '1.3', '2.0']);
    expect(next).toBeNull();
  });

  it('returns one empty page for an account without events', async () => {
    const { platform } = await openTestPlatform();
    for (const order of ['asc', 'desc'] as const)
      expect(await readActivity(platform, 'acc_none', { order }, { limit: 5 })).toEqual({ items: [], next: null });
  });

  it('throws when the ledger and the commits do not agree', async () => {
    const platform = await ledger([1]);
    const ledgerOf: Platform['events']['ledger'] = async (...query) =>
      (await platform.events.ledger(...query)).map((entry) => ({ ...entry, hash: '0'.repeat(64) }));
    const altered = { ...platform, events: { ...platform.events, ledger: ledgerOf } };
    await expect(readActivity(altered, 'acc_1', { order: 'asc' }, { limit: 5 })).rejects.toThrow('do not agree');
  });
});
