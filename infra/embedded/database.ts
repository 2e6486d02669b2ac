/**
 * The SQLite file of the self-hosted deployment, with one writer. Writes of one turn of the event loop share a
 * transaction and one fsync (group commit). Each write still succeeds or fails alone. It resolves once it is on disk.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { asStorageFull } from './full-disk.ts';

/** Name of the file in the data folder. */
export const databaseFile = 'listbackup.db';

export type Database = {
  /** Returns the statement, prepared once. Outside of `write` use it only to read. Reads see committed data only. */
  sql(text: string): StatementSync;
  /**
   * Runs synchronous work in the next shared transaction. If the work throws, only its own changes are rolled back.
   * Rejects with Problem `storage-full` if the disk is full.
   */
  write<T>(work: () => T): Promise<T>;
  /** Writes the write-ahead log into the file and empties it, so that overwritten bytes are gone from disk. */
  checkpoint(): void;
  /** Finishes pending writes, then closes. */
  close(): Promise<void>;
};

/**
 * The oldest schema version that migrations can start from. Raise it when a stored format changes without a migration.
 */
export const oldestVersion = 7;

/**
 * Entry 0 creates version `oldestVersion`. Each later entry migrates one version on. Append entries, never change one.
 */
const migrations = [
  `
  -- position: order of commits in this file, read by feeds. (account, seq): the ledger.
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
  CREATE TABLE cursors (
    projection TEXT, stream TEXT, version INTEGER NOT NULL, PRIMARY KEY (projection, stream)
  ) WITHOUT ROWID;

  CREATE TABLE records (pk TEXT, sk TEXT, data TEXT NOT NULL, expires_at INTEGER, PRIMARY KEY (pk, sk)) WITHOUT ROWID;
  CREATE INDEX records_by_expiry ON records (expires_at) WHERE expires_at IS NOT NULL;

  -- visible_at in milliseconds since the epoch
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL, dead INTEGER NOT NULL DEFAULT 0, visible_at INTEGER NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0, sender TEXT NOT NULL DEFAULT '', body TEXT NOT NULL
  );
  CREATE INDEX messages_by_time ON messages (queue, dead, visible_at);
  CREATE INDEX messages_by_sender ON messages (queue, sender, visible_at) WHERE receives > 0;

  CREATE TABLE people (
    email_mac BLOB PRIMARY KEY, user_id TEXT NOT NULL, account_id TEXT NOT NULL,
    salt BLOB NOT NULL, password_hash BLOB NOT NULL, encrypted BLOB NOT NULL
  ) WITHOUT ROWID;
  -- wrapped IS NULL: destroyed. destroys_at: milliseconds since the epoch. Once it is set, the key must not be used.
  CREATE TABLE keys (
    account TEXT, subject TEXT, wrapped BLOB, revision INTEGER NOT NULL DEFAULT 0, destroys_at INTEGER,
    PRIMARY KEY (account, subject)
  ) WITHOUT ROWID;
  `,
];

/** The error for a data folder with a format that this version cannot read. */
export const olderFolder =
  'An older version of ListBackup made this data folder, and this version cannot read it. ' +
  'Use an empty folder (LISTBACKUP_DATA), or delete this one with: npm start -- --reset';

/** Schema version that this code reads and writes. */
export const schemaVersion = oldestVersion + migrations.length - 1;

/** Maximum number of writes per transaction. Enough to share the fsync, few enough not to delay reads. */
const groupSize = 500;

type Pending = { run(): void; settle(): void; fail(error: unknown): void };

/** Opens the file, creates or migrates it. Throws if another process or a newer version of ListBackup has it. */
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
      for (const pending of group) {
        sql('SAVEPOINT one').run();
        try {
          pending.run();
          done.push(pending);
        } catch (error) {
          // On a full disk SQLite may roll back the whole transaction. Then every write of the group fails.
          if (!db.isTransaction) throw error;
          sql('ROLLBACK TO one').run();
          pending.fail(asStorageFull(error));
        }
        sql('RELEASE one').run();
      }
      sql('COMMIT').run();
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      for (const pending of group) pending.fail(asStorageFull(error));
      return;
    }
    for (const pending of done) pending.settle();
  }

  function schedule(): void {
    if (scheduled || queue.length === 0) return;
    scheduled = true;
    setImmediate(flush);
  }

  return {
    sql,
    write<T>(work: () => T): Promise<T> {
      if (closed) return Promise.reject(new Error('The database is closed.'));
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
    // Without recursive triggers REPLACE could delete a commit: its delete would not fire the trigger.
    db.exec('PRAGMA recursive_triggers = ON; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;');
    migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Throws if another process uses the file. Accepts every schema version. */
export function requireUnused(file: string): void {
  lock(file).close();
}

function lock(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 3000, defensive: true });
  try {
    // Two processes on one data folder would miss each other's commits. The system frees the lock on any exit.
    db.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;',
    );
    db.exec('BEGIN EXCLUSIVE; COMMIT');
    return db;
  } catch (error) {
    db.close();
    if (error instanceof Error && /database is locked/.test(error.message)) {
      throw new Error('Another process uses this data folder. Stop it first, or use another folder (LISTBACKUP_DATA).');
    }
    throw error;
  }
}

function migrate(db: DatabaseSync): void {
  db.exec('BEGIN EXCLUSIVE');
  try {
    const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
    if (version > schemaVersion) {
      throw new Error(
        'A newer version of ListBackup made this data folder ' +
          `(schema ${version}, this version reads up to ${schemaVersion}). ` +
          'Update ListBackup, or use another folder (LISTBACKUP_DATA).',
      );
    }
    if (version > 0 && version < oldestVersion) throw new Error(olderFolder);
    const first = version === 0 ? 0 : version - oldestVersion + 1;
    for (const migration of migrations.slice(first)) db.exec(migration);
    db.exec(`PRAGMA user_version = ${schemaVersion}`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
