import { describe, expect, test } from 'vitest';
import type { Machine } from '../../domain/ports.ts';
import { makeTrouble } from '../../infra/embedded/trouble.ts';
import { readGenerations } from '../../projections/generations.ts';
import { getJob, listJobs } from '../../projections/jobs.ts';
import { parked, unpark } from '../../projections/parking.ts';
import type { Projection } from '../../projections/projection.ts';
import { clearRetired, rebuild } from '../../projections/rebuild.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { tendProjections } from '../../projections/tend.ts';
import { openTestHome, testFolder } from '../support/embedded.ts';
import {
  countingJobs,
  currentGeneration,
  deliver,
  failing,
  folded,
  makeJob,
  poison,
  rename,
  rowsByGeneration,
  write,
} from './jobs-world.ts';

const accounts = ['acc_1', 'acc_2', 'acc_3'];
const [account = ''] = accounts;
const [one, two, three] = [countingJobs(1), countingJobs(2), countingJobs(3)] as const;
const never = () => false;

/** A machine that is cut off after so many of these calls: each later one fails, as in a process that has ended. */
function cut(machine: Machine, after: number): Machine {
  let left = after;
  const port = <P extends object>(target: P): P =>
    new Proxy(target, {
      get(of, name, receiver) {
        if (left-- <= 0) return () => Promise.reject(new Error('the process has ended'));
        return Reflect.get(of, name, receiver);
      },
    });
  return { ...machine, rows: port(machine.rows), records: port(machine.records), events: port(machine.events) };
}

async function seeded(steps: number, seed = 1) {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const data = await testFolder();
  const { machine } = await openTestHome({ data, now: () => clock.now });
  const trouble = makeTrouble(seed);
  await tendProjections(machine, [one]);
  const delivery = deliver(machine, () => [one], trouble);
  await write(machine, accounts, steps, trouble, delivery.wake);
  await delivery.settle();
  return { machine, clock, trouble };
}

describe('a rebuild', () => {
  test.each([1, 2, 3, 4, 5, 6])('under writes equals a fresh fold, with a feed that repeats, shuffles and delays (%i)', async (seed) => {
    const { machine, trouble } = await seeded(60, seed);
    const delivery = deliver(machine, () => [two], trouble);
    const [outcome] = await Promise.all([rebuild(machine, two), write(machine, accounts, 60, trouble, delivery.wake)]);
    expect(outcome).toBe('flipped');
    await delivery.settle();
    const { generation, rows } = await currentGeneration(machine);
    expect(generation).toBe(2);
    expect(rows).toEqual(await folded(machine, two, accounts));
  });

  test.each([1, 2, 3, 4])('begun and cut off again and again, beside writes and rivals, ends the same (%i)', async (seed) => {
    const { machine, trouble } = await seeded(60, seed);
    const delivery = deliver(machine, () => [two], trouble);
    let writing = true;
    const writer = write(machine, accounts, 80, trouble, delivery.wake).finally(() => {
      writing = false;
    });
    let cuts = 0;
    while (writing || (await readGenerations(machine)).get('jobs')?.version !== 2) {
      const after = 20 + Math.floor(cuts * 7);
      const rivals = trouble.chance(0.5) ? [1, 2] : [1];
      await Promise.all(rivals.map(() => tendProjections(cut(machine, after), [two])));
      cuts++;
      // Reads alone never let the writer have its turn.
      await new Promise(setImmediate);
    }
    await writer;
    await delivery.settle();
    expect(cuts).toBeGreaterThan(3);
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, two, accounts));
  });

  test('goes on after a restart where it was stopped', async () => {
    const data = await testFolder();
    const first = await openTestHome({ data });
    await tendProjections(first.machine, [one]);
    const made = await Promise.all(Array.from({ length: 250 }, (_, i) => makeJob(first.machine, accounts[i % 3] ?? '')));
    await handleWakeups(first.machine, [one], made);
    let pages = 0;
    expect(await rebuild(first.machine, two, () => pages++ === 1)).toBe('stopped');
    const { building } = (await readGenerations(first.machine)).get('jobs') ?? {};
    expect(building).toMatchObject({ generation: 2, walked: false, cursor: expect.any(String) });
    await first.close();

    const { machine } = await openTestHome({ data });
    const walked: (string | undefined)[] = [];
    const watched: Machine = {
      ...machine,
      events: {
        ...machine.events,
        streams: (page) => {
          walked.push(page.cursor);
          return machine.events.streams(page);
        },
      },
    };
    await tendProjections(watched, [two]);
    expect(walked[0]).toBe(building?.cursor);
    const { generation, rows } = await currentGeneration(machine);
    expect([generation, rows]).toEqual([2, await folded(machine, two, accounts)]);
  });

  test('is not seen by those who read: every answer is whole, and nothing that was seen goes away', async () => {
    const { machine } = await openTestHome();
    await tendProjections(machine, [one]);
    const made: string[] = [];
    const add = async (projection: Projection) => {
      const job = await makeJob(machine, account);
      await handleWakeups(machine, [projection], [job]);
      made.push(job.jobId);
    };
    for (let i = 0; i < 120; i++) await add(one);
    let done = false;
    const rebuilding = rebuild(machine, two).finally(() => {
      done = true;
    });
    for (let looks = 0; !done || looks < 5; looks++) {
      await add(two);
      const known = [...made];
      const { items } = await listJobs(machine, account, { limit: 1000 });
      const seen = new Set(items.map(({ id }) => id));
      expect(known.filter((id) => !seen.has(id))).toEqual([]);
      expect(await getJob(machine, account, known[0] ?? '')).toBeDefined();
    }
    expect(await rebuilding).toBe('flipped');
  });

  test('of the same version can be asked for, and heals rows that are wrong', async () => {
    const { machine } = await seeded(30);
    const { rows } = await currentGeneration(machine);
    await machine.rows.remove('jobs', rows.slice(0, 5));
    expect(await rebuild(machine, one)).toBe('flipped');
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, one, accounts));
  });
});

