import { describe, expect, test } from 'vitest';
import type { JsonObject, Log, Measures, Platform, StreamNotification } from '../../../domain/ports.ts';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import { maintainProjections } from '../../../projections/engine/maintain.ts';
import { type Parked, parked, retryParked, unpark } from '../../../projections/engine/parking.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { openTestPlatform } from '../../support/embedded.ts';
import {
  countingJobs,
  currentGeneration,
  deliver,
  failing,
  folded,
  jobStream,
  makeJob,
  poison,
  rename,
  write,
} from './jobs-world.ts';

const account = 'acc_1';
const model = countingJobs(1);

type LogLine = { message: string; fields: JsonObject; error: unknown };

async function open(now?: () => number) {
  const errors: LogLine[] = [];
  const measured: Measures[] = [];
  const measure = (numbers: Measures) => void measured.push(numbers);
  const log: Log = {
    info() {},
    warn() {},
    measure,
    error: (message, fields = {}, error) => errors.push({ message, fields, error }),
  };
  const deployment = await openTestPlatform({ log, ...(now && { now }) });
  return { ...deployment, errors, measured };
}

async function all(platform: Platform): Promise<Parked[]> {
  const found: Parked[] = [];
  for await (const each of parked(platform)) found.push(each);
  return found;
}

/** Counts the calls to the platform. */
function counted(platform: Platform): { platform: Platform; asked: { count: number } } {
  const asked = { count: 0 };
  const port = <P extends object>(target: P): P =>
    new Proxy(target, {
      get(of, name, receiver) {
        asked.count++;
        return Reflect.get(of, name, receiver);
      },
    });
  return {
    platform: {
      ...platform,
      rows: port(platform.rows),
      records: port(platform.records),
      events: port(platform.events),
    },
    asked,
  };
}

describe('a commit at fault', () => {
  test('parks only its stream, and other streams in the same and later batches go on', async () => {
    const { platform } = await open();
    const before = await makeJob(platform, account);
    const bad = await poison(platform, before.stream);
    const others = await Promise.all(Array.from({ length: 30 }, () => makeJob(platform, account)));
    await handleNotifications(platform, [model], [bad, ...others, { stream: bad.stream, version: 9 }]);
    for (const { stream } of others) expect(await platform.rows.cursor('jobs', stream)).toBe(1);
    expect(await platform.rows.cursor('jobs', bad.stream)).toBe(1);
    const next = await makeJob(platform, account);
    await handleNotifications(platform, [model], [bad, next]);
    expect(await platform.rows.cursor('jobs', next.stream)).toBe(1);
  });

  test('is listed with its fault and logged as an error, without personal data', async () => {
    const { platform, errors } = await open(() => Date.UTC(2026, 0, 1));
    const bad = await poison(platform, jobStream(account, 'job_bad'));
    const renamed = await makeJob(platform, account);
    const notifications: StreamNotification[] = [bad, await rename(platform, account, renamed.jobId, 'Ada')];
    for (let time = 0; time < 3; time++) await handleNotifications(platform, [failing(model)], notifications);
    const since = '2026-01-01T00:00:00.000Z';
    expect(new Set(await all(platform))).toEqual(
      new Set([
        { projection: 'jobs', stream: bad.stream, version: 1, fault: 'damaged', since, rebuilding: false },
        { projection: 'jobs', stream: renamed.stream, version: 2, fault: 'unprojectable', since, rebuilding: false },
      ]),
    );
    expect(errors.map(({ message, fields }) => `${message} ${fields.stream} ${fields.fault}`).sort()).toEqual(
      [`projection parked ${bad.stream} damaged`, `projection parked ${renamed.stream} unprojectable`].sort(),
    );
    const logged = JSON.stringify(
      errors.map(({ fields, error }) => [fields, error instanceof Error ? [error.message, error.cause] : null]),
    );
    expect(logged).not.toMatch(/Ada|ada@/);
  });

  test('costs other streams no calls, even when 400 streams are parked', async () => {
    const { platform: plain } = await open();
    const { platform, asked } = counted(plain);
    const first = await makeJob(plain, account);
    await handleNotifications(platform, [model], [first]);
    const alone = asked.count;
    const damaged = await Promise.all(
      Array.from({ length: 400 }, (_, i) => poison(plain, jobStream(account, `job_bad_${i}`))),
    );
    await handleNotifications(platform, [model], damaged);
    expect(await all(platform)).toHaveLength(400);
    asked.count = 0;
    await handleNotifications(platform, [model], [await makeJob(plain, account)]);
    expect(asked.count).toBe(alone);
    asked.count = 0;
    await handleNotifications(platform, [model], damaged);
    // One read of the cursor and one of the parked record for each stream, and no load of a commit.
    expect(asked.count).toBeLessThanOrEqual(2 * 400 + 1);
  });

  test('does not stop the feed', async () => {
    const { platform, feed } = await open();
    const following = feed('projections', (notifications) => handleNotifications(platform, [model], notifications));
    await poison(platform, jobStream(account, 'job_bad'));
    const others = await Promise.all(Array.from({ length: 300 }, () => makeJob(platform, account)));
    await following.caughtUp();
    for (const { stream } of others) expect(await platform.rows.cursor('jobs', stream)).toBe(1);
    expect(await all(platform)).toHaveLength(1);
  });

  test('is a missing commit too', async () => {
    const { platform } = await open();
    const { stream } = await makeJob(platform, account);
    const hidden = await rename(platform, account, stream.split('/')[2] ?? '');
    const last = await rename(platform, account, stream.split('/')[2] ?? '');
    const withGap: Platform = {
      ...platform,
      events: {
        ...platform.events,
        load: async (...query) =>
          (await platform.events.load(...query)).filter(({ version }) => version !== hidden.version),
      },
    };
    await handleNotifications(withGap, [model], [last]);
    expect(await all(platform)).toMatchObject([{ stream, version: 2, fault: 'damaged' }]);
  });
});

