import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Database, openDatabase } from '../../../infra/embedded/database.ts';
import { testFolder } from '../../support/embedded.ts';

async function open(folder?: string): Promise<{ db: Database; file: string }> {
  const file = join(folder ?? (await testFolder()), 'listbackup.db');
  const db = openDatabase(file);
  onTestFinished(() => db.close());
  return { db, file };
}

const put =
  (db: Database, consumer: string, position = 1) =>
  () =>
    db.sql('INSERT INTO feeds (consumer, position) VALUES (?, ?)').run(consumer, position);
const consumers = (db: Database) =>
  db
    .sql('SELECT consumer FROM feeds ORDER BY consumer')
    .all()
    .map((row) => row.consumer);

describe('writes', () => {
  it('share a transaction if they arrive together', async () => {
    const { db, file } = await open();
    const walSize = async () => (await stat(`${file}-wal`)).size;
    db.checkpoint();
    for (let i = 0; i < 50; i++) await db.write(put(db, `one by one ${i}`));
    const oneByOne = await walSize();
    db.checkpoint();
    await Promise.all(Array.from({ length: 50 }, (_, i) => db.write(put(db, `together ${i}`))));
    expect(await walSize()).toBeLessThan(oneByOne / 5);
    expect(consumers(db)).toHaveLength(100);
  });

  it('fail alone, the other writes of the transaction succeed', async () => {
    const { db } = await open();
    const outcomes = await Promise.allSettled([
      db.write(put(db, 'a')),
      db.write(() => {
        put(db, 'half done')();
        throw new Error('no');
      }),
      db.write(put(db, 'a')),
      db.write(put(db, 'b')),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(consumers(db)).toEqual(['a', 'b']);
  });

  it('all fail if their transaction cannot be committed, and later writes succeed', async () => {
    const { db } = await open();
    await db.write(() => {
      db.sql('CREATE TABLE parent (id INTEGER PRIMARY KEY)').run();
      db.sql('CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)').run();
    });
    const outcomes = await Promise.allSettled([
      db.write(put(db, 'a')),
      db.write(() => db.sql('INSERT INTO child (parent) VALUES (1)').run()),
      db.write(put(db, 'b')),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['rejected', 'rejected', 'rejected']);
    await db.write(put(db, 'c'));
    expect(consumers(db)).toEqual(['c']);
  });

  it('fail with storage-full on a full disk, with all writes that were rolled back, and later writes succeed', async () => {
    const { db } = await open();
    const room = (pages: number) => db.sql(`PRAGMA max_page_count = ${pages}`).get();
    const large = (name: string) => () => put(db, name.padEnd(100_000, 'x'))();
    room(1);
    const outcomes = await Promise.allSettled([db.write(put(db, 'a')), db.write(large('b')), db.write(put(db, 'c'))]);
    const kept = new Set(consumers(db));
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') expect(kept).toContain('a c'[index]);
      else
        expect(outcome.reason).toMatchObject({
          code: 'storage-full',
          message: expect.stringContaining('Free some space'),
        });
    }
    expect(outcomes[1].status).toBe('rejected');
    expect(kept.size).toBe(outcomes.filter(({ status }) => status === 'fulfilled').length);
    room(0xfffffffe);
    await db.write(large('d'));
    expect(consumers(db)).toHaveLength(kept.size + 1);
  });

  it('return their own results if they need several transactions', async () => {
    const { db } = await open();
    const answers = await Promise.all(
      Array.from({ length: 1300 }, (_, i) =>
        db.write(() => {
          put(db, `c${i}`)();
          return i;
        }),
      ),
    );
    expect(answers).toEqual(Array.from({ length: 1300 }, (_, i) => i));
    expect(consumers(db)).toHaveLength(1300);
  });

  it('are invisible before their commit and finish before the database closes', async () => {
    const folder = await testFolder();
    const { db } = await open(folder);
    const written = db.write(put(db, 'a'));
    expect(consumers(db)).toEqual([]);
    await db.close();
    await written;
    await expect(db.write(() => 1)).rejects.toThrow('closed');
    expect(consumers((await open(folder)).db)).toEqual(['a']);
  });

  it('survive kill -9 at any time once acknowledged', async () => {
    const folder = await testFolder();
    const file = join(folder, 'listbackup.db');
    const writer = new URL('../../support/endless-appends.ts', import.meta.url).pathname;
    for (const acknowledgedAtLeast of [1, 150, 400]) {
      const child = spawn(process.execPath, [writer, file], { stdio: ['ignore', 'pipe', 'inherit'] });
      const acknowledged: { stream: string; version: number }[] = [];
      const lines = createInterface({ input: child.stdout });
      lines.on('line', (line) => {
        acknowledged.push(JSON.parse(line));
        if (acknowledged.length === acknowledgedAtLeast) child.kill('SIGKILL');
      });
      await Promise.all([once(child, 'exit'), once(lines, 'close')]);
      expect(acknowledged.length).toBeGreaterThanOrEqual(acknowledgedAtLeast);
      const db = openDatabase(file);
      const find = db.sql('SELECT seq FROM commits WHERE stream = ? AND version = ?');
      expect(acknowledged.filter(({ stream, version }) => !find.get(stream, version))).toEqual([]);
      const ledger = db.sql('SELECT count(*) AS n, min(seq) AS first, max(seq) AS last FROM commits').get();
      expect([ledger?.first, ledger?.last]).toEqual([1, ledger?.n]);
      await db.close();
    }
  });
});

describe('commits', () => {
  it('can be neither changed nor deleted', async () => {
    const { db } = await open();
    await db.write(() =>
      db
        .sql(
          `INSERT INTO commits (stream, version, account, seq, ledger_at, at, prev_hash, hash)
           VALUES ('a/b/c', 1, 'a', 1, '', '', '', 'h')`,
        )
        .run(),
    );
    await expect(db.write(() => db.sql(`UPDATE commits SET hash = 'x'`).run())).rejects.toThrow('never changed');
    await expect(db.write(() => db.sql('DELETE FROM commits').run())).rejects.toThrow('never deleted');
    await expect(db.write(() => db.sql(`INSERT OR REPLACE INTO commits SELECT * FROM commits`).run())).rejects.toThrow(
      'never',
    );
    expect(db.sql('SELECT hash FROM commits').all()).toHaveLength(1);
  });
});

describe('openDatabase', () => {
  it.each([
    ['a newer version', 99, /newer version of ListBackup.*schema 99.*Update ListBackup/],
    ['an older format', 1, /older version of ListBackup.*--reset/],
  ])('refuses the file of %s and says what to do', async (_, version, message) => {
    const { db, file } = await open();
    await db.close();
    const raw = new DatabaseSync(file);
    raw.exec(`PRAGMA user_version = ${version}`);
    raw.close();
    expect(() => openDatabase(file)).toThrow(message);
  });

  it('refuses a file that is open elsewhere until it is closed', async () => {
    const { db, file } = await open();
    expect(() => openDatabase(file)).toThrow(/Another process uses this data folder/);
    await db.close();
    await openDatabase(file).close();
  });

  it('uses a write-ahead log that is synced at every commit', async () => {
    const { db } = await open();
    expect(db.sql('PRAGMA journal_mode').get()?.journal_mode).toBe('wal');
    expect(db.sql('PRAGMA synchronous').get()?.synchronous).toBe(2);
  });
});
