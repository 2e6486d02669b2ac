/** Repeated, late, reordered and concurrent messages lead to the same read models, with each effect exactly once. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cancelRun } from '../../commands/cancel-run.ts';
import type { JsonObject } from '../../domain/ports.ts';
import { makeChaos } from '../../infra/embedded/chaos.ts';
import { getRun } from '../../projections/runs.ts';
import { leaseMs } from '../../tasks/task.ts';
import { openGroups } from '../../tasks/task-records.ts';
import { expectClean } from '../support/check.ts';
import { changeCorpus, hashesOf, makeCorpus } from './corpus.ts';
import { someSeeds } from './fault-schedule.ts';
import { account, command, makeWorld, pictureOf, statusOf, type World } from './world.ts';

type Picture = Awaited<ReturnType<typeof pictureOf>>;

/** Two runs with changes between them. `handle` handles each message. */
async function twoRuns(world: World, handle = world.handle): Promise<Picture> {
  await makeCorpus(world.source);
  for (const change of [async () => {}, changeCorpus]) {
    await change(world.source);
    const runId = await world.request();
    await world.settle(handle);
    const run = await getRun(world.platform, account, runId);
    expect(run).toMatchObject({ status: 'succeeded', errors: [] });
  }
  // The rows equal those of a rebuild in order
  await expectClean(world.platform, { deployment: { ...world.deployment, platform: world.platform } });
  return pictureOf(world);
}

const seeds = someSeeds(3);

describe('two runs', () => {
  let known: Promise<{ calm: Picture; source: Map<string, string> }> | undefined;
  /** Made by the first test that needs it. */
  const undisturbed = () => {
    known ??= makeWorld().then(async (world) => ({ calm: await twoRuns(world), source: await hashesOf(world.source) }));
    return known;
  };

  it('have each effect once', async () => {
    const { calm, source } = await undisturbed();
    expect(calm.runs.map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);
    expect(calm.events).toMatchObject({ RunRequested: 2, RestorePointCreated: 2 });
    expect(calm.events.RunEnded).toBeUndefined();
    expect(new Map(Object.entries(calm.restored))).toEqual(source);
  });

  it.each(seeds)('are the same with feeds and queues that repeat, shuffle and delay (%i)', async (seed) => {
    expect(await twoRuns(await makeWorld({ chaos: makeChaos(seed) }))).toEqual((await undisturbed()).calm);
  });

  it.each(seeds)(
    'are the same with slow and refused calls, lost answers, attempts that break off, and repeats (%i)',
    async (seed) => {
      const world = await makeWorld({ seed });
      expect(await twoRuns(world)).toEqual((await undisturbed()).calm);
      expect(world.failures).toEqual([]);
    },
  );

  it.each(seeds)(
    'are the same when several workers handle each message at once, and some messages again later (%i)',
    async (seed) => {
      const { chance } = makeChaos(seed);
      const world = await makeWorld();
      const later: JsonObject[] = [];
      const seen = await twoRuns(world, async (body) => {
        const duplicates = [
          body,
          body,
          ...(chance(0.3) ? [body] : []),
          ...(later.length > 0 && chance(0.5) ? later.splice(0, 2) : []),
        ];
        if (chance(0.5)) later.push(body);
        await Promise.all(duplicates.map((each) => world.handle(each)));
      });
      expect(seen).toEqual((await undisturbed()).calm);
      expect(world.failures).toEqual([]);
      for (const body of later) await world.handle(body);
      await world.settle();
      expect(await pictureOf(world)).toEqual((await undisturbed()).calm);
      await expectClean(world.platform, { deployment: world.deployment });
    },
  );

  it.each(seeds)('are the same when one attempt breaks off at each boundary (%i)', async (seed) => {
    const { chance } = makeChaos(seed);
    const brokenOff = new Set<string>();
    const world = await makeWorld({
      reached(step) {
        if (brokenOff.has(step) || !chance(0.4)) return;
        brokenOff.add(step);
        throw new Error(`broken off at ${step}`);
      },
    });
    expect(await twoRuns(world)).toEqual((await undisturbed()).calm);
    expect(brokenOff.size).toBeGreaterThan(3);
    expect(world.failures).toEqual([]);
  });
});

/** Holds the first worker at that step until it is released. */
function gate(step: string) {
  const arrived = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  let armed = true;
  onTestFinished(() => leave.resolve());
  return {
    reached: async (name: string) => {
      if (name !== step || !armed) return;
      armed = false;
      arrived.resolve();
      await leave.promise;
    },
    isArmed: () => armed,
    arrived: arrived.promise,
    leave: () => leave.resolve(),
  };
}

/** Handles one message after the other, until a worker sleeps at the gate. */
function oneByOne(world: World, slow: ReturnType<typeof gate>) {
  const sleepers: Promise<void>[] = [];
  let turn: Promise<unknown> = Promise.resolve();
  async function handle(body: JsonObject): Promise<void> {
    const isFree = slow.isArmed();
    const work = world.handle(body);
    if (!isFree) return work;
    await Promise.race([work, slow.arrived]);
    if (!slow.isArmed()) sleepers.push(work);
  }
  return {
    sleepers,
    handle(body: JsonObject): Promise<void> {
      const mine = turn.then(() => handle(body));
      turn = mine.catch(() => {});
      return mine;
    },
  };
}

const steps = [
  ...['plan:started', 'plan:listed', 'plan:saved', 'plan:advanced', 'plan:planned'],
  ...['store:fetched', 'store:packed', 'store:part-saved'],
  ...['commit:manifest-written', 'commit:committed'],
];

