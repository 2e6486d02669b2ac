/** `npm run read-models`: parked streams let go on and read models made anew, in a data folder that nobody uses. */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { runReadModels } from '../../../infra/embedded/read-models.ts';
import { readGenerations } from '../../../projections/engine/generations.ts';
import { maintainProjections } from '../../../projections/engine/maintain.ts';
import { parked } from '../../../projections/engine/parking.ts';
import type { Projection } from '../../../projections/engine/projection.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { jobs } from '../../../projections/jobs.ts';
import { endBoxes, startBox } from '../../faults/box-process.ts';
import {
  countingJobs,
  currentGeneration,
  failing,
  folded,
  makeJob,
  rename,
} from '../../projections/engine/jobs-world.ts';
import { openTestPlatform, testFolder } from '../../support/embedded.ts';

const one = countingJobs(1);

/** What it prints to each stream, and how it ends. */
async function run(args: string[], projections: Projection[] = [one], env = {}) {
  const said: { log: string[]; error: string[] } = { log: [], error: [] };
  const spies = (['log', 'error'] as const).map((way) =>
    vi.spyOn(console, way).mockImplementation((text) => void said[way].push(String(text))),
  );
  try {
    const code = await runReadModels(args, env, projections);
    return { code, out: said.log.join('\n'), err: said.error.join('\n') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** A closed data folder with two jobs whose renaming was parked. */
async function makeParked() {
  const data = await testFolder();
  const { platform, close } = await openTestPlatform({ data });
  await maintainProjections(platform, [one]);
  const streams: string[] = [];
  for (const account of ['acc_1', 'acc_2']) {
    const { stream, jobId } = await makeJob(platform, account);
    await handleNotifications(platform, [failing(one)], [await rename(platform, account, jobId)]);
    streams.push(stream);
  }
  await close();
  return { data, streams };
}

async function rowsIn(data: string, projection: Projection) {
  const { platform, close } = await openTestPlatform({ data });
  const current = await currentGeneration(platform);
  const due = await folded(platform, projection, ['acc_1', 'acc_2']);
  const standing: string[] = [];
  for await (const { stream } of parked(platform)) standing.push(stream);
  const { building } = (await readGenerations(platform)).get('jobs') ?? {};
  await close();
  return { ...current, due, standing, building };
}

test('what stands still is listed, goes on one by one and all together', async () => {
  const { data, streams } = await makeParked();
  const [first = '', second = ''] = streams;
  const listed = await run(['parked', '--data', data]);
  expect(listed.code).toBe(1);
  for (const stream of streams)
    expect(listed.out).toMatch(new RegExp(`^jobs {2}${stream} {2}version 2 {2}unprojectable {2}since \\d{4}-`, 'm'));
  const asData = await run(['parked', 'jobs', '--json'], [one], { LISTBACKUP_DATA: data });
  expect(
    JSON.parse(asData.out)
      .items.map((each: { stream: string }) => each.stream)
      .sort(),
  ).toEqual(streams.toSorted());

  // The cause is still there.
  const again = await run(['unpark', '--data', data], [failing(one)]);
  expect(again).toMatchObject({ code: 1, out: expect.stringContaining('0 went on, 2 stand still.') });
  expect(await run(['unpark', 'jobs', first, '--data', data])).toMatchObject({
    code: 0,
    out: '1 went on, 0 stand still.',
  });
  expect((await rowsIn(data, one)).standing).toEqual([second]);
  expect(await run(['unpark', '--data', data, '--json'])).toMatchObject({ code: 0, out: '{"healed":1,"parked":0}' });
  expect(await run(['parked', '--data', data])).toMatchObject({ code: 0, out: 'Nothing stands still.' });
  const { rows, due } = await rowsIn(data, one);
  expect(rows).toEqual(due);
});

test('a read model is made anew to its end, or kept as it is when the fold fails where it did not', async () => {
  const { data } = await makeParked();
  expect(await run(['unpark', '--data', data])).toMatchObject({ code: 0 });
  expect(await run(['rebuild', 'jobs', '--data', data], [failing(one)])).toMatchObject({
    code: 1,
    out: expect.stringContaining('not made anew'),
  });
  expect(await rowsIn(data, one)).toMatchObject({ generation: 1, building: { generation: 2 } });
  const two = countingJobs(2);
  expect(await run(['rebuild', '--data', data], [two])).toEqual({ code: 0, out: 'jobs  made anew', err: '' });
  const { rows, due, generation, building } = await rowsIn(data, two);
  expect([rows, generation, building]).toEqual([due, 3, null]);
});

test.for([
  [['parked', 'job'], 'There is no read model job, but jobs.'],
  [['unpark', 'jobs', 'acc_1/run/run_1'], 'Projection jobs does not read streams of type run. It reads job.'],
  [['unpark', 'jobs', 'acc_1/job/job_1', 'more'], 'That is too much for unpark'],
  [['rebuild', 'jobs', 'acc_1/job/job_1'], 'That is too much for rebuild'],
  [['repair'], 'Usage:'],
  [['parked', '--wrong'], '--wrong'],
] as const)('%j is refused with what is wrong', async ([args, why]) => {
  const { data } = await makeParked();
  expect(await run([...args, '--data', data])).toMatchObject({ code: 2, out: '', err: expect.stringContaining(why) });
});

test('it makes no data folder where there is none', async () => {
  const data = await testFolder();
  expect(await run(['parked', '--data', data])).toMatchObject({
    code: 2,
    err: expect.stringContaining('is no data folder'),
  });
  expect(await readdir(data)).toEqual([]);
  expect((await run(['--help'])).out).toContain('Usage: npm run read-models');
});

test('beside a running server it does nothing, and says so', async () => {
  const data = join(await testFolder(), 'data');
  const box = await startBox(data);
  onTestFinished(endBoxes);
  const program = fileURLToPath(new URL('../../../infra/embedded/read-models.ts', import.meta.url));
  const args = ['--disable-warning=ExperimentalWarning', program, 'rebuild', jobs.name, '--data', data];
  const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, args, { env: { PATH: process.env.PATH } }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('Another process uses this data folder: stop it first');
  // It is still at work, and has the folder for itself.
  expect((await fetch(`${box?.url}/health`)).ok).toBe(true);
});
