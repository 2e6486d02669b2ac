import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type Database, openDatabase } from '../../../infra/embedded/database.ts';
import { startRemovingExpired } from '../../../infra/embedded/expired-records.ts';
import { silent, testFolder } from '../../support/embedded.ts';

const minute = 60_000;

/** A database with a clock that stands still, and the removal with a timer that the test moves. */
async function makeWorld() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const db = openDatabase(join(await testFolder(), 'listbackup.db'));
  onTestFinished(() => db.close());
  const clock = { now: Date.UTC(2026, 0, 1) };
  return { db, clock, start: () => startRemovingExpired(db, () => clock.now, silent) };
}

let made = 0;
/** Adds records that live for ten minutes, as many as there are requests in a minute. */
const arrive = (db: Database, now: number, count: number) =>
  db.write(() =>
    db
      .sql(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO records (pk, sk, data, expires_at) SELECT 'idempotency', ? || '-' || i, '{}', ? FROM n`,
      )
      .run(count, String(made++), Math.floor((now + 10 * minute) / 1000)),
  );
const sizeOf = (db: Database) => Number(db.sql('SELECT count(*) AS n FROM records').get()?.n);
const expiredAt = (db: Database, now: number) =>
  Number(db.sql('SELECT count(*) AS n FROM records WHERE expires_at <= ?').get(Math.floor(now / 1000))?.n);

test('keeps up with 6,000 new records a minute for hours', async () => {
  const { db, clock, start } = await makeWorld();
  const stop = start();
  let largest = 0;
  for (let minutes = 0; minutes < 2 * 60; minutes++) {
    await arrive(db, clock.now, 6000);
    // The removal of the minute before ends first.
    await new Promise(setImmediate);
    clock.now += minute;
    vi.advanceTimersByTime(minute);
    await vi.waitUntil(() => expiredAt(db, clock.now) === 0, { interval: 1, timeout: 20_000 });
    largest = Math.max(largest, sizeOf(db));
  }
  await stop();
  // Only the records of the last ten minutes are alive.
  expect(largest).toBeLessThanOrEqual(60_000);
}, 120_000);

test('lets other writes through while it removes a backlog, and removes all of it', async () => {
  const { db, clock, start } = await makeWorld();
  await arrive(db, clock.now, 50_000);
  clock.now += 11 * minute;
  const stop = start();
  let writes = 0;
  while (expiredAt(db, clock.now) > 0) {
    await db.write(() => db.sql('INSERT INTO feeds (consumer, position) VALUES (?, 1)').run(`f${writes}`));
    writes++;
  }
  await stop();
  expect(sizeOf(db)).toBe(0);
  expect(writes).toBeGreaterThan(20);
});

test('stops between batches when the server stops', async () => {
  const { db, clock, start } = await makeWorld();
  await arrive(db, clock.now, 50_000);
  clock.now += 11 * minute;
  await start()();
  expect(sizeOf(db)).toBeGreaterThan(40_000);
});
