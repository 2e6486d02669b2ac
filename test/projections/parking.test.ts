import { describe, expect, test } from 'vitest';
import type { JsonObject, Log, Machine, Measures, Wakeup } from '../../domain/ports.ts';
import { makeTrouble } from '../../infra/embedded/trouble.ts';
import { type Parked, parked, retryParked, unpark } from '../../projections/parking.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { tendProjections } from '../../projections/tend.ts';
import { openTestHome } from '../support/embedded.ts';
import { countingJobs, currentGeneration, deliver, failing, folded, jobStream, makeJob, poison, rename, write } from './jobs-world.ts';

const account = 'acc_1';
const model = countingJobs(1);

type Line = { message: string; fields: JsonObject; error: unknown };

async function open(now?: () => number) {
  const errors: Line[] = [];
  const measured: Measures[] = [];
  const measure = (numbers: Measures) => void measured.push(numbers);
  const log: Log = { info() {}, warn() {}, measure, error: (message, fields = {}, error) => errors.push({ message, fields, error }) };
  const home = await openTestHome({ log, ...(now && { now }) });
  return { ...home, errors, measured };
}

async function all(machine: Machine): Promise<Parked[]> {
  const found: Parked[] = [];
  for await (const each of parked(machine)) found.push(each);
  return found;
}

/** Asks of the machine, counted. */
function counted(machine: Machine): { machine: Machine; asked: { count: number } } {
  const asked = { count: 0 };
  const port = <P extends object>(target: P): P =>
    new Proxy(target, {
      get(of, name, receiver) {
        asked.count++;
        return Reflect.get(of, name, receiver);
      },
    });
  return { machine: { ...machine, rows: port(machine.rows), records: port(machine.records), events: port(machine.events) }, asked };
}

describe('a commit that is at fault', () => {
  test('parks its stream alone: what comes with it and after it is applied, in the same batch too', async () => {
    const { machine } = await open();
    const before = await makeJob(machine, account);
    const bad = await poison(machine, before.stream);
    const others = await Promise.all(Array.from({ length: 30 }, () => makeJob(machine, account)));
    await handleWakeups(machine, [model], [bad, ...others, { stream: bad.stream, version: 9 }]);
    for (const { stream } of others) expect(await machine.rows.cursor('jobs', stream)).toBe(1);
    expect(await machine.rows.cursor('jobs', bad.stream)).toBe(1);
    const next = await makeJob(machine, account);
    await handleWakeups(machine, [model], [bad, next]);
    expect(await machine.rows.cursor('jobs', next.stream)).toBe(1);
  });

  test('is listed with what is wrong, and logged as an error, without anything personal', async () => {
    const { machine, errors } = await open(() => Date.UTC(2026, 0, 1));
    const bad = await poison(machine, jobStream(account, 'job_bad'));
    const renamed = await makeJob(machine, account);
    const wakeups: Wakeup[] = [bad, await rename(machine, account, renamed.jobId, 'Ada')];
    for (let time = 0; time < 3; time++) await handleWakeups(machine, [failing(model)], wakeups);
    const since = '2026-01-01T00:00:00.000Z';
    expect(new Set(await all(machine))).toEqual(
      new Set([
        { projection: 'jobs', stream: bad.stream, version: 1, fault: 'damaged', since, rebuilding: false },
        { projection: 'jobs', stream: renamed.stream, version: 2, fault: 'unprojectable', since, rebuilding: false },
      ]),
    );
    expect(errors.map(({ message, fields }) => `${message} ${fields.stream} ${fields.fault}`).sort()).toEqual(
      [`projection parked ${bad.stream} damaged`, `projection parked ${renamed.stream} unprojectable`].sort(),
    );
    const said = JSON.stringify(errors.map(({ fields, error }) => [fields, error instanceof Error ? [error.message, error.cause] : null]));
    expect(said).not.toMatch(/Ada|ada@/);
  });

  test('holds up nobody, however many there are', async () => {
    const { machine: plain } = await open();
    const { machine, asked } = counted(plain);
    const quiet = await makeJob(plain, account);
    await handleWakeups(machine, [model], [quiet]);
    const alone = asked.count;
    const storm = await Promise.all(Array.from({ length: 400 }, (_, i) => poison(plain, jobStream(account, `job_bad_${i}`))));
    await handleWakeups(machine, [model], storm);
    expect(await all(machine)).toHaveLength(400);
    asked.count = 0;
    await handleWakeups(machine, [model], [await makeJob(plain, account)]);
    expect(asked.count).toBe(alone);
    asked.count = 0;
    await handleWakeups(machine, [model], storm);
    // One look at the cursor and one at the mark, and no commit is loaded.
    expect(asked.count).toBeLessThanOrEqual(2 * 400 + 1);
  });

  test('does not stop the feed of a home', async () => {
    const { machine, feed } = await open();
    const following = feed('projections', (wakeups) => handleWakeups(machine, [model], wakeups));
    await poison(machine, jobStream(account, 'job_bad'));
    const others = await Promise.all(Array.from({ length: 300 }, () => makeJob(machine, account)));
    await following.caughtUp();
    for (const { stream } of others) expect(await machine.rows.cursor('jobs', stream)).toBe(1);
    expect(await all(machine)).toHaveLength(1);
  });

  test('in a stream that lacks a commit, too', async () => {
    const { machine } = await open();
    const { stream } = await makeJob(machine, account);
    const hidden = await rename(machine, account, stream.split('/')[2] ?? '');
    const last = await rename(machine, account, stream.split('/')[2] ?? '');
    const holed: Machine = {
      ...machine,
      events: {
        ...machine.events,
        load: async (...query) => (await machine.events.load(...query)).filter(({ version }) => version !== hidden.version),
      },
    };
    await handleWakeups(holed, [model], [last]);
    expect(await all(machine)).toMatchObject([{ stream, version: 2, fault: 'damaged' }]);
  });
});

