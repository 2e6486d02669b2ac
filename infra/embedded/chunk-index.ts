/**
 * The `ChunkIndex` port on a SQLite file of its own. Each thread has its own connection. The file can be rebuilt from
 * the footers of the packs, so its writes need no fsync each.
 */
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { ChunkIndex, ChunkRef } from '../../domain/ports.ts';
import type { RebuildPosition } from '../rebuild-chunk-index.ts';
import { asStorageFull } from './full-disk.ts';

/** Name of the file in the data folder. */
export const chunkIndexFile = 'chunk-index.db';

export type EmbeddedChunkIndex = ChunkIndex & {
  /** Whether all packs are in the index. False for a file that was made anew, until `setComplete`. */
  isComplete(): boolean;
  setComplete(): void;
  /** How far a rebuild of this file has come. */
  rebuildPosition: RebuildPosition;
  /** Idempotent. */
  close(): void;
};

const version = 1;
/** How long a write waits for writes of other threads (ms). */
const timeout = 20_000;
/**
 * From this size on, the write-ahead log is moved into the file and emptied. By itself SQLite never makes it smaller,
 * and the chunks of one pack, which have random ids, can rewrite the whole file.
 */
const logBytes = 2 * 1024 * 1024;

const schema = `
  CREATE TABLE accounts (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
  CREATE TABLE packs (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
  CREATE TABLE chunks (
    account INTEGER, id BLOB, pack INTEGER NOT NULL, slot INTEGER NOT NULL,
    slot_offset INTEGER NOT NULL, slot_length INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY (account, id)
  ) WITHOUT ROWID;
  CREATE TABLE restored (done INTEGER PRIMARY KEY);
  PRAGMA user_version = ${version};`;

const rebuildTable = 'CREATE TABLE IF NOT EXISTS rebuild (one INTEGER PRIMARY KEY, position TEXT NOT NULL)';

const columns =
  'p.id AS pack, c.slot, c.slot_offset AS slotOffset, c.slot_length AS slotLength, c.offset, c.length, hex(c.id) AS id';

/** SQLITE_ERROR (a table is missing), SQLITE_CORRUPT and SQLITE_NOTADB. */
const damageCodes = [1, 11, 26];

/** A file of this name beside the index says that damage was found in it. The next start makes it anew. */
const damageMark = (file: string) => `${file}-damaged`;

/** The names of all files of the index. */
export const chunkIndexFiles = ['', '-wal', '-shm', '-damaged'].map((ending) => `${chunkIndexFile}${ending}`);

/** Opens the file, or makes it. A file that is damaged, or of another version, is made anew. */
export function openChunkIndex(file: string): EmbeddedChunkIndex {
  try {
    return connect(file);
  } catch (error) {
    // After any other error, for example without access or with too many open files, the file may be fine.
    if (!(error instanceof OtherVersion) && !isDamage(error)) throw error;
    remove(file);
    return connect(file);
  }
}

/** Call it before any thread opens the file: removes a file in which damage was found. */
export function removeDamagedIndex(file: string): void {
  if (existsSync(damageMark(file))) remove(file);
}

function remove(file: string): void {
  for (const ending of ['', '-wal', '-shm', '-damaged']) rmSync(`${file}${ending}`, { force: true });
}

function isDamage(error: unknown): boolean {
  return damageCodes.includes(((error as { errcode?: number }).errcode ?? 0) & 0xff);
}

class OtherVersion extends Error {}

