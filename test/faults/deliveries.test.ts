/** Repeated, late, reordered and concurrent messages lead to the same read models, with each effect exactly once. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/ports.ts';
import { makeChaos } from '../../infra/embedded/chaos.ts';
import { expectClean } from '../support/check.ts';
import { changeCorpus, hashesOf, makeCorpus } from './corpus.ts';
import { someSeeds } from './fault-schedule.ts';
import { batchesOf, makeWorld, pictureOf, statusOf, type World } from './world.ts';

type Picture = Awaited<ReturnType<typeof pictureOf>>;

/** Two runs with changes between them. `handle` handles each message. */
async function twoRuns(world: World, handle = world.handle): Promise<Picture> {
  await makeCorpus(world.source);
  for (const change of [async () => {}, changeCorpus]) {
    await change(world.source);
    await world.request();
    await world.settle(handle);
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
    expect(calm.events).toMatchObject({
      RunRequested: 2,
      RunStarted: 2,
      RunPlanned: 2,
      RestorePointCreated: 2,
      RunFinished: 2,
    });
    expect(calm.events.BatchStored).toBeGreaterThan(5);
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
      const seen = await twoRuns(world, async (body, receives) => {
        const duplicates = [
          body,
          body,
          ...(chance(0.3) ? [body] : []),
          ...(later.length > 0 && chance(0.5) ? later.splice(0, 2) : []),
        ];
        if (chance(0.5)) later.push(body);
        await Promise.all(duplicates.map((each) => world.handle(each, receives)));
      });
      expect(seen).toEqual((await undisturbed()).calm);
      expect(world.failures).toEqual([]);
      for (const body of later) await world.handle(body, 1);
      await world.settle();
      expect(await pictureOf(world)).toEqual((await undisturbed()).calm);
      await expectClean(world.platform, { deployment: world.deployment });
    },
  );

  it.each(seeds)('are the same when every other attempt breaks off at some boundary (%i)', async (seed) => {
    const { chance } = makeChaos(seed);
    const left = new Map<string, number>();
    const world = await makeWorld({
      reached(step) {
        const times = left.get(step) ?? 2;
        if (times > 0 && chance(0.4)) {
          left.set(step, times - 1);
          throw new Error(`broken off at ${step}`);
        }
      },
    });
    const untilDone = async (body: JsonObject): Promise<void> => world.handle(body, 1).catch(() => untilDone(body));
    expect(await twoRuns(world, untilDone)).toEqual((await undisturbed()).calm);
    expect(left.size).toBeGreaterThan(3);
  });
});

/** Holds the first worker at that step until it is released. */
function gate(step: string) {
  const arrived = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  let armed = true;
  return {
    reached: async (name: string) => {
      if (name !== step || !armed) return;
      armed = false;
      arrived.resolve();
      await leave.promise;
    },
    arrived: arrived.promise,
    leave: () => leave.resolve(),
  };
}

describe('a concurrent worker that sleeps', () => {
  const steps = [
    ...['plan:started', 'plan:listed', 'plan:saved', 'plan:advanced', 'plan:sent', 'plan:planned', 'plan:closed'],
    ...['store:fetched', 'store:packed', 'store:part-saved', 'store:recorded', 'store:counted'],
    ...['commit:summed', 'commit:manifest-written', 'commit:committed', 'commit:finished'],
  ];

  it.each(steps)(
    'at %s while another worker finishes the run changes nothing when it wakes, even after the next run',
    async (step) => {
      const slow = gate(step);
      const world = await makeWorld({ reached: slow.reached });
      await makeCorpus(world.source);
      const runId = await world.request();
      const sleepers: Promise<void>[] = [];
      // The first worker at the step sleeps, and another worker gets its message
      await world.settle(async (body) => {
        const first = world.handle(body, 1);
        sleepers.push(first);
        await Promise.race([first, slow.arrived.then(() => world.handle(body, 2))]);
      });
      expect(await statusOf(world, runId)).toBe('succeeded');
      await changeCorpus(world.source);
      await world.request();
      await world.settle();
      const before = await pictureOf(world);
      expect(before.runs.map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);

      slow.leave();
      expect((await Promise.allSettled(sleepers)).map(({ status }) => status)).not.toContain('rejected');
      await world.settle();
      expect(await pictureOf(world)).toEqual(before);
      await expectClean(world.platform, { deployment: world.deployment });
    },
  );
});

describe('a concurrent worker that wakes while the run goes on', () => {
  /** Handles one message twice: the first worker sleeps at that step and continues after the second has finished. */
  async function twice(
    world: World,
    slow: ReturnType<typeof gate>,
    queue: 'job' | 'data',
    meanwhile = async () => {},
  ): Promise<void> {
    await world.caughtUp();
    const [message, ...others] = await world.receive(queue);
    if (!message) throw new Error('there is no message');
    const first = world.handle(message.body, 1);
    await slow.arrived;
    await meanwhile();
    await world.handle(message.body, 2);
    slow.leave();
    await first;
    for (const { receipt } of others) await world.platform.queue.extend(queue, receipt, 0);
    await world.platform.queue.ack(queue, message.receipt);
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
      const messages = await world.receive('data');
      for (const { body, receipt } of messages.toReversed()) {
        await world.handle(body, 1);
        await world.platform.queue.ack('data', receipt);
      }
      await world.settle();
      expect(await statusOf(world, runId)).toBe('succeeded');
      expect(new Map(Object.entries((await pictureOf(world)).restored))).toEqual(await hashesOf(world.source));
      await expectClean(world.platform, { deployment: world.deployment });
    },
  );

  it.each(['plan:listed', 'plan:saved'])(
    'at %s sends a message, because the faster worker may die after the last message is gone',
    async (step) => {
      const slow = gate(step);
      let dies = true;
      let now = Date.now();
      const world = await makeWorld({
        now: () => now,
        async reached(name) {
          await slow.reached(name);
          if (name !== 'plan:advanced' || !dies) return;
          dies = false;
          throw new Error('it died');
        },
      });
      await makeCorpus(world.source);
      const runId = await world.request();
      await world.caughtUp();
      const [message] = await world.receive('job');
      if (!message) throw new Error('there is no message');
      const first = world.handle(message.body, 1);
      await slow.arrived;
      await expect(world.handle(message.body, 2)).rejects.toThrow('it died');
      slow.leave();
      await first;
      await world.platform.queue.ack('job', message.receipt);
      await world.settle();
      expect(await statusOf(world, runId)).toBe('running');
      now += 61_000;
      await world.settle();
      expect(await statusOf(world, runId)).toBe('succeeded');
      await expectClean(world.platform, { deployment: world.deployment });
    },
  );

  it.each(['store:fetched', 'store:packed', 'store:part-saved', 'store:recorded', 'store:counted'])(
    'at %s adds nothing',
    async (step) => {
      const slow = gate(step);
      const world = await makeWorld({ reached: slow.reached });
      await makeCorpus(world.source);
      const runId = await world.request();
      await world.caughtUp();
      for (const { body, receipt } of await world.receive('job')) {
        await world.handle(body, 1);
        await world.platform.queue.ack('job', receipt);
      }
      await twice(world, slow, 'data');
      await world.settle();
      const { logged, kept, count, tally } = await batchesOf(world, runId);
      expect(kept).toEqual(logged);
      expect(tally).toEqual({ stored: count, total: count });
      expect(new Map(Object.entries((await pictureOf(world)).restored))).toEqual(await hashesOf(world.source));
      expect(world.failures).toEqual([]);
      await expectClean(world.platform, { deployment: world.deployment });
    },
  );
});
