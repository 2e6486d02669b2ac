import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { cancelRun } from '../../../commands/cancel-run.ts';
import type { JsonObject, Platform } from '../../../domain/ports.ts';
import type { Engine } from '../../../processors/backup/engine.ts';
import { makeEngine } from '../../../processors/backup/make-engine.ts';
import { type RunRef, runRecord } from '../../../processors/backup/run.ts';
import { sweep } from '../../../processors/backup/sweep.ts';
import { openRuns, signsOfLife, whileOpen } from '../../../processors/backup/watch.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { getRun } from '../../../projections/runs.ts';
import { noteExport } from '../../../vault/exports.ts';
import { presentPacks, registerPack } from '../../../vault/pack-registry.ts';
import { memoryBody } from '../../../vault/packer.ts';
import { account, command, makeWorld, statusOf, type World } from '../../faults/world.ts';
import { expectClean } from '../../support/check.ts';

const hour = 3_600_000;

/** Plans a run and takes its batches out of the queue. */
async function planned(clock: { now: number; each: number }, names: string[]) {
  const world = await makeWorld({
    now: () => {
      clock.now += clock.each;
      return clock.now;
    },
  });
  for (const name of names) await writeFile(join(world.source, name), name);
  const runId = await world.request();
  await world.caughtUp();
  await take(world, 'job', true);
  const runRef: RunRef = { account, runId, jobId: world.jobId, sourceId: world.sourceId };
  return { world, runId, runRef, batches: await take(world, 'data', false) };
}

/** Removes and returns all messages of the queue. `done`: handles them first. */
async function take(world: World, queue: 'job' | 'data', done: boolean): Promise<JsonObject[]> {
  const received = await world.receive(queue);
  for (const { body, receipt } of received) {
    if (done) await world.handle(body, 1);
    await world.platform.queue.ack(queue, receipt);
  }
  return received.map(({ body }) => body);
}

/** An engine that calls `beat` after each frame. */
function engineWith(platform: Platform, beat: () => Promise<void>): Engine {
  const { records, blobs, chunks, random, now } = platform;
  const store = (of: string) => ({ account: of, records, blobs });
  return makeEngine({
    ...{ blobs, chunks, random, now, beat, keepSessionMs: 0 },
    register: (of, pack, record) => registerPack(store(of), pack, record),
    present: (of, packs) => presentPacks(store(of), packs),
    openBody: () => memoryBody(blobs),
  });
}

/** Lets the timer of `whileOpen` fire, and waits until it has noted that the run is alive. Needs `fakeIntervals`. */
async function nextSignOfLife(platform: Platform, runRef: RunRef): Promise<void> {
  const before = await signsOfLife(platform, runRef);
  await vi.advanceTimersByTimeAsync(10_000);
  await expect.poll(() => signsOfLife(platform, runRef)).toBe(before + 1);
}

function fakeIntervals(): void {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
}

afterEach(() => void vi.useRealTimers());

