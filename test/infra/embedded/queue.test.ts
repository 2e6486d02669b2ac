/** The queue across restarts. Its contract: test/contract/queue.ts. */
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { databaseFile, openDatabase } from '../../../infra/embedded/database.ts';
import { makeQueue } from '../../../infra/embedded/queue.ts';
import { maxReceives } from '../../../processors/index.ts';
import { openTestPlatform, testFolder } from '../../support/embedded.ts';

it.each([
  ['at once', 0],
  ['after the message is visible again', 3_600_000],
])('does not count the receive of a process that ended, when the next one starts %s', async (_when, pause) => {
  const data = await testFolder();
  let time = Date.UTC(2026, 0, 1);
  const now = () => time;
  for (let start = 0; start <= maxReceives; start++) {
    const { platform, close } = await openTestPlatform({ data, now });
    if (start === 0) await platform.queue.send('job', [{ body: { n: 1 } }]);
    const received = await platform.queue.receive('job', { max: 10, visibilitySeconds: 60 });
    expect(received.map(({ body, receives }) => ({ body, receives }))).toEqual([{ body: { n: 1 }, receives: 1 }]);
    await close();
    time += pause;
  }
});

it('keeps dead letters and delays at a start', async () => {
  const data = await testFolder();
  let time = Date.UTC(2026, 0, 1);
  const now = () => time;
  const first = await openTestPlatform({ data, now });
  const { queue } = first.platform;
  await queue.send('job', [{ body: { n: 1 } }]);
  for (let receive = 0; receive <= maxReceives; receive++) {
    await queue.receive('job', { max: 1, visibilitySeconds: 1 });
    time += 1000;
  }
  await queue.send('job', [{ body: { n: 2 }, delaySeconds: 60 }]);
  await first.close();
  const { platform } = await openTestPlatform({ data, now });
  expect(await platform.queue.deadLetters('job')).toEqual([{ n: 1 }]);
  expect(await platform.queue.receive('job', { max: 10, visibilitySeconds: 60 })).toEqual([]);
  time += 60_000;
  expect(await platform.queue.receive('job', { max: 10, visibilitySeconds: 60 })).toMatchObject([{ receives: 1 }]);
});

async function testQueue() {
  const db = openDatabase(join(await testFolder(), databaseFile));
  onTestFinished(() => db.close());
  return makeQueue(db, Date.now);
}

it('receives a message of another group before the backlog of one', async () => {
  const queue = await testQueue();
  const backlog = Array.from({ length: 2000 }, (_, n) => ({ body: { n }, group: 'acc_1' }));
  await queue.send('job', backlog);
  const one = { max: 1, visibilitySeconds: 60 };
  for (let n = 0; n < 3; n++) expect(await queue.receive('job', one)).toMatchObject([{ body: { n } }]);
  await queue.send('job', [{ body: { late: true }, group: 'acc_2' }]);
  expect(await queue.receive('job', one)).toMatchObject([{ body: { late: true } }]);
  expect(await queue.receive('job', one)).toMatchObject([{ body: { n: 3 } }]);
});

it('says whether a message waits', async () => {
  const queue = await testQueue();
  expect(await queue.isWaiting('job')).toBe(false);
  await queue.send('job', [{ body: { n: 1 } }]);
  expect(await queue.isWaiting('job')).toBe(true);
  await queue.receive('job', { max: 1, visibilitySeconds: 60 });
  expect(await queue.isWaiting('job')).toBe(false);
});
