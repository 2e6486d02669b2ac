/** A failing message is tried again, or its run fails with a reason and the next run can start. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { changeSource } from '../../commands/change-source.ts';
import { disconnectSource } from '../../commands/disconnect-source.ts';
import { SourceProblem } from '../../connectors/connector.ts';
import type { JsonObject } from '../../domain/ports.ts';
import { handleMessage } from '../../processors/runner.ts';
import { getRun } from '../../projections/runs.ts';
import { cautiousAttempts, defaultMaxAttempts } from '../../tasks/task.ts';
import { openGroups } from '../../tasks/task-records.ts';
import { account, command, makeWorld, pictureOf, statusOf, type World } from '../faults/world.ts';

/** A world whose runs throw `error` at `step`, at most `times` times. `thrown` returns how often they did. */
async function withFaults(
  step: string,
  error: () => Error,
  times = Number.POSITIVE_INFINITY,
): Promise<World & { thrown: () => number }> {
  let thrown = 0;
  const world = await makeWorld({
    reached(name) {
      if (name !== step || thrown >= times) return;
      thrown++;
      throw error();
    },
  });
  await writeFile(join(world.source, 'a'), 'content');
  return { ...world, thrown: () => thrown };
}

async function runOf(world: World, runId: string) {
  const run = await getRun(world.platform, account, runId);
  if (!run) throw new Error(`run ${runId} does not exist`);
  return run;
}

const busy = () => new SourceProblem('throttled', 'The source is busy. Try again in an hour.', { retryable: true });
const refused = () => new SourceProblem('forbidden', 'Let ListBackup read it.');
const internal = () => new Error('internal details');

describe.each(['plan:listed', 'store:fetched', 'commit:manifest-written'])('an error at %s', (step) => {
  it.each([
    { what: 'internal error', error: internal },
    { what: 'temporary error of the source', error: busy },
  ])('tries again after an $what, and the run succeeds', async ({ error }) => {
    const world = await withFaults(step, error, defaultMaxAttempts - 1);
    const runId = await world.request();
    await world.settle();
    expect(world.thrown()).toBe(defaultMaxAttempts - 1);
    expect(await runOf(world, runId)).toMatchObject({ status: 'succeeded', errors: [] });
  });

  it.each([
    {
      what: 'internal error',
      error: internal,
      reason: { path: '', code: 'internal', message: expect.stringContaining('Run the job again') },
    },
    {
      what: 'error of the source',
      error: busy,
      reason: { path: '', code: 'source-throttled', message: busy().message },
    },
  ])('fails the run with the reason after an $what at every try, without dead letters', async ({ error, reason }) => {
    const world = await withFaults(step, error);
    const runId = await world.request();
    await world.settle();
    // After two attempts a small run goes on in parts.
    expect(world.thrown()).toBe(defaultMaxAttempts + (step === 'plan:listed' ? 0 : cautiousAttempts));
    expect(await runOf(world, runId)).toMatchObject({ status: 'failed', errors: [reason] });
    expect([
      ...(await world.platform.queue.deadLetters('job')),
      ...(await world.platform.queue.deadLetters('data')),
    ]).toEqual([]);
    expect((await openGroups(world.platform.records, account)).size).toBe(0);
  });

  it('fails the run at once after a permanent error, and the next run can start', async () => {
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
      events: { RunEnded: 1, RestorePointCreated: 1 },
    });
  });
});

it('warns once per try of a problem of the source, with its run and task', async () => {
  const world = await withFaults('plan:listed', busy, 2);
  const lines: object[] = [];
  world.platform.log = { ...world.platform.log, warn: (message, fields) => void lines.push({ message, ...fields }) };
  const runId = await world.request();
  await world.settle();
  const line = { message: 'a step failed and will be tried again', kind: 'plan', group: runId };
  expect(lines).toEqual([
    { ...line, attempt: 1, afterMs: 2000 },
    { ...line, attempt: 2, afterMs: 4000 },
  ]);
});

describe('a source that cannot be opened', () => {
  it('fails the run with the setting to correct when its settings are invalid', async () => {
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

  it('fails the run and keeps the last backup while its folder is missing', async () => {
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
      errors: [
        { code: 'source-not-found', message: expect.stringContaining('Mount the disk, or connect the source again') },
      ],
    });
    await writeFile(world.source, 'a file');
    const isFile = await world.request();
    await world.settle();
    expect(await runOf(world, isFile)).toMatchObject({
      status: 'failed',
      errors: [{ message: expect.stringContaining('The path of this source is a file.') }],
    });
    await rm(world.source);
    expect(await pictureOf(world)).toMatchObject({ files, restored });
    await rename(`${world.source}-away`, world.source);
    const again = await world.request();
    await world.settle();
    expect(await runOf(world, again)).toMatchObject({
      status: 'succeeded',
      progress: { filesUnchanged: 1, filesDeleted: 0 },
    });
  });

  it('fails the run when it was disconnected after the request', async () => {
    const world = await makeWorld();
    const runId = await world.request();
    await disconnectSource(world.platform, command(), world.sourceId);
    await world.settle();
    expect(await runOf(world, runId)).toMatchObject({ status: 'failed', errors: [{ code: 'source-not-found' }] });
  });
});

describe('a message', () => {
  it('is tried again when the commit that the bus named does not exist', async () => {
    const world = await makeWorld();
    const body: JsonObject = {
      type: 'run.requested.v1',
      stream: `${account}/backup-chain/job.source`,
      version: 1,
      index: 0,
    };
    await expect(world.handle(body)).rejects.toThrow('which the bus named, does not exist');
  });

  it('leaves the rest to another message at its deadline, with the same result', async () => {
    const hurried = await makeWorld();
    const unhurried = await makeWorld();
    for (const world of [hurried, unhurried]) {
      for (let i = 0; i < 40; i++) await writeFile(join(world.source, `${i}`), `content ${i}`);
      await world.request();
    }
    let plans = 0;
    await hurried.settle(async (body) => {
      if (body.name === 'plan' || body.type === 'run.requested.v1') plans++;
      await handleMessage(hurried.deployment, body, { deadline: 0 });
    });
    await unhurried.settle();
    expect(plans).toBeGreaterThan(4);
    expect(await pictureOf(hurried)).toEqual(await pictureOf(unhurried));
  });
});