describe('versions of the code', () => {
  test('a machine without activity has nothing to rebuild', async () => {
    const { machine } = await openTestHome();
    await tendProjections(machine, [two]);
    expect((await readGenerations(machine)).get('jobs')).toMatchObject({ current: 1, version: 2, building: null });
  });

  test('a read model that is new, or whose rows nobody vouches for, is built from the log', async () => {
    const { machine } = await openTestHome();
    const made = await Promise.all(Array.from({ length: 20 }, () => makeJob(machine, account)));
    await handleWakeups(machine, [one], made.slice(0, 5));
    await tendProjections(machine, [one]);
    expect((await readGenerations(machine)).get('jobs')).toMatchObject({ current: 2, version: 1, building: null });
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, one, [account]));
    await tendProjections(machine, [one]);
    expect((await readGenerations(machine)).get('jobs')?.current).toBe(2);
  });

  test('that are both at work for a while lose nothing: the one that stays makes the rows', async () => {
    const { machine, trouble } = await seeded(40);
    const mixed = deliver(machine, () => [trouble.chance(0.5) ? one : two], trouble);
    await Promise.all([
      write(machine, accounts, 60, trouble, mixed.wake),
      tendProjections(machine, [two]),
      tendProjections(machine, [one]),
    ]);
    await mixed.settle();
    const last = deliver(machine, () => [two], trouble);
    await Promise.all([write(machine, accounts, 10, trouble, last.wake), tendProjections(machine, [two])]);
    await last.settle();
    await tendProjections(machine, [two]);
    expect((await readGenerations(machine)).get('jobs')).toMatchObject({ version: 2, building: null });
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, two, accounts));
  });

  test('a later one ends the rebuild of the one before, and going back rebuilds too', async () => {
    const { machine } = await seeded(40);
    expect(await rebuild(machine, two, () => true)).toBe('stopped');
    const late = rebuild(machine, two);
    await Promise.all([late, tendProjections(machine, [three])]);
    expect((await readGenerations(machine)).get('jobs')).toMatchObject({ version: 3, building: null });
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, three, accounts));
    await tendProjections(machine, [one]);
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, one, accounts));
  });
});

