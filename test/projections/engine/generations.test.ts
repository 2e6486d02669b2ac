import { describe, expect, test } from 'vitest';
import type { Platform } from '../../../domain/ports.ts';
import {
  beginBuilding,
  beginEmpty,
  changeGenerations,
  currentRows,
  flip,
  rowsAt,
} from '../../../projections/engine/generations.ts';
import { clearRetired, rebuild } from '../../../projections/engine/rebuild.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { openTestPlatform } from '../../support/embedded.ts';
import { countingJobs, currentGeneration, folded, makeJob, rename } from './jobs-world.ts';

const [one, two] = [countingJobs(1), countingJobs(2)];
const account = 'acc_1';
const count = { table: 'jobs', pk: account, sk: 'count' } as const;

async function open() {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const { platform } = await openTestPlatform({ now: () => clock.now });
  await beginEmpty(platform, one);
  return { platform, clock };
}

/** The same platform with caches of its own, like another process. */
const otherProcess = (platform: Platform): Platform => ({ ...platform, records: { ...platform.records } });

describe('the record of generations', () => {
  test('applies 20 concurrent changes one after another', async () => {
    const { platform } = await open();
    const add = () => changeGenerations(platform, 'jobs', (now) => now && { ...now, last: now.last + 1 });
    await Promise.all(Array.from({ length: 20 }, add));
    expect(await changeGenerations(platform, 'jobs', () => undefined)).toMatchObject({ last: 21, revision: 21 });
  });

  test('begins one generation when 10 callers begin it at once', async () => {
    const { platform } = await open();
    const begun = await Promise.all(Array.from({ length: 10 }, () => beginBuilding(platform, two)));
    expect(new Set(begun.map(({ building }) => building?.generation))).toEqual(new Set([2]));
    expect(await Promise.all(Array.from({ length: 10 }, () => flip(platform, 'jobs', 2)))).toEqual(
      Array(10).fill(true),
    );
    expect(await flip(platform, 'jobs', 3)).toBe(false);
    expect(await changeGenerations(platform, 'jobs', () => undefined)).toMatchObject({
      current: 2,
      last: 2,
      retired: [{ generation: 1 }],
    });
  });
});

describe('readers', () => {
  test('see the new generation at once in the process that flipped it, and within a second in others', async () => {
    const { platform, clock } = await open();
    await handleNotifications(platform, [one], [await makeJob(platform, account)]);
    const other = otherProcess(platform);
    const countIn = async (from: Platform) => (await currentRows(from).get(count))?.data;
    expect([await countIn(platform), await countIn(other)]).toEqual([{ 'events-1': 1 }, { 'events-1': 1 }]);
    await rebuild(platform, two);
    expect([await countIn(platform), await countIn(other)]).toEqual([{ 'events-2': 1 }, { 'events-1': 1 }]);
    clock.now += 1000;
    expect(await countIn(other)).toEqual({ 'events-2': 1 });
  });

  test('use the same keys in every generation', async () => {
    const { platform } = await open();
    const rows = rowsAt(platform.rows, 7);
    const changes = ['a', 'b', 'c'].map((sk) => ({ op: 'put', table: 'jobs', pk: account, sk, data: { sk } }) as const);
    expect(await rows.apply('jobs', 'acc_1/job/1', 1, changes)).toBe('applied');
    const expected = ['a', 'b', 'c'].map((sk) => ({ pk: account, sk, data: { sk } }));
    const query = { table: 'jobs', pk: account, limit: 2 } as const;
    const page = await rows.query(query);
    expect([...page.items, ...(await rows.query({ ...query, cursor: page.next ?? '' })).items]).toEqual(expected);
    expect(await rows.getMany('jobs', expected)).toEqual(expected);
    expect(await rows.get({ table: 'jobs', pk: account, sk: 'b' })).toEqual(expected[1]);
    expect(await platform.rows.get({ table: 'jobs', pk: account, sk: 'b' })).toBeUndefined();
    expect([await rows.cursor('jobs', 'acc_1/job/1'), await platform.rows.cursor('jobs', 'acc_1/job/1')]).toEqual([
      1, 0,
    ]);
  });

  test('read the record of generations again after a failed read', async () => {
    const { platform } = await open();
    await handleNotifications(platform, [one], [await makeJob(platform, account)]);
    let failing = true;
    const query: Platform['records']['query'] = (...asked) =>
      failing ? Promise.reject(new Error('the network is away')) : platform.records.query(...asked);
    const unreliable = { ...platform, records: { ...platform.records, query } };
    await expect(currentRows(unreliable).get(count)).rejects.toThrow('the network is away');
    failing = false;
    expect((await currentRows(unreliable).get(count))?.data).toEqual({ 'events-1': 1 });
  });
});

describe('a straggler with an old record of generations', () => {
  /** A platform that reads the present record of generations once more after it has changed. */
  async function straggling(platform: Platform): Promise<Platform> {
    const old = await platform.records.query('generations', { limit: 10 });
    let first = true;
    const query: Platform['records']['query'] = async (...asked) => {
      if (asked[0] !== 'generations' || !first) return platform.records.query(...asked);
      first = false;
      return old;
    };
    return { ...platform, records: { ...platform.records, query } };
  }

  test('writes nothing to a cleared generation and does not fail', async () => {
    const { platform, clock } = await open();
    const made = await makeJob(platform, account);
    await handleNotifications(platform, [one], [made]);
    const renamed = await rename(platform, account, made.jobId);
    const straggler = await straggling(platform);
    await rebuild(platform, two);
    clock.now += 5 * 60_000;
    await clearRetired(platform, two, () => false);
    // The clearing happens between the read of the cursor and the write.
    const rows = { ...straggler.rows, cursors: async () => new Map([[renamed.stream, 1]]) };
    await handleNotifications({ ...straggler, rows }, [one], [renamed]);
    expect((await platform.rows.scan('jobs', { limit: 10 })).items.filter(({ pk }) => !pk.startsWith('g2~'))).toEqual(
      [],
    );
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, two, [account]));
  });

  test('fails when the cursor of a live generation goes back', async () => {
    const { platform } = await open();
    const made = await makeJob(platform, account);
    const rows = { ...platform.rows, apply: async () => 'gap' as const };
    await expect(handleNotifications({ ...platform, rows }, [one], [made])).rejects.toThrow('went back');
  });
});
