import { describe, expect, test } from 'vitest';
import type { Platform } from '../../../domain/ports.ts';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import { readGenerations } from '../../../projections/engine/generations.ts';
import { maintainProjections } from '../../../projections/engine/maintain.ts';
import { parked, unpark } from '../../../projections/engine/parking.ts';
import type { Projection } from '../../../projections/engine/projection.ts';
import { clearRetired, rebuild } from '../../../projections/engine/rebuild.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { getJob, listJobs } from '../../../projections/jobs.ts';
import { openTestPlatform, testFolder } from '../../support/embedded.ts';
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

/** A platform that fails after that many calls, as in a process that was killed. */
function cut(platform: Platform, after: number): Platform {
  let callsLeft = after;
  const port = <P extends object>(target: P): P =>
    new Proxy(target, {
      get(of, name, receiver) {
        if (callsLeft-- <= 0) return () => Promise.reject(new Error('the process has ended'));
        return Reflect.get(of, name, receiver);
      },
    });
  return { ...platform, rows: port(platform.rows), records: port(platform.records), events: port(platform.events) };
}

async function seeded(steps: number, seed = 1) {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const data = await testFolder();
  const { platform } = await openTestPlatform({ data, now: () => clock.now });
  const chaos = makeChaos(seed);
  await maintainProjections(platform, [one]);
  const delivery = deliver(platform, () => [one], chaos);
  await write(platform, accounts, steps, chaos, delivery.notify);
  await delivery.settle();
  return { platform, clock, chaos };
}

describe('a rebuild', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'under writes equals a fresh fold, with a feed that repeats, shuffles and delays (seed %i)',
    async (seed) => {
      const { platform, chaos } = await seeded(60, seed);
      const delivery = deliver(platform, () => [two], chaos);
      const [outcome] = await Promise.all([
        rebuild(platform, two),
        write(platform, accounts, 60, chaos, delivery.notify),
      ]);
      expect(outcome).toBe('rebuilt');
      await delivery.settle();
      const { generation, rows } = await currentGeneration(platform);
      expect(generation).toBe(2);
      expect(rows).toEqual(await folded(platform, two, accounts));
    },
  );

  test.each([1, 2, 3, 4])(
    'equals a fresh fold after many kills, beside writes and concurrent rebuilds (seed %i)',
    async (seed) => {
      const { platform, chaos } = await seeded(60, seed);
      const delivery = deliver(platform, () => [two], chaos);
      let writing = true;
      const writer = write(platform, accounts, 80, chaos, delivery.notify).finally(() => {
        writing = false;
      });
      let cuts = 0;
      while (writing || (await readGenerations(platform)).get('jobs')?.version !== 2) {
        const after = 20 + Math.floor(cuts * 7);
        const workers = chaos.chance(0.5) ? [1, 2] : [1];
        await Promise.all(workers.map(() => maintainProjections(cut(platform, after), [two])));
        cuts++;
        // Gives the writer a turn: reads alone never yield to the event loop.
        await new Promise(setImmediate);
      }
      await writer;
      await delivery.settle();
      expect(cuts).toBeGreaterThan(3);
      expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, two, accounts));
    },
  );

  test('works on 32 streams at a time, each in order, and a slow stream does not hold up the others', async () => {
    const { platform } = await openTestPlatform();
    await maintainProjections(platform, [one]);
    const made = await Promise.all(Array.from({ length: 150 }, () => makeJob(platform, account)));
    for (const { jobId } of made.slice(0, 100)) await rename(platform, account, jobId);
    const [slow] = (await platform.events.streams({ limit: 1 })).items;
    const [applied, busy] = [new Map<string, number>(), new Set<string>()];
    let most = 0;
    const others = Promise.withResolvers<void>();
    const apply: Platform['rows']['apply'] = async (projection, stream, version, changes) => {
      expect([busy.has(stream), version]).toEqual([false, (applied.get(stream) ?? 0) + 1]);
      busy.add(stream);
      most = Math.max(most, busy.size);
      if (stream === slow?.stream) await others.promise;
      const outcome = await platform.rows.apply(projection, stream, version, changes);
      busy.delete(stream);
      applied.set(stream, version);
      if (applied.size === 149) others.resolve();
      return outcome;
    };
    expect(await rebuild({ ...platform, rows: { ...platform.rows, apply } }, two)).toBe('rebuilt');
    expect([applied.size, most]).toEqual([150, 32]);
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, two, accounts));
  });

  test('continues at its stored position after a restart', async () => {
    const data = await testFolder();
    const first = await openTestPlatform({ data });
    await maintainProjections(first.platform, [one]);
    const made = await Promise.all(
      Array.from({ length: 250 }, (_, i) => makeJob(first.platform, accounts[i % 3] ?? '')),
    );
    await handleNotifications(first.platform, [one], made);
    let pages = 0;
    expect(await rebuild(first.platform, two, () => pages++ === 1)).toBe('stopped');
    const { building } = (await readGenerations(first.platform)).get('jobs') ?? {};
    expect(building).toMatchObject({ generation: 2, walked: false, cursor: expect.any(String) });
    await first.close();

    const { platform } = await openTestPlatform({ data });
    const walked: (string | undefined)[] = [];
    const watched: Platform = {
      ...platform,
      events: {
        ...platform.events,
        streams: (page) => {
          walked.push(page.cursor);
          return platform.events.streams(page);
        },
      },
    };
    await maintainProjections(watched, [two]);
    expect(walked[0]).toBe(building?.cursor);
    const { generation, rows } = await currentGeneration(platform);
    expect([generation, rows]).toEqual([2, await folded(platform, two, accounts)]);
  });

  test('is invisible to readers: every answer is complete, and no row disappears', async () => {
    const { platform } = await openTestPlatform();
    await maintainProjections(platform, [one]);
    const made: string[] = [];
    const add = async (projection: Projection) => {
      const job = await makeJob(platform, account);
      await handleNotifications(platform, [projection], [job]);
      made.push(job.jobId);
    };
    for (let i = 0; i < 120; i++) await add(one);
    let done = false;
    const rebuilding = rebuild(platform, two).finally(() => {
      done = true;
    });
    for (let reads = 0; !done || reads < 5; reads++) {
      await add(two);
      const known = [...made];
      const { items } = await listJobs(platform, account, { limit: 1000 });
      const ids = new Set(items.map(({ id }) => id));
      expect(known.filter((id) => !ids.has(id))).toEqual([]);
      expect(await getJob(platform, account, known[0] ?? '')).toBeDefined();
    }
    expect(await rebuilding).toBe('rebuilt');
  });

  test('of the same version repairs lost rows', async () => {
    const { platform } = await seeded(30);
    const { rows } = await currentGeneration(platform);
    await platform.rows.remove('jobs', rows.slice(0, 5));
    expect(await rebuild(platform, one)).toBe('rebuilt');
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, one, accounts));
  });
});

