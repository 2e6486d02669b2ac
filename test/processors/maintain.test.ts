/** What a deployment does every minute: lost tasks, expired exports and keys. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { JsonObject } from '../../domain/ports.ts';
import { maintain } from '../../processors/maintain.ts';
import { resendMs } from '../../tasks/task.ts';
import { noteExport } from '../../vault/exports.ts';
import { makeWorld, statusOf, type World } from '../faults/world.ts';
import { expectClean } from '../support/check.ts';

const hour = 3_600_000;
const day = 24 * hour;

/** A run with its plan done and several batches. The messages of its batches are lost. */
async function lostBatches() {
  const world = await makeWorld();
  for (let n = 0; n < 20; n++) await writeFile(join(world.source, `${n}`), `${n}`);
  const runId = await world.request();
  await world.caughtUp();
  for (const { body, receipt } of await world.receive('job')) {
    await world.handle(body);
    await world.platform.queue.ack('job', receipt);
  }
  const lost = await take(world);
  expect(lost.length).toBeGreaterThan(2);
  return { world, runId, lost };
}

async function take(world: World): Promise<JsonObject[]> {
  const received = await world.receive('data');
  for (const { receipt } of received) await world.platform.queue.ack('data', receipt);
  return received.map(({ body }) => body);
}

it('sends the tasks of lost messages again, but not those that may still wait in the queue', async () => {
  const { world, runId, lost } = await lostBatches();
  await world.pass(resendMs - 60_000);
  expect(await take(world)).toEqual([]);
  await world.pass(120_000);
  expect(await take(world)).toEqual(lost);
  await world.settle();
  expect(await statusOf(world, runId)).toBe('succeeded');
  await expectClean(world.platform, { deployment: world.deployment });
});

it('keeps working records long enough for a run of several weeks', async () => {
  const { world, runId, lost } = await lostBatches();
  for (const body of lost) {
    await world.handle(body);
    await world.pass(8 * day);
  }
  await world.settle();
  expect(await statusOf(world, runId)).toBe('succeeded');
  await expectClean(world.platform, { deployment: world.deployment });
});

it('deletes expired exports and settles keys when a task cannot be read, then throws', async () => {
  const { world, lost } = await lostBatches();
  const { platform } = world;
  await noteExport(platform, 'exports/old', new Date(platform.now()).toISOString());
  await platform.blobs.put('exports/old', Buffer.from('in clear'));
  await world.pass(resendMs);
  await take(world);
  let refused = 0;
  const queue = {
    ...platform.queue,
    send: async (...sent: Parameters<typeof platform.queue.send>) => {
      if (refused++ === 0) throw new Error('the queue is away');
      return platform.queue.send(...sent);
    },
  };
  await platform.blobs.put('exports/old', Buffer.from('in clear'));
  await noteExport(platform, 'exports/old', new Date(platform.now()).toISOString());
  const later = { ...platform, now: () => platform.now() + hour, queue };
  await expect(maintain({ ...world.deployment, platform: later })).rejects.toThrow('the queue is away');
  expect(await platform.blobs.size('exports/old')).toBeUndefined();
  expect(await take(world)).toEqual(lost.slice(1));
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
    await maintain(deployment);
    clock.now += 60_000;
  }
  expect(asked).toEqual([undefined, 'page 2', 'page 1']);
  clock.now += day;
  await maintain(deployment);
  expect(asked).toHaveLength(4);
  expect(asked[3]).toBeUndefined();
});