describe('commits at fault', () => {
  const listed = async (machine: Machine) => {
    const all: string[] = [];
    for await (const { stream, fault, rebuilding } of parked(machine)) all.push(`${stream} ${fault}${rebuilding ? ' rebuilding' : ''}`);
    return all.sort();
  };

  test('a fold that fails where the old one did not is held: the old rows are read until it is mended', async () => {
    const { machine } = await openTestHome();
    await tendProjections(machine, [one]);
    const { stream, jobId } = await makeJob(machine, account);
    const name = 'as it was called';
    await handleWakeups(machine, [one], [await rename(machine, account, jobId, name)]);
    expect(await rebuild(machine, failing(two))).toBe('held');
    expect(await listed(machine)).toEqual([`${stream} unprojectable rebuilding`]);
    expect((await getJob(machine, account, jobId))?.name).toBe(name);
    const more = await makeJob(machine, account);
    await handleWakeups(machine, [failing(two)], [more]);
    expect(await getJob(machine, account, more.jobId)).toBeDefined();
    await tendProjections(machine, [two], { retryNow: true });
    expect(await listed(machine)).toEqual([]);
    const { generation, rows } = await currentGeneration(machine);
    expect([generation, rows]).toEqual([2, await folded(machine, two, [account])]);
  });

  test('what is damaged does not hold a rebuild, nor what was parked before; unpark then heals it', async () => {
    const { machine } = await openTestHome();
    await tendProjections(machine, [one]);
    const [damaged, renamed, well] = [await makeJob(machine, account), await makeJob(machine, account), await makeJob(machine, account)];
    const wakeups = [await poison(machine, damaged.stream), await rename(machine, account, renamed.jobId), well];
    await handleWakeups(machine, [failing(one)], wakeups);
    expect(await rebuild(machine, failing(two))).toBe('flipped');
    expect(await listed(machine)).toEqual([`${damaged.stream} damaged`, `${renamed.stream} unprojectable`].sort());
    expect(await unpark(machine, two)).toEqual({ healed: 1, parked: 1 });
    expect(await listed(machine)).toEqual([`${damaged.stream} damaged`]);
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, two, [account]));
  });
});

describe('a generation that is no longer read', () => {
  test('goes once nobody can be at it any more: rows, cursors and marks', async () => {
    const { machine, clock } = await seeded(60);
    const bad = await poison(machine, (await makeJob(machine, account)).stream);
    await handleWakeups(machine, [one], [bad]);
    await rebuild(machine, two);
    await clearRetired(machine, two, never);
    expect([...(await rowsByGeneration(machine)).keys()].sort()).toEqual([1, 2]);
    clock.now += 5 * 60_000;
    await clearRetired(machine, two, never);
    expect([...(await rowsByGeneration(machine)).keys()]).toEqual([2]);
    expect((await readGenerations(machine)).get('jobs')?.retired).toEqual([]);
    expect((await machine.records.query('parked', { limit: 10 })).items.map(({ sk }) => sk)).toEqual([`jobs@2 ${bad.stream}`]);
    for (const { stream, version } of (await machine.events.streams({ limit: 1000 })).items) {
      expect(await machine.rows.cursor('jobs', stream)).toBe(0);
      expect(await machine.rows.cursor('jobs@2', stream)).toBe(stream === bad.stream ? version - 1 : version);
    }
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, two, accounts));
  });

  test('goes also when that is cut off again and again, and a straggler writes to it', async () => {
    const { machine, clock, trouble } = await seeded(80);
    const straggler = deliver(machine, () => [one], trouble);
    await rebuild(machine, two);
    clock.now += 5 * 60_000;
    for (let cuts = 0; (await readGenerations(machine)).get('jobs')?.retired.length; cuts++) {
      await clearRetired(cut(machine, 3 + cuts), two, never).catch(() => undefined);
    }
    expect([...(await rowsByGeneration(machine)).keys()]).toEqual([2]);
    await write(machine, accounts, 10, trouble, straggler.wake);
    await straggler.settle();
    await tendProjections(machine, [two]);
    clock.now += 5 * 60_000;
    await tendProjections(machine, [two]);
    const { generation, rows } = await currentGeneration(machine);
    expect(rows).toEqual(await folded(machine, two, accounts));
    expect([...(await rowsByGeneration(machine)).keys()]).toEqual([generation]);
  });
});