describe('versions of the code', () => {
  test('a deployment without commits needs no rebuild', async () => {
    const { platform } = await openTestPlatform();
    await maintainProjections(platform, [two]);
    expect((await readGenerations(platform)).get('jobs')).toMatchObject({ current: 1, version: 2, building: null });
  });

  test('builds a read model of unknown version from the log', async () => {
    const { platform } = await openTestPlatform();
    const made = await Promise.all(Array.from({ length: 20 }, () => makeJob(platform, account)));
    await handleNotifications(platform, [one], made.slice(0, 5));
    await maintainProjections(platform, [one]);
    expect((await readGenerations(platform)).get('jobs')).toMatchObject({ current: 2, version: 1, building: null });
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, one, [account]));
    await maintainProjections(platform, [one]);
    expect((await readGenerations(platform)).get('jobs')?.current).toBe(2);
  });

  test('that run side by side lose nothing, and the last one makes the rows', async () => {
    const { platform, chaos } = await seeded(40);
    const mixed = deliver(platform, () => [chaos.chance(0.5) ? one : two], chaos);
    await Promise.all([
      write(platform, accounts, 60, chaos, mixed.notify),
      maintainProjections(platform, [two]),
      maintainProjections(platform, [one]),
    ]);
    await mixed.settle();
    const last = deliver(platform, () => [two], chaos);
    await Promise.all([write(platform, accounts, 10, chaos, last.notify), maintainProjections(platform, [two])]);
    await last.settle();
    await maintainProjections(platform, [two]);
    expect((await readGenerations(platform)).get('jobs')).toMatchObject({ version: 2, building: null });
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, two, accounts));
  });

  test('a later one supersedes the rebuild of an earlier one, and a downgrade rebuilds too', async () => {
    const { platform } = await seeded(40);
    expect(await rebuild(platform, two, () => true)).toBe('stopped');
    const late = rebuild(platform, two);
    await Promise.all([late, maintainProjections(platform, [three])]);
    expect((await readGenerations(platform)).get('jobs')).toMatchObject({ version: 3, building: null });
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, three, accounts));
    await maintainProjections(platform, [one]);
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, one, accounts));
  });
});