describe('a concurrent worker that sleeps longer than its lease', () => {
  it.each(steps)(
    'at %s while another worker finishes the run changes nothing when it wakes, even after the next run',
    async (step) => {
      const slow = gate(step);
      const world = await makeWorld({ reached: slow.reached });
      await makeCorpus(world.source);
      const runId = await world.request();
      const { handle, sleepers } = oneByOne(world, slow);
      await world.settle(handle);
      expect(sleepers).toHaveLength(1);
      expect(await statusOf(world, runId)).toBe('succeeded');
      await changeCorpus(world.source);
      await world.request();
      await world.settle();
      const before = await pictureOf(world);
      expect(before.runs.map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);

      slow.leave();
      expect((await Promise.allSettled(sleepers)).map(({ status }) => status)).toEqual(['fulfilled']);
      await world.settle();
      expect(await pictureOf(world)).toEqual(before);
      await expectClean(world.platform, { deployment: world.deployment });
    },
  );

  it.each(steps)('at %s while the run is cancelled does not delay the next run', async (step) => {
    const slow = gate(step);
    const world = await makeWorld({ reached: slow.reached });
    const { jobId, sourceId } = world;
    await makeCorpus(world.source);
    const runId = await world.request();
    const { handle, sleepers } = oneByOne(world, slow);
    await deliverUntil(world, handle, () => !slow.isArmed());
    const isOver = await cancelRun(world.platform, command(), { runId, jobId, sourceId }).then(
      () => false,
      () => true,
    );
    expect(isOver).toBe(step === 'commit:committed');
    await changeCorpus(world.source);
    const next = await world.request();
    await deliverUntil(world, world.handle, async () => (await statusOf(world, next)) === 'succeeded');
    slow.leave();
    await Promise.all(sleepers);
    await world.settle();
    expect(await statusOf(world, runId)).toBe(isOver ? 'succeeded' : 'cancelled');
    expect(new Map(Object.entries((await pictureOf(world)).restored))).toEqual(await hashesOf(world.source));
    expect((await world.platform.blobs.list(`work/${account}/`, { limit: 10 })).items).toEqual([]);
    expect((await openGroups(world.platform.records, account)).size).toBe(0);
    await expectClean(world.platform, { deployment: world.deployment });
  });
});

/** Delivers messages, without a change of the clock. */
async function deliverUntil(
  world: World,
  handle: World['handle'],
  isDone: () => boolean | Promise<boolean>,
): Promise<void> {
  while (!(await isDone())) {
    await world.caughtUp();
    let count = 0;
    for (const queue of ['job', 'data'] as const) {
      for (const { body, receipt } of await world.receive(queue)) {
        count++;
        await handle(body);
        await world.platform.queue.ack(queue, receipt);
      }
    }
    if (count === 0) throw new Error('There are no messages.');
  }
}

describe('a concurrent worker that wakes while the run goes on', () => {
  async function handleAll(world: World, queue: 'job' | 'data'): Promise<void> {
    await world.caughtUp();
    for (const { body, receipt } of await world.receive(queue)) {
      await world.handle(body);
      await world.platform.queue.ack(queue, receipt);
    }
  }

  /** The first worker sleeps at the gate while other workers handle all messages of the queue. */
  async function twice(world: World, slow: ReturnType<typeof gate>, queue: 'job' | 'data', meanwhile = async () => {}) {
    await world.caughtUp();
    const [message, ...others] = await world.receive(queue);
    if (!message) throw new Error('there is no message');
    await world.platform.queue.ack(queue, message.receipt);
    const first = world.handle(message.body);
    await slow.arrived;
    for (const { receipt } of others) await world.platform.queue.extend(queue, receipt, 0);
    await meanwhile();
    await world.pass(leaseMs + 1000);
    await handleAll(world, queue);
    slow.leave();
    await first;
  }

  it.each(['plan:listed', 'plan:saved'])(
    'at %s does not mix its listing into that of the other worker',
    async (step) => {
      const slow = gate(step);
      const world = await makeWorld({ reached: slow.reached });
      await makeCorpus(world.source);
      const runId = await world.request();
      // These files move the borders of all later batches
      await twice(world, slow, 'job', async () => {
        await writeFile(join(world.source, '0 new'), 'new');
        await writeFile(join(world.source, '1 new'), 'new');
        await rm(join(world.source, 'a.txt'));
      });
      // Store the batches in reverse order
      for (const { body, receipt } of (await world.receive('data')).toReversed()) {
        await world.handle(body);
        await world.platform.queue.ack('data', receipt);
      }
      await world.settle();
      expect(await statusOf(world, runId)).toBe('succeeded');
      expect(new Map(Object.entries((await pictureOf(world)).restored))).toEqual(await hashesOf(world.source));
      await expectClean(world.platform, { deployment: world.deployment });
    },
  );

  it.each(['store:fetched', 'store:packed', 'store:part-saved'])('at %s adds nothing', async (step) => {
    const slow = gate(step);
    const [calm, world] = [await makeWorld(), await makeWorld({ reached: slow.reached })];
    for (const { source, request } of [calm, world]) {
      await makeCorpus(source);
      await request();
    }
    await handleAll(world, 'job');
    await twice(world, slow, 'data');
    await world.settle();
    await calm.settle();
    expect(await pictureOf(world)).toEqual(await pictureOf(calm));
    expect(world.failures).toEqual([]);
    await expectClean(world.platform, { deployment: world.deployment });
  });
});
