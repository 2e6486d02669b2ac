import { describe, expect, test } from 'vitest';
import type { Machine } from '../../domain/ports.ts';
import { beginBuilding, beginEmpty, changeGenerations, currentRows, flip, rowsAt } from '../../projections/generations.ts';
import { clearRetired, rebuild } from '../../projections/rebuild.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { openTestHome } from '../support/embedded.ts';
import { countingJobs, currentGeneration, folded, makeJob, rename } from './jobs-world.ts';

const [one, two] = [countingJobs(1), countingJobs(2)];
const account = 'acc_1';
const count = { table: 'jobs', pk: account, sk: 'count' } as const;

async function open() {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const { machine } = await openTestHome({ now: () => clock.now });
  await beginEmpty(machine, one);
  return { machine, clock };
}

/** The same machine, as another process sees it. */
const elsewhere = (machine: Machine): Machine => ({ ...machine, records: { ...machine.records } });

describe('the record of generations', () => {
  test('takes in what many change at once, one after another', async () => {
    const { machine } = await open();
    const add = () => changeGenerations(machine, 'jobs', (now) => now && { ...now, last: now.last + 1 });
    await Promise.all(Array.from({ length: 20 }, add));
    expect(await changeGenerations(machine, 'jobs', () => undefined)).toMatchObject({ last: 21, revision: 21 });
  });

  test('begins one generation, however many begin it', async () => {
    const { machine } = await open();
    const begun = await Promise.all(Array.from({ length: 10 }, () => beginBuilding(machine, two)));
    expect(new Set(begun.map(({ building }) => building?.generation))).toEqual(new Set([2]));
    expect(await Promise.all(Array.from({ length: 10 }, () => flip(machine, 'jobs', 2)))).toEqual(Array(10).fill(true));
    expect(await flip(machine, 'jobs', 3)).toBe(false);
    expect(await changeGenerations(machine, 'jobs', () => undefined)).toMatchObject({ current: 2, last: 2, retired: [{ generation: 1 }] });
  });
});

describe('those who read', () => {
  test('see the new generation at once where it was flipped, and within a second elsewhere', async () => {
    const { machine, clock } = await open();
    await handleWakeups(machine, [one], [await makeJob(machine, account)]);
    const other = elsewhere(machine);
    const seen = async (from: Machine) => (await currentRows(from).get(count))?.data;
    expect([await seen(machine), await seen(other)]).toEqual([{ 'events-1': 1 }, { 'events-1': 1 }]);
    await rebuild(machine, two);
    expect([await seen(machine), await seen(other)]).toEqual([{ 'events-2': 1 }, { 'events-1': 1 }]);
    clock.now += 1000;
    expect(await seen(other)).toEqual({ 'events-2': 1 });
  });

  test('know rows by the same keys in every generation', async () => {
    const { machine } = await open();
    const rows = rowsAt(machine.rows, 7);
    const changes = ['a', 'b', 'c'].map((sk) => ({ op: 'put', table: 'jobs', pk: account, sk, data: { sk } }) as const);
    expect(await rows.apply('jobs', 'acc_1/job/1', 1, changes)).toBe('applied');
    const expected = ['a', 'b', 'c'].map((sk) => ({ pk: account, sk, data: { sk } }));
    const query = { table: 'jobs', pk: account, limit: 2 } as const;
    const page = await rows.query(query);
    expect([...page.items, ...(await rows.query({ ...query, cursor: page.next ?? '' })).items]).toEqual(expected);
    expect(await rows.getMany('jobs', expected)).toEqual(expected);
    expect(await rows.get({ table: 'jobs', pk: account, sk: 'b' })).toEqual(expected[1]);
    expect(await machine.rows.get({ table: 'jobs', pk: account, sk: 'b' })).toBeUndefined();
    expect([await rows.cursor('jobs', 'acc_1/job/1'), await machine.rows.cursor('jobs', 'acc_1/job/1')]).toEqual([1, 0]);
  });

  test('are not held up by a look that failed', async () => {
    const { machine } = await open();
    await handleWakeups(machine, [one], [await makeJob(machine, account)]);
    let fails = true;
    const query: Machine['records']['query'] = (...asked) =>
      fails ? Promise.reject(new Error('the network is away')) : machine.records.query(...asked);
    const shaky = { ...machine, records: { ...machine.records, query } };
    await expect(currentRows(shaky).get(count)).rejects.toThrow('the network is away');
    fails = false;
    expect((await currentRows(shaky).get(count))?.data).toEqual({ 'events-1': 1 });
  });
});

describe('a straggler that knows an old generation only', () => {
  /** Goes on by what it has read now, whatever changes. */
  async function straggling(machine: Machine): Promise<Machine> {
    const old = await machine.records.query('generations', { limit: 10 });
    let first = true;
    const query: Machine['records']['query'] = async (...asked) => {
      if (asked[0] !== 'generations' || !first) return machine.records.query(...asked);
      first = false;
      return old;
    };
    return { ...machine, records: { ...machine.records, query } };
  }

  test('does no harm once that is cleared away, and does not fail for it', async () => {
    const { machine, clock } = await open();
    const made = await makeJob(machine, account);
    await handleWakeups(machine, [one], [made]);
    const renamed = await rename(machine, account, made.jobId);
    const straggler = await straggling(machine);
    await rebuild(machine, two);
    clock.now += 5 * 60_000;
    await clearRetired(machine, two, () => false);
    // Between the look at the cursor and the write, as it were.
    const rows = { ...straggler.rows, cursors: async () => new Map([[renamed.stream, 1]]) };
    await handleWakeups({ ...straggler, rows }, [one], [renamed]);
    expect((await machine.rows.scan('jobs', { limit: 10 })).items.filter(({ pk }) => !pk.startsWith('g2~'))).toEqual([]);
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, two, [account]));
  });

  test('a cursor that goes back in a generation that is read is no such thing: it fails', async () => {
    const { machine } = await open();
    const made = await makeJob(machine, account);
    const rows = { ...machine.rows, apply: async () => 'gap' as const };
    await expect(handleWakeups({ ...machine, rows }, [one], [made])).rejects.toThrow('went back');
  });
});
