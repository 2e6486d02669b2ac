import { expect, test } from 'vitest';
import type { Row } from '../../domain/ports.ts';
import { makeTrouble } from '../../infra/embedded/trouble.ts';
import { foldAsOf } from '../../projections/fold.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { openTestHome } from '../support/embedded.ts';
import { countingJobs, currentGeneration, makeJob, poison, rename, write } from './jobs-world.ts';

const model = countingJobs(1);
const accounts = ['acc_1', 'acc_2'];

test.each([1, 2, 3])('a read model as of any moment is the rows as they were then (%i)', async (seed) => {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const { machine } = await openTestHome({ now: () => clock.now });
  const moments: { at: string; rows: Row[] }[] = [{ at: new Date(clock.now - 1).toISOString(), rows: [] }];
  for (let moment = 0; moment < 12; moment++) {
    await write(machine, accounts, 25, makeTrouble(seed * 100 + moment), (wakeup) => void wakes.push(wakeup));
    await handleWakeups(machine, [model], wakes.splice(0));
    moments.push({ at: new Date(clock.now).toISOString(), rows: (await currentGeneration(machine)).rows });
    clock.now += 1;
  }
  for (const { at, rows } of moments) {
    for (const account of accounts) {
      const { rows: folded, stopped } = await foldAsOf(machine, model, account, at);
      expect(stopped).toEqual([]);
      expect(folded).toEqual(rows.filter(({ pk }) => pk.startsWith(account)));
    }
  }
  expect((await foldAsOf(machine, model, 'acc_1')).rows).toEqual(moments.at(-1)?.rows.filter(({ pk }) => pk.startsWith('acc_1')));
});

const wakes: { stream: string; version: number }[] = [];

test('a fold stops at a commit that is at fault, at that stream alone', async () => {
  const { machine } = await openTestHome();
  const [bad, good] = [await makeJob(machine, 'acc_1'), await makeJob(machine, 'acc_1')];
  await poison(machine, bad.stream);
  await rename(machine, 'acc_1', good.jobId);
  const { rows, stopped } = await foldAsOf(machine, model, 'acc_1');
  expect(stopped).toEqual([{ stream: bad.stream, version: 2, fault: 'damaged' }]);
  expect(rows.find(({ sk }) => sk === 'count')?.data).toEqual({ 'events-1': 3 });
});

test('a fold writes nothing', async () => {
  const { machine } = await openTestHome();
  const { stream } = await makeJob(machine, 'acc_1');
  await foldAsOf(machine, model, 'acc_1');
  expect(await machine.rows.cursor('jobs', stream)).toBe(0);
  expect((await machine.rows.scan('jobs', { limit: 10 })).items).toEqual([]);
});