function connect(file: string): EmbeddedChunkIndex {
  const db = new DatabaseSync(file, { timeout, defensive: true });
  try {
    // Each thread has a cache, in KiB. A larger one saves no time, because chunks are added in the order of the table.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -2048;');
    // `add` does it.
    db.exec('PRAGMA wal_autocheckpoint = 0');
    db.exec('BEGIN IMMEDIATE');
    const found = Number(db.prepare('PRAGMA user_version').get()?.user_version);
    if (found === 0) db.exec(schema);
    if (found === 0 || found === version) db.exec(rebuildTable);
    db.exec('COMMIT');
    if (found !== 0 && found !== version) throw new OtherVersion('the chunk index has another version');
    const index = indexOver(db, () => writeFileSync(damageMark(file), ''));
    // Fails for a file whose first pages are damaged.
    index.isComplete();
    return index;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * The port over an open file. Chunks on damaged pages count as not indexed, so that backups go on. They are stored
 * again.
 */
export function indexOver(db: DatabaseSync, noteDamage = () => {}): EmbeddedChunkIndex {
  const numberOf = db.prepare('SELECT number FROM accounts WHERE id = ?');
  const isUsed = db.prepare('SELECT 1 FROM chunks WHERE account = ? LIMIT 1');
  // CROSS JOIN keeps SQLite from scanning the chunks for each wanted id.
  const find = db.prepare(
    `SELECT ${columns} FROM json_each(?) AS wanted
     CROSS JOIN chunks c ON c.account = ? AND c.id = unhex(wanted.value) CROSS JOIN packs p ON p.number = c.pack`,
  );
  const page = db.prepare(
    `SELECT ${columns} FROM chunks c JOIN packs p ON p.number = c.pack
     WHERE c.account = ? AND c.id > unhex(?) ORDER BY c.id LIMIT 1000`,
  );
  const accountNumber = (account: string) => Number(numberOf.get(account)?.number ?? 0);

  function orDamaged<T>(damaged: T, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!isDamage(error)) throw asStorageFull(error);
      noteDamage();
      return damaged;
    }
  }

  return {
    async find(account, ids) {
      return orDamaged(new Map(), () => {
        const number = accountNumber(account);
        // Most first backups need no look-up.
        if (number === 0 || ids.length === 0 || !isUsed.get(number)) return new Map();
        return new Map((find.all(JSON.stringify(ids), number) as Stored[]).map(chunkOf));
      });
    },

    async add(account, chunks) {
      const write = () => {
        db.exec('BEGIN IMMEDIATE');
        const number = numberFor(db, 'accounts', account);
        const packs = new Map<string, number>();
        const put = db.prepare('INSERT OR REPLACE INTO chunks VALUES (?, unhex(?), ?, ?, ?, ?, ?, ?)');
        // In the order of the table, inserts take two thirds of the time.
        for (const id of [...chunks.keys()].sort()) {
          const ref = chunks.get(id) as ChunkRef;
          const pack = packs.get(ref.pack) ?? numberFor(db, 'packs', ref.pack);
          packs.set(ref.pack, pack);
          put.run(number, id, pack, ref.slot, ref.slotOffset, ref.slotLength, ref.offset, ref.length);
        }
        db.exec('COMMIT');
        emptyLog(db);
      };
      try {
        orDamaged(undefined, write);
      } finally {
        if (db.isTransaction) db.exec('ROLLBACK');
      }
    },

    async *scan(account) {
      const number = accountNumber(account);
      for (let last = ''; ; ) {
        let rows: Stored[];
        try {
          rows = page.all(number, last) as Stored[];
        } catch {
          yield { unreadable: `${chunkIndexFile} after ${last === '' ? 'the start' : last}` };
          return;
        }
        for (const row of rows) {
          const [id, ref] = chunkOf(row);
          yield { id, ref };
        }
        if (rows.length === 0) return;
        last = rows.at(-1)?.id ?? '';
      }
    },

    isComplete: () => db.prepare('SELECT 1 FROM restored').get() !== undefined,
    setComplete: () => db.exec('INSERT OR IGNORE INTO restored VALUES (1)'),
    rebuildPosition: {
      async load() {
        const row = db.prepare('SELECT position FROM rebuild').get();
        return row === undefined ? undefined : String(row.position);
      },
      async save(key) {
        db.prepare('INSERT OR REPLACE INTO rebuild VALUES (1, ?)').run(key);
      },
    },
    close() {
      if (db.isOpen) db.close();
    },
  };
}

/** If another thread reads or writes for too long, the next write tries again. */
function emptyLog(db: DatabaseSync): void {
  const size = statSync(`${db.location()}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (size >= logBytes) db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
}

type Stored = ChunkRef & { id: string };

function chunkOf({ id, pack, slot, slotOffset, slotLength, offset, length }: Stored): [string, ChunkRef] {
  return [id.toLowerCase(), { pack, slot, slotOffset, slotLength, offset, length }];
}

function numberFor(db: DatabaseSync, table: 'accounts' | 'packs', id: string): number {
  db.prepare(`INSERT OR IGNORE INTO ${table} (id) VALUES (?)`).run(id);
  return Number(db.prepare(`SELECT number FROM ${table} WHERE id = ?`).get(id)?.number);
}