test('a machine that fails parks nothing: the wake-up comes again', async () => {
  const { machine } = await open();
  const made = await makeJob(machine, account);
  const failed = { ...machine, rows: { ...machine.rows, apply: () => Promise.reject(new Error('the disk is full')) } };
  await expect(handleWakeups(failed, [model], [made])).rejects.toThrow('the disk is full');
  expect(await all(machine)).toEqual([]);
  await handleWakeups(machine, [model], [made]);
  expect(await machine.rows.cursor('jobs', made.stream)).toBe(1);
});

describe('unpark', () => {
  /** Jobs that were renamed again and again while the fold failed on it. */
  async function stuck(machine: Machine, count: number): Promise<string[]> {
    const streams: string[] = [];
    for (let i = 0; i < count; i++) {
      const { stream, jobId } = await makeJob(machine, account);
      for (let version = 2; version <= 5; version++)
        await handleWakeups(machine, [failing(model)], [await rename(machine, account, jobId)]);
      streams.push(stream);
    }
    expect(await all(machine)).toHaveLength(count);
    return streams;
  }

  test('goes on where it stood still and catches up at once; again it changes nothing', async () => {
    const { machine } = await open();
    const [first = '', second = ''] = await stuck(machine, 2);
    expect(await unpark(machine, model, first)).toEqual({ healed: 1, parked: 0 });
    expect(await machine.rows.cursor('jobs', first)).toBe(5);
    expect(await machine.rows.cursor('jobs', second)).toBe(1);
    expect((await all(machine)).map(({ stream }) => stream)).toEqual([second]);
    expect(await unpark(machine, model, first)).toEqual({ healed: 0, parked: 0 });
    expect(await unpark(machine, model)).toEqual({ healed: 1, parked: 0 });
    expect(await unpark(machine, model)).toEqual({ healed: 0, parked: 0 });
    expect(await all(machine)).toEqual([]);
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, model, [account]));
  });

  test('of what is not mended leaves it parked, since when it first was', async () => {
    let now = Date.UTC(2026, 0, 1);
    const { machine } = await open(() => now);
    const [stream = ''] = await stuck(machine, 1);
    now += 60_000;
    expect(await unpark(machine, failing(model), stream)).toEqual({ healed: 0, parked: 1 });
    expect(await all(machine)).toMatchObject([{ stream, version: 2, since: '2026-01-01T00:00:00.000Z' }]);
  });

  test('beside live traffic and many times at once counts each event once', async () => {
    const { machine } = await open();
    const trouble = makeTrouble(5);
    const streams = await stuck(machine, 10);
    const delivery = deliver(machine, () => [model], trouble);
    await Promise.all([
      write(machine, [account, 'acc_2'], 60, trouble, delivery.wake),
      ...Array.from({ length: 5 }, () => unpark(machine, model)),
      ...streams.map((stream) => unpark(machine, model, stream)),
      // A straggler whose code still fails.
      handleWakeups(
        machine,
        [failing(model)],
        streams.map((stream) => ({ stream, version: 5 })),
      ),
    ]);
    await delivery.settle();
    await unpark(machine, model);
    expect(await all(machine)).toEqual([]);
    expect((await currentGeneration(machine)).rows).toEqual(await folded(machine, model, [account, 'acc_2']));
  });

  test('does what others were told of while it was at work, and left because the stream stood still', async () => {
    const { machine } = await open();
    const [stream = ''] = await stuck(machine, 1);
    let told = 0;
    const load: Machine['events']['load'] = async (...asked) => {
      const commits = await machine.events.load(...asked);
      if (told++ === 0) await handleWakeups(machine, [model], [await rename(machine, account, stream.split('/')[2] ?? '')]);
      return commits;
    };
    expect(await unpark({ ...machine, events: { ...machine.events, load } }, model, stream)).toEqual({ healed: 1, parked: 0 });
    expect(await machine.rows.cursor('jobs', stream)).toBe(6);
    expect(await all(machine)).toEqual([]);
  });

  test('of a stream that the projection does not follow is refused', async () => {
    const { machine } = await open();
    await expect(unpark(machine, model, 'acc_1/run/run_1')).rejects.toThrow('jobs follows job, and no run');
  });

  test('a mark that was set after the stream went on does not hold it', async () => {
    const { machine } = await open();
    const [stream = ''] = await stuck(machine, 1);
    const mark = (await machine.records.query('parked', { limit: 1 })).items[0];
    await unpark(machine, model, stream);
    if (mark) await machine.records.putMany([mark]);
    await handleWakeups(machine, [model], [await rename(machine, account, stream.split('/')[2] ?? '')]);
    expect(await machine.rows.cursor('jobs', stream)).toBe(6);
    expect(await all(machine)).toEqual([]);
  });
});

test('what stands still is tried again at each start, and once an hour', async () => {
  let now = Date.UTC(2026, 0, 1);
  const { machine, measured } = await open(() => now);
  await tendProjections(machine, [model]);
  const { stream, jobId } = await makeJob(machine, account);
  await handleWakeups(machine, [failing(model)], [await rename(machine, account, jobId)]);
  expect(measured).toEqual([]);
  now += 59 * 60_000;
  await tendProjections(machine, [model]);
  expect(await all(machine)).toHaveLength(1);
  expect(measured).toEqual([{ Parked: 1, ProjectionLagSeconds: 59 * 60 }]);
  await tendProjections(machine, [failing(model)], { retryNow: true });
  expect(await all(machine)).toHaveLength(1);
  now += 61 * 60_000;
  const before = measured.length;
  await tendProjections(machine, [model]);
  expect(await all(machine)).toEqual([]);
  expect(measured).toHaveLength(before);
  expect(await machine.rows.cursor('jobs', stream)).toBe(2);
  expect(await retryParked(machine, [model], Number.POSITIVE_INFINITY, () => false)).toEqual({ healed: 0, parked: 0 });
});
