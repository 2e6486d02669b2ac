/**
 * The SQLite file of the embedded home and its one writer. Writes that come in the same turn of the event loop share one transaction
 * and so one fsync (group commit); each still succeeds or fails by itself, and resolves only once it is on disk.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { asStorageFull } from './full-disk.ts';

/** Its name in the data folder. */
export const databaseFile = 'listbackup.db';

export type Database = {
  /** The statement, prepared once. Outside of `write` only for reading: reads see all that is committed and nothing else. */
  sql(text: string): StatementSync;
  /**
   * Runs synchronous work in the next shared transaction. When it throws, just its own changes are undone. Rejects with Problem
   * `storage-full` when there is no room for it.
   */
  write<T>(work: () => T): Promise<T>;
  /** Puts all of the write-ahead log into the file and empties it, so that overwritten bytes are gone from disk. */
  checkpoint(): void;
  /** Finishes what was asked for, then closes. */
  close(): Promise<void>;
};

/** How to get from each version of the schema to the next. Never change an entry, only add one. */
const migrations = [
  `
  -- position: the order of commits in this file, which feeds follow; (account, seq): the ledger
  CREATE TABLE commits (
    position INTEGER PRIMARY KEY,
    stream TEXT NOT NULL, version INTEGER NOT NULL,
    account TEXT NOT NULL, seq INTEGER NOT NULL, ledger_at TEXT NOT NULL,
    at TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL,
    blob TEXT, bytes_hash TEXT, bytes BLOB,
    UNIQUE (stream, version), UNIQUE (account, seq)
  );
  CREATE INDEX commits_by_time ON commits (account, ledger_at);
  CREATE TRIGGER commits_stay BEFORE UPDATE ON commits BEGIN SELECT RAISE(ABORT, 'commits are never changed'); END;
  CREATE TRIGGER commits_remain BEFORE DELETE ON commits BEGIN SELECT RAISE(ABORT, 'commits are never deleted'); END;
  CREATE TABLE feeds (consumer TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE rows (model TEXT, pk TEXT, sk TEXT, data TEXT NOT NULL, PRIMARY KEY (model, pk, sk)) WITHOUT ROWID;
  CREATE TABLE cursors (projection TEXT, stream TEXT, version INTEGER NOT NULL, PRIMARY KEY (projection, stream)) WITHOUT ROWID;

  CREATE TABLE records (pk TEXT, sk TEXT, data TEXT NOT NULL, expires_at INTEGER, PRIMARY KEY (pk, sk)) WITHOUT ROWID;
  CREATE INDEX records_by_expiry ON records (expires_at) WHERE expires_at IS NOT NULL;

  -- visible_at in milliseconds since the epoch
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL, dead INTEGER NOT NULL DEFAULT 0, visible_at INTEGER NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL
  );
  CREATE INDEX messages_by_time ON messages (queue, dead, visible_at);

  CREATE TABLE people (
    email_mac BLOB PRIMARY KEY, user_id TEXT NOT NULL, account_id TEXT NOT NULL,
    salt BLOB NOT NULL, password_hash BLOB NOT NULL, encrypted BLOB NOT NULL
  ) WITHOUT ROWID;
  -- wrapped IS NULL: destroyed
  CREATE TABLE keys (account TEXT, subject TEXT, wrapped BLOB, PRIMARY KEY (account, subject)) WITHOUT ROWID;
  `,
];

/** The version of the schema that this code reads and writes. */
export const schemaVersion = migrations.length;

/** Writes in one transaction: enough to share the fsync, few enough to let reads in between. */
const groupSize = 500;

type Pending = { run(): void; settle(): void; fail(error: unknown): void };

/** Opens the file, making or migrating it. Throws when another process has it, or a newer version of ListBackup made it. */
export function openDatabase(file: string): Database {
  const db = connect(file);
  const statements = new Map<string, StatementSync>();
  let queue: Pending[] = [];
  let scheduled = false;
  let closed = false;

  const sql = (text: string) => {
    const known = statements.get(text) ?? db.prepare(text);
    statements.set(text, known);
    return known;
  };

  function flush(): void {
    scheduled = false;
    if (queue.length === 0) return;
    const group = queue.slice(0, groupSize);
    queue = queue.slice(groupSize);
    schedule();
    const done: Pending[] = [];
    try {
      sql('BEGIN IMMEDIATE').run();
      for (const each of group) {
        sql('SAVEPOINT one').run();
        try {
          each.run();
          done.push(each);
        } catch (error) {
          // A full disk may have undone all of the transaction: then none of it counts.
          if (!db.isTransaction) throw error;
          sql('ROLLBACK TO one').run();
          each.fail(asStorageFull(error));
        }
        sql('RELEASE one').run();
      }
      sql('COMMIT').run();
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      for (const each of group) each.fail(asStorageFull(error));
      return;
    }
    for (const each of done) each.settle();
  }

  function schedule(): void {
    if (scheduled || queue.length === 0) return;
    scheduled = true;
    setImmediate(flush);
  }

  return {
    sql,
    write<T>(work: () => T): Promise<T> {
      if (closed) return Promise.reject(new Error('the database is closed'));
      return new Promise<T>((resolve, reject) => {
        let result: { value: T } | undefined;
        queue.push({
          run: () => {
            result = { value: work() };
          },
          settle: () => result && resolve(result.value),
          fail: reject,
        });
        schedule();
      });
    },
    checkpoint: () => db.exec('PRAGMA wal_checkpoint(TRUNCATE)'),
    async close() {
      if (closed) return;
      closed = true;
      while (queue.length > 0) flush();
      statements.clear();
      db.close();
    },
  };
}

function connect(file: string): DatabaseSync {
  const db = lock(file);
  try {
    // Without recursive triggers a REPLACE would delete past the trigger that forbids it
    db.exec('PRAGMA recursive_triggers = ON; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;');
    migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Throws when another process uses the file, whatever version made it. */
export function requireUnused(file: string): void {
  lock(file).close();
}

function lock(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 3000, defensive: true });
  try {
    // Exclusive: two processes on one data folder would each miss the other's commits. The system frees the lock on any exit.
    db.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;',
    );
    db.exec('BEGIN EXCLUSIVE; COMMIT');
    return db;
  } catch (error) {
    db.close();
    if (error instanceof Error && /database is locked/.test(error.message)) {
      throw new Error(
        'Another process uses this data folder: stop it first, or take another folder (LISTBACKUP_DATA).',
      );
    }
    throw error;
  }
}

function migrate(db: DatabaseSync): void {
  db.exec('BEGIN EXCLUSIVE');
  try {
    const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
    if (version > migrations.length) {
      throw new Error(
        `A newer version of ListBackup made this data folder (schema ${version}, this one knows ${migrations.length}): ` +
          'update ListBackup, or take another folder (LISTBACKUP_DATA).',
      );
    }
    for (const migration of migrations.slice(version)) db.exec(migration);
    db.exec(`PRAGMA user_version = ${migrations.length}`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