describe('the sweeper', () => {
  it('sends lost messages again, and fails a run after a day without progress', async () => {
    const clock = { now: Date.UTC(2026, 0, 1), each: 0 };
    const { world, runId, batches } = await planned(clock, ['a']);
    expect(batches).toHaveLength(1);
    for (let checks = 1; checks <= 24; checks++) {
      clock.now += hour;
      await sweep(world.deployment);
      expect(await take(world, 'data', false)).toEqual(batches);
    }
    clock.now += hour;
    await sweep(world.deployment);
    await world.settle();
    expect(await getRun(world.platform, account, runId)).toMatchObject({
      status: 'failed',
      errors: [{ code: 'stalled' }],
    });
  });

  it('does not disturb a run that reads one large file for days', async () => {
    const clock = { now: Date.UTC(2026, 0, 1), each: 0 };
    const { world, runId, runRef, batches } = await planned(clock, ['a']);
    fakeIntervals();
    let sent = 0;
    await whileOpen(world.platform, runRef, async (stop) => {
      for (let checks = 1; checks <= 60; checks++) {
        clock.now += hour;
        await nextSignOfLife(world.platform, runRef);
        await sweep(world.deployment);
        sent += (await take(world, 'data', false)).length;
      }
      expect(stop.aborted).toBe(false);
    });
    vi.useRealTimers();
    // At its first look the sweeper cannot know that the run is alive.
    expect(sent).toBeLessThanOrEqual(1);
    expect(await statusOf(world, runId)).not.toBe('failed');
    for (const body of batches) await world.handle(body, 1);
    await world.settle();
    expect(await statusOf(world, runId)).toBe('succeeded');
    await expectClean(world.platform, { deployment: world.deployment });
  });

  it('checks all other runs when one run cannot be read, then throws', async () => {
    const clock = { now: Date.UTC(2026, 0, 1), each: 0 };
    const { world, runId, batches } = await planned(clock, ['a']);
    const { platform } = world;
    const damaged = {
      account,
      runId: 'run_0',
      jobId: world.jobId,
      sourceId: world.sourceId,
      quietSince: 0,
      checks: 0,
      seen: '',
    };
    await platform.records.write([{ op: 'put', pk: openRuns, sk: damaged.runId, data: damaged }]);
    await noteExport(platform, 'exports/old', new Date(clock.now).toISOString());
    await platform.blobs.put('exports/old', Buffer.from('in clear'));
    const load: typeof platform.events.load = async (stream, ...given) => {
      if (stream.endsWith(`/${damaged.runId}`)) throw new Error('a commit was altered');
      return platform.events.load(stream, ...given);
    };
    clock.now += hour;
    const deployment = { ...world.deployment, platform: { ...platform, events: { ...platform.events, load } } };
    await expect(sweep(deployment)).rejects.toThrow('a commit was altered');
    expect(await take(world, 'data', false)).toEqual(batches);
    expect(await platform.blobs.size('exports/old')).toBeUndefined();
    expect(damaged.runId < runId).toBe(true);
  });

  it('sees that a worker is storing a batch', async () => {
    const clock = { now: Date.UTC(2026, 0, 1), each: 0 };
    const { world, runRef, batches } = await planned(clock, ['a', 'b']);
    await truncate(join(world.source, 'a'), 3 * 1024 * 1024);
    clock.each = 11 * 60_000;
    fakeIntervals();
    const engine = engineWith(world.platform, () => nextSignOfLife(world.platform, runRef));
    for (const body of batches)
      await handleMessage({ ...world.deployment, engine }, body, { receives: 1, deadline: Number.POSITIVE_INFINITY });
    expect(await signsOfLife(world.platform, runRef)).toBeGreaterThan(2);
  });

  it('has nothing to do after a run is cancelled in a large file, which is not read to its end', async () => {
    const clock = { now: Date.UTC(2026, 0, 1), each: 0 };
    const { world, runId, runRef, batches } = await planned(clock, ['a']);
    await truncate(join(world.source, 'a'), 6 * 1024 * 1024);
    const { platform } = world;
    let frames = 0;
    const engine = engineWith(platform, async () => {
      frames++;
      await cancelRun(platform, command(), runRef);
      await nextSignOfLife(platform, runRef);
    });
    clock.each = 11 * 60_000;
    fakeIntervals();
    for (const body of batches)
      await handleMessage({ ...world.deployment, engine }, body, { receives: 1, deadline: Number.POSITIVE_INFINITY });
    vi.useRealTimers();
    expect(frames).toBe(1);
    expect(await signsOfLife(platform, runRef)).toBe(1);
    await world.settle();
    expect(await statusOf(world, runId)).toBe('cancelled');
    expect((await platform.blobs.list('packs/', { limit: 10 })).items).toEqual([]);
    await expectClean(platform);
  });
});

it('keeps working records long enough for a run of several weeks', async () => {
  const clock = { now: Date.UTC(2026, 0, 1), each: 0 };
  const names = Array.from({ length: 20 }, (_, number) => `file ${number}`);
  const { world, runId, runRef, batches } = await planned(clock, names);
  expect(batches.length).toBeGreaterThan(2);
  for (const body of batches) {
    await world.handle(body, 1);
    clock.now += 8 * 24 * hour;
  }
  await world.settle();
  expect(await statusOf(world, runId)).toBe('succeeded');
  await expectClean(world.platform, { deployment: world.deployment });
  expect(await world.platform.records.get(runRecord(runRef, 'part-000000001'))).toBeDefined();
});

it('settles the keys page by page, in one round a day', async () => {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const world = await makeWorld({ now: () => clock.now });
  const asked: (string | undefined)[] = [];
  let pages = 3;
  const keys = {
    ...world.platform.keys,
    sweep: async (cursor?: string) => {
      asked.push(cursor);
      return --pages > 0 ? `page ${pages}` : null;
    },
  };
  const deployment = { ...world.deployment, platform: { ...world.platform, keys } };
  for (let pass = 0; pass < 5; pass++) {
    await sweep(deployment);
    clock.now += 60_000;
  }
  expect(asked).toEqual([undefined, 'page 2', 'page 1']);
  clock.now += 24 * hour;
  await sweep(deployment);
  expect(asked).toHaveLength(4);
  expect(asked[3]).toBeUndefined();
});
