/** Marks of streams with news, over the records of a self-hosted platform. */
import { expect, test } from 'vitest';
import { transact } from '../../../activity/store.ts';
import { createJob, job, renameJob } from '../../../domain/job.ts';
import type { EventStore, Platform } from '../../../domain/ports.ts';
import { awsNews, markingNews, newsLanes } from '../../../infra/aws/news.ts';
import { command, jobStream } from '../../projections/engine/jobs-world.ts';
import { openTestPlatform } from '../../support/embedded.ts';

const minute = 60_000;

async function makeWorld() {
  const clock = { now: Date.UTC(2026, 0, 5, 23, 50) };
  const opened = (await openTestPlatform({ now: () => clock.now })).platform;
  const written: string[] = [];
  const records: Platform['records'] = {
    ...opened.records,
    async putMany(all) {
      written.push(...all.map(({ pk, sk }) => `${pk.replace(/.$/, '')} ${sk}`));
      await opened.records.putMany(all);
    },
  };
  const marked = async (day: string) => {
    const lanes = await Promise.all(
      Array.from({ length: newsLanes }, (_, lane) => awsNews(opened.records).streams(day, lane, { limit: 100 })),
    );
    return lanes.flatMap(({ items }) => items).sort();
  };
  const platform = { ...opened, events: markingNews(opened.events, records) };
  const make = (id: string) =>
    transact(
      platform,
      job,
      jobStream('acc_1', id),
      createJob({ jobId: id, sourceId: 'src_1', name: 'x' }),
      command('acc_1'),
    );
  const rename = (id: string, name: string) =>
    transact(platform, job, jobStream('acc_1', id), renameJob(id, name), command('acc_1'));
  return { opened, clock, written, records, marked, make, rename };
}

test('a stream gets one mark a day, with its first commit', async () => {
  const { clock, written, marked, make, rename } = await makeWorld();
  await make('a');
  await make('b');
  await rename('a', 'y');
  await rename('a', 'z');
  expect(written).toEqual(['news/2026-01-05/ acc_1/job/a', 'news/2026-01-05/ acc_1/job/b']);
  written.length = 0;
  clock.now += 20 * minute;
  await rename('a', 'after midnight');
  await rename('a', 'and again');
  expect(written).toEqual(['news/2026-01-06/ acc_1/job/a']);
  expect(await marked('2026-01-05')).toEqual(['acc_1/job/a', 'acc_1/job/b']);
  expect(await marked('2026-01-06')).toEqual(['acc_1/job/a']);
  // A clock that goes back marks again. The commit before it has another day.
  clock.now -= 20 * minute;
  await rename('a', 'the clock went back');
  expect(written).toHaveLength(2);
});

test('an append whose caller does not know the commit before it leaves a mark', async () => {
  const { opened, written, records, make } = await makeWorld();
  await make('a');
  const [commit] = await opened.events.load('acc_1/job/a');
  if (!commit) throw new Error('no commit');
  written.length = 0;
  expect(await markingNews(opened.events, records).append(commit)).toBe('conflict');
  expect(written).toHaveLength(1);
});

test('no commit is stored without its mark', async () => {
  const { opened, make } = await makeWorld();
  await make('a');
  const [commit] = await opened.events.load('acc_1/job/a');
  if (!commit) throw new Error('no commit');
  let appended = 0;
  const append: EventStore['append'] = async () => {
    appended++;
    return 'appended';
  };
  const events = { ...opened.events, append };
  const failing = { ...opened.records, putMany: () => Promise.reject(new Error('throttled')) };
  await expect(markingNews(events, failing).append(commit, '')).rejects.toThrow('throttled');
  expect(appended).toBe(0);
  expect(await markingNews(events, failing).append(commit, commit.at)).toBe('appended');
});

test('spreads the marks of a day over all lanes', async () => {
  const { opened, make } = await makeWorld();
  await Promise.all(Array.from({ length: 100 }, (_, i) => make(`j${i}`)));
  for (let lane = 0; lane < newsLanes; lane++) {
    const { items } = await awsNews(opened.records).streams('2026-01-05', lane, { limit: 100 });
    expect(items.length).toBeGreaterThan(10);
  }
});
