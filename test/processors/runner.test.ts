/** What becomes of messages that fail: they come again, or their run ends and says why, and the next one may start. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { changeSource } from '../../commands/change-source.ts';
import { disconnectSource } from '../../commands/disconnect-source.ts';
import { SourceProblem } from '../../connectors/connector.ts';
import type { JsonObject } from '../../domain/ports.ts';
import { maxReceives } from '../../infra/limits.ts';
import { openRuns } from '../../processors/backup/watch.ts';
import { handleMessage } from '../../processors/runner.ts';
import { getRun } from '../../projections/runs.ts';
import { account, command, makeWorld, pictureOf, statusOf, type World } from '../faults/world.ts';

/** A world whose runs meet that error at that step so many times. */
async function withFaults(
  step: string,
  error: () => Error,
  times = Number.POSITIVE_INFINITY,
): Promise<World & { meets: () => number }> {
  let met = 0;
  const world = await makeWorld({
    reached(name) {
      if (name !== step || met >= times) return;
      met++;
      throw error();
    },
  });
  await writeFile(join(world.source, 'a'), 'content');
  return { ...world, meets: () => met };
}

async function runOf(world: World, runId: string) {
  const run = await getRun(world.platform, account, runId);
  if (!run) throw new Error('there is no such run');
  return run;
}

const busy = () => new SourceProblem('throttled', 'The source is busy. Try again in an hour.', { retryable: true });
const refused = () => new SourceProblem('forbidden', 'Let ListBackup read it.');
const ours = () => new Error('a secret of ours');

describe.each(['plan:listed', 'store:fetched', 'commit:manifest-written'])('an error at %s', (step) => {
  it.each([
    { what: 'of ours', error: ours },
    { what: 'that the source may get over', error: busy },
  ])('$what comes again, and is forgotten', async ({ error }) => {
    const world = await withFaults(step, error, maxReceives - 1);
    const runId = await world.request();
    await world.settle();
    expect(world.meets()).toBe(maxReceives - 1);
    expect(await runOf(world, runId)).toMatchObject({ status: 'succeeded', errors: [] });
  });

  it.each([
    {
      what: 'of ours',
      error: ours,
      reason: { path: '', code: 'internal', message: expect.stringContaining('Run the job again') },
    },
    { what: 'of the source', error: busy, reason: { path: '', code: 'source-throttled', message: busy().message } },
  ])('$what that stays ends the run with its reason, and no message is dead', async ({ error, reason }) => {
    const world = await withFaults(step, error);
    const runId = await world.request();
    await world.settle();
    expect(world.meets()).toBe(maxReceives);
    expect(await runOf(world, runId)).toMatchObject({ status: 'failed', errors: [reason] });
    expect([
      ...(await world.platform.queue.deadLetters('job')),
      ...(await world.platform.queue.deadLetters('data')),
    ]).toEqual([]);
    expect((await world.platform.records.query(openRuns, { limit: 10 })).items).toEqual([]);
  });

  it('that nobody gets over ends the run at once, and the next one may start', async () => {
    const world = await withFaults(step, refused, 1);
    const first = await world.request();
    await world.settle();
    expect(await runOf(world, first)).toMatchObject({
      status: 'failed',
      errors: [{ code: 'source-forbidden', message: refused().message }],
    });
    const second = await world.request();
    await world.settle();
    expect(await statusOf(world, second)).toBe('succeeded');
    expect(await pictureOf(world)).toMatchObject({
      overview: { runs: { total: 2, succeeded: 1, partial: 0, failed: 1 }, files: 1 },
      events: { RunEnded: 1, RestorePointCreated: 1, RunFinished: 2 },
    });
  });
});

describe('a source that cannot be had', () => {
  it('by its settings fails the run, which says what to correct', async () => {
    const world = await makeWorld();
    const config = { path: 'not absolute' };
    await changeSource(world.platform, command(), world.sourceId, { name: 'Papers', config });
    const runId = await world.request();
    await world.settle();
    expect(await runOf(world, runId)).toMatchObject({
      status: 'failed',
      errors: [{ code: 'invalid-input', message: expect.stringContaining('config.path') }],
    });
  });

  it('as its folder is gone fails the run, keeps the last good backup, and is well again with the folder', async () => {
    const world = await makeWorld();
    await writeFile(join(world.source, 'a'), 'content');
    await world.request();
    await world.settle();
    const { files, restored } = await pictureOf(world);
    await rename(world.source, `${world.source}-away`);
    const failed = await world.request();
    await world.settle();
    expect(await runOf(world, failed)).toMatchObject({
      status: 'failed',
      errors: [{ code: 'source-not-found', message: expect.stringContaining('Mount it, or correct its `path`') }],
    });
    expect(await pictureOf(world)).toMatchObject({ files, restored });
    await rename(`${world.source}-away`, world.source);
    const again = await world.request();
    await world.settle();
    expect(await runOf(world, again)).toMatchObject({
      status: 'succeeded',
      progress: { filesUnchanged: 1, filesDeleted: 0 },
    });
  });

  it('as it was disconnected after the run was asked for fails the run', async () => {
    const world = await makeWorld();
    const runId = await world.request();
    await disconnectSource(world.platform, command(), world.sourceId);
    await world.settle();
    expect(await runOf(world, runId)).toMatchObject({ status: 'failed', errors: [{ code: 'source-not-found' }] });
  });
});

describe('a message', () => {
  it('from the bus about an event that is not there comes again', async () => {
    const world = await makeWorld();
    const body: JsonObject = {
      type: 'run.requested.v1',
      stream: `${account}/backup-chain/job.source`,
      version: 1,
      index: 0,
    };
    await expect(world.handle(body, 1)).rejects.toThrow('not there');
  });

  it('that was cut off by its deadline leaves the rest to another, which ends the run the same', async () => {
    const late = await makeWorld();
    const calm = await makeWorld();
    for (const world of [late, calm]) {
      for (let i = 0; i < 40; i++) await writeFile(join(world.source, `${i}`), `content ${i}`);
      await world.request();
    }
    let plans = 0;
    await late.settle(async (body, receives) => {
      if (body.type === 'plan' || body.type === 'run.requested.v1') plans++;
      await handleMessage(late.deployment, body, { receives, deadline: 0 });
    });
    await calm.settle();
    expect(plans).toBeGreaterThan(5);
    const [slow, quick] = [await pictureOf(late), await pictureOf(calm)];
    expect({ ...slow, events: { ...slow.events, BatchStored: 0 } }).toEqual({
      ...quick,
      events: { ...quick.events, BatchStored: 0 },
    });
  });
});
