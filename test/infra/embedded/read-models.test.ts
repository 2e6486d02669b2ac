/** `npm run read-models`: unparks streams and rebuilds read models of a stopped data folder. */
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
import { killServers, startKillableServer } from '../../faults/killable-server.ts';
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

/** Returns the output and the exit code. */
async function run(args: string[], projections: Projection[] = [one], env = {}) {
  const printed: { log: string[]; error: string[] } = { log: [], error: [] };
  const spies = (['log', 'error'] as const).map((method) =>
    vi.spyOn(console, method).mockImplementation((text) => void printed[method].push(String(text))),
  );
  try {
    const code = await runReadModels(args, env, projections);
    return { code, out: printed.log.join('\n'), err: printed.error.join('\n') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** Makes a closed data folder with two parked job streams. */
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
  const expected = await folded(platform, projection, ['acc_1', 'acc_2']);
  const parkedStreams: string[] = [];
  for await (const { stream } of parked(platform)) parkedStreams.push(stream);
  const { building } = (await readGenerations(platform)).get('jobs') ?? {};
  await close();
  return { ...current, expected, parkedStreams, building };
}

test('lists parked streams and unparks one or all of them', async () => {
  const { data, streams } = await makeParked();
  const [first = '', second = ''] = streams;
  const listed = await run(['parked', '--data', data]);
  expect(listed.code).toBe(1);
  for (const stream of streams)
    expect(listed.out).toMatch(new RegExp(`^jobs {2}${stream} {2}version 2 {2}unprojectable {2}since \\d{4}-`, 'm'));
  const asData = await run(['parked', 'jobs', '--json'], [one], { LISTBACKUP_DATA: data });
  expect(
    JSON.parse(asData.out)
      .items.map((item: { stream: string }) => item.stream)
      .sort(),
  ).toEqual(streams.toSorted());

  // The cause is still there.
  const again = await run(['unpark', '--data', data], [failing(one)]);
  expect(again).toMatchObject({ code: 1, out: expect.stringContaining('Unparked: 0. Still parked: 2.') });
  expect(await run(['unpark', 'jobs', first, '--data', data])).toMatchObject({
    code: 0,
    out: 'Unparked: 1. Still parked: 0.',
  });
  expect((await rowsIn(data, one)).parkedStreams).toEqual([second]);
  expect(await run(['unpark', '--data', data, '--json'])).toMatchObject({ code: 0, out: '{"healed":1,"parked":0}' });
  expect(await run(['parked', '--data', data])).toMatchObject({ code: 0, out: 'No stream is parked.' });
  const { rows, expected } = await rowsIn(data, one);
  expect(rows).toEqual(expected);
});

test('rebuilds a read model, or keeps the current rows if the rebuild fails at an event they include', async () => {
  const { data } = await makeParked();
  expect(await run(['unpark', '--data', data])).toMatchObject({ code: 0 });
  expect(await run(['rebuild', 'jobs', '--data', data], [failing(one)])).toMatchObject({
    code: 1,
    out: expect.stringContaining('not switched'),
  });
  expect(await rowsIn(data, one)).toMatchObject({ generation: 1, building: { generation: 2 } });
  const two = countingJobs(2);
  expect(await run(['rebuild', '--data', data], [two])).toEqual({ code: 0, out: 'jobs  rebuilt', err: '' });
  const { rows, expected, generation, building } = await rowsIn(data, two);
  expect([rows, generation, building]).toEqual([expected, 3, null]);
});

test.for([
  [['parked', 'job'], 'Read model job does not exist. Use one of jobs.'],
  [['unpark', 'jobs', 'acc_1/run/run_1'], 'Projection jobs does not read streams of type run. It reads job.'],
  [['unpark', 'jobs', 'acc_1/job/job_1', 'more'], 'Too many arguments for unpark'],
  [['rebuild', 'jobs', 'acc_1/job/job_1'], 'Too many arguments for rebuild'],
  [['repair'], 'Unknown command repair.\n\nUsage:'],
  [[], 'A command is missing.\n\nUsage:'],
  [['parked', '--wrong'], '--wrong'],
] as const)('rejects the arguments %j and says why', async ([args, why]) => {
  const { data } = await makeParked();
  expect(await run([...args, '--data', data])).toMatchObject({ code: 2, out: '', err: expect.stringContaining(why) });
});

test('creates no data folder', async () => {
  const data = await testFolder();
  expect(await run(['parked', '--data', data])).toMatchObject({
    code: 2,
    err: expect.stringContaining('is not a data folder'),
  });
  expect(await readdir(data)).toEqual([]);
  expect((await run(['--help'])).out).toContain('Usage: npm run read-models');
});

test('refuses the data folder of a running server', async () => {
  const data = join(await testFolder(), 'data');
  const box = await startKillableServer(data);
  onTestFinished(killServers);
  const program = fileURLToPath(new URL('../../../infra/embedded/read-models.ts', import.meta.url));
  const args = ['--disable-warning=ExperimentalWarning', program, 'rebuild', jobs.name, '--data', data];
  const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, args, { env: { PATH: process.env.PATH } }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('Another process uses this data folder. Stop it first');
  // The server still works.
  expect((await fetch(`${box?.url}/health`)).ok).toBe(true);
});