test('a platform failure parks nothing, and the repeated notification succeeds', async () => {
  const { platform } = await open();
  const made = await makeJob(platform, account);
  const failed = {
    ...platform,
    rows: { ...platform.rows, apply: () => Promise.reject(new Error('the disk is full')) },
  };
  await expect(handleNotifications(failed, [model], [made])).rejects.toThrow('the disk is full');
  expect(await all(platform)).toEqual([]);
  await handleNotifications(platform, [model], [made]);
  expect(await platform.rows.cursor('jobs', made.stream)).toBe(1);
});

describe('unpark', () => {
  /** Creates jobs, renames them four times with a fold that fails on renames, and returns their streams. */
  async function parkStreams(platform: Platform, count: number): Promise<string[]> {
    const streams: string[] = [];
    for (let i = 0; i < count; i++) {
      const { stream, jobId } = await makeJob(platform, account);
      for (let version = 2; version <= 5; version++)
        await handleNotifications(platform, [failing(model)], [await rename(platform, account, jobId)]);
      streams.push(stream);
    }
    expect(await all(platform)).toHaveLength(count);
    return streams;
  }

  test('catches up at once, and a repeat changes nothing', async () => {
    const { platform } = await open();
    const [first = '', second = ''] = await parkStreams(platform, 2);
    expect(await unpark(platform, model, first)).toEqual({ healed: 1, parked: 0 });
    expect(await platform.rows.cursor('jobs', first)).toBe(5);
    expect(await platform.rows.cursor('jobs', second)).toBe(1);
    expect((await all(platform)).map(({ stream }) => stream)).toEqual([second]);
    expect(await unpark(platform, model, first)).toEqual({ healed: 0, parked: 0 });
    expect(await unpark(platform, model)).toEqual({ healed: 1, parked: 0 });
    expect(await unpark(platform, model)).toEqual({ healed: 0, parked: 0 });
    expect(await all(platform)).toEqual([]);
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, model, [account]));
  });

  test('leaves a stream parked, with its first time, while the fault remains', async () => {
    let now = Date.UTC(2026, 0, 1);
    const { platform } = await open(() => now);
    const [stream = ''] = await parkStreams(platform, 1);
    now += 60_000;
    expect(await unpark(platform, failing(model), stream)).toEqual({ healed: 0, parked: 1 });
    expect(await all(platform)).toMatchObject([{ stream, version: 2, since: '2026-01-01T00:00:00.000Z' }]);
  });

  test('counts each event once, many times at once and beside live traffic', async () => {
    const { platform } = await open();
    const chaos = makeChaos(5);
    const streams = await parkStreams(platform, 10);
    const delivery = deliver(platform, () => [model], chaos);
    await Promise.all([
      write(platform, [account, 'acc_2'], 60, chaos, delivery.notify),
      ...Array.from({ length: 5 }, () => unpark(platform, model)),
      ...streams.map((stream) => unpark(platform, model, stream)),
      // A worker whose code still has the fault.
      handleNotifications(
        platform,
        [failing(model)],
        streams.map((stream) => ({ stream, version: 5 })),
      ),
    ]);
    await delivery.settle();
    await unpark(platform, model);
    expect(await all(platform)).toEqual([]);
    expect((await currentGeneration(platform)).rows).toEqual(await folded(platform, model, [account, 'acc_2']));
  });

  test('also applies commits whose notifications arrived during the unpark', async () => {
    const { platform } = await open();
    const [stream = ''] = await parkStreams(platform, 1);
    let loads = 0;
    const load: Platform['events']['load'] = async (...asked) => {
      const commits = await platform.events.load(...asked);
      if (loads++ === 0)
        await handleNotifications(platform, [model], [await rename(platform, account, stream.split('/')[2] ?? '')]);
      return commits;
    };
    expect(await unpark({ ...platform, events: { ...platform.events, load } }, model, stream)).toEqual({
      healed: 1,
      parked: 0,
    });
    expect(await platform.rows.cursor('jobs', stream)).toBe(6);
    expect(await all(platform)).toEqual([]);
  });

  test('rejects a stream type that the projection does not read', async () => {
    const { platform } = await open();
    await expect(unpark(platform, model, 'acc_1/run/run_1')).rejects.toThrow(
      'Projection jobs does not read streams of type run. It reads job.',
    );
  });

  test('an outdated parked record does not hold up a stream that has moved on', async () => {
    const { platform } = await open();
    const [stream = ''] = await parkStreams(platform, 1);
    const parkedRecord = (await platform.records.query('parked', { limit: 1 })).items[0];
    await unpark(platform, model, stream);
    if (parkedRecord) await platform.records.putMany([parkedRecord]);
    await handleNotifications(platform, [model], [await rename(platform, account, stream.split('/')[2] ?? '')]);
    expect(await platform.rows.cursor('jobs', stream)).toBe(6);
    expect(await all(platform)).toEqual([]);
  });
});

test('retries parked streams at each start and once an hour', async () => {
  let now = Date.UTC(2026, 0, 1);
  const { platform, measured } = await open(() => now);
  await maintainProjections(platform, [model]);
  const { stream, jobId } = await makeJob(platform, account);
  await handleNotifications(platform, [failing(model)], [await rename(platform, account, jobId)]);
  expect(measured).toEqual([]);
  now += 59 * 60_000;
  await maintainProjections(platform, [model]);
  expect(await all(platform)).toHaveLength(1);
  expect(measured).toEqual([{ Parked: 1, ProjectionLagSeconds: 59 * 60 }]);
  await maintainProjections(platform, [failing(model)], { retryNow: true });
  expect(await all(platform)).toHaveLength(1);
  now += 61 * 60_000;
  const before = measured.length;
  await maintainProjections(platform, [model]);
  expect(await all(platform)).toEqual([]);
  expect(measured).toHaveLength(before);
  expect(await platform.rows.cursor('jobs', stream)).toBe(2);
  expect(await retryParked(platform, [model], Number.POSITIVE_INFINITY, () => false)).toEqual({ healed: 0, parked: 0 });
});