describe('a rebuild over commits at fault', () => {
  const listParked = async (platform: Platform) => {
    const all: string[] = [];
    for await (const { stream, fault, rebuilding } of parked(platform))
      all.push(`${stream} ${fault}${rebuilding ? ' rebuilding' : ''}`);
    return all.sort();
  };

  test('is held when the new fold fails where the old one did not, and queries read the old rows', async () => {
    const { platform } = await openTestPlatform();
    await maintainProjections(platform, [one]);
    const { stream, jobId } = await makeJob(platform, account);
    const name = 'before the rebuild';
    await handleNotifications(platform, [one], [await rename(platform, account, jobId, name)]);
    expect(await rebuild(platform, failing(two))).toBe('held');
    expect(await listParked(platform)).toEqual([`${stream} unprojectable rebuilding`]);
    expect((await getJob(platform, account, jobId))?.name).toBe(name);
    const more = await makeJob(platform, account);
    await handleNotifications(platform, [failing(two)], [more]);
    expect(await getJob(platform, account, more.jobId)).toBeDefined();
    await maintainProjections(platform, [two], { retryNow: true });
    expect(await listParked(platform)).toEqual([]);
    const { generation, rows } = await currentGeneration(platform);
    expect([generation, rows]).toEqual([2, await folded(platform, two, [account])]);
  });

  test('flips despite damaged commits and streams that were parked before, and unpark then continues them', async () => {
    const { platform } = await openTestPlatform();
    await maintainProjections(platform, [one]);
    const [damaged, renamed, well] = [
      await makeJob(platform, account),
      await makeJob(platform, account),
      await makeJob(platform, account),
    ];
    const notifications = [
      await poison(platform, damaged.stream),
      await rename(platform, account, renamed.jobId),
      well,
    ];
    await handleNotifications(platform, [failing(one)], notifications);
    expect(await rebuild(platform, failing(two))).toBe('rebuilt');
    expect(await listParked(platform)).toEqual([`${damaged.stream} damaged`, `${renamed.stream} unprojectable`].sort());
    expect(await unpark(platform, two)).toEqual({ healed: 1, parked: 1 });
    expect(await listParked(platform)).toEqual([`${damaged.stream} damaged`]);
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, two, [account]));
  });
});

describe('a retired generation', () => {
  test('loses its rows, cursors and parked records after five minutes', async () => {
    const { platform, clock } = await seeded(60);
    const bad = await poison(platform, (await makeJob(platform, account)).stream);
    await handleNotifications(platform, [one], [bad]);
    await rebuild(platform, two);
    await clearRetired(platform, two, never);
    expect([...(await rowsByGeneration(platform)).keys()].sort()).toEqual([1, 2]);
    clock.now += 5 * 60_000;
    await clearRetired(platform, two, never);
    expect([...(await rowsByGeneration(platform)).keys()]).toEqual([2]);
    expect((await readGenerations(platform)).get('jobs')?.retired).toEqual([]);
    expect((await platform.records.query('parked', { limit: 10 })).items.map(({ sk }) => sk)).toEqual([
      `jobs@2 ${bad.stream}`,
    ]);
    for (const { stream, version } of (await platform.events.streams({ limit: 1000 })).items) {
      expect(await platform.rows.cursor('jobs', stream)).toBe(0);
      expect(await platform.rows.cursor('jobs@2', stream)).toBe(stream === bad.stream ? version - 1 : version);
    }
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, two, accounts));
  });

  test('is cleared despite many kills and a straggler that writes to it', async () => {
    const { platform, clock, chaos } = await seeded(80);
    const straggler = deliver(platform, () => [one], chaos);
    await rebuild(platform, two);
    clock.now += 5 * 60_000;
    for (let cuts = 0; (await readGenerations(platform)).get('jobs')?.retired.length; cuts++) {
      await clearRetired(cut(platform, 3 + cuts), two, never).catch(() => undefined);
    }
    expect([...(await rowsByGeneration(platform)).keys()]).toEqual([2]);
    await write(platform, accounts, 10, chaos, straggler.notify);
    await straggler.settle();
    await maintainProjections(platform, [two]);
    clock.now += 5 * 60_000;
    await maintainProjections(platform, [two]);
    const { generation, rows } = await currentGeneration(platform);
    expect(rows).toEqual(await folded(platform, two, accounts));
    expect([...(await rowsByGeneration(platform)).keys()]).toEqual([generation]);
  });
});
