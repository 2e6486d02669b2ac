/** The `EventStore` port on SQLite. A row holds a commit and its ledger position, so both are written together. */
import { parseStream } from '../../domain/event.ts';
import type { EventStore, LedgerEntry, StoredCommit } from '../../domain/ports.ts';
import type { Database } from './database.ts';
import type { Signal } from './signal.ts';

const fields = 'stream, version, at, prev_hash, hash, blob, bytes_hash, bytes';

/** Notifies `appended` after each append, once it is on disk. */
export function makeEventStore(db: Database, appended: Signal): EventStore {
  function insert({ stream, version, at, prevHash, hash, body }: StoredCommit): boolean {
    const { account } = parseStream(stream);
    const previous = db
      .sql('SELECT seq, ledger_at FROM commits WHERE account = ? ORDER BY seq DESC LIMIT 1')
      .get(account);
    // Ledger times never go back, even if a clock does.
    const ledgerAt = previous && String(previous.ledger_at) > at ? String(previous.ledger_at) : at;
    const inBlob = 'blob' in body;
    const { changes } = db
      .sql(
        `INSERT INTO commits (account, seq, ledger_at, ${fields}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (stream, version) DO NOTHING`,
      )
      .run(
        ...[account, Number(previous?.seq ?? 0) + 1, ledgerAt, stream, version, at, prevHash, hash],
        ...(inBlob ? [body.blob, body.bytesHash, null] : [null, null, body.bytes]),
      );
    return changes === 1;
  }

  return {
    async append(commit) {
      const stored = await db.write(() => insert(commit));
      if (stored) appended.notify();
      return stored ? 'appended' : 'conflict';
    },

    async load(stream, { from = 1, limit = -1 } = {}) {
      return db
        .sql(`SELECT ${fields} FROM commits WHERE stream = ? AND version >= ? ORDER BY version LIMIT ?`)
        .all(stream, from, limit)
        .map(toCommit);
    },

    async last(stream) {
      const row = db.sql(`SELECT ${fields} FROM commits WHERE stream = ? ORDER BY version DESC LIMIT 1`).get(stream);
      return row && toCommit(row);
    },

    async getMany(keys) {
      // IN looks up each key by index and ignores repeated keys.
      return db
        .sql(
          `SELECT ${fields} FROM commits
           WHERE (stream, version) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))`,
        )
        .all(JSON.stringify(keys.map(({ stream, version }) => [stream, version])))
        .map(toCommit);
    },

    async ledger(account, { afterSeq = 0, beforeSeq = Number.MAX_SAFE_INTEGER, fromTime, order, limit }) {
      const first = fromTime === undefined ? afterSeq + 1 : Math.max(afterSeq + 1, seqFrom(account, fromTime));
      return db
        .sql(
          `SELECT seq, stream, version, hash, ledger_at FROM commits WHERE account = ? AND seq >= ? AND seq < ?
           ORDER BY seq ${order === 'desc' ? 'DESC' : 'ASC'} LIMIT ?`,
        )
        .all(account, first, beforeSeq, limit)
        .map(toEntry);
    },

    async streams({ limit, cursor = '' }) {
      const items = db
        .sql(
          'SELECT stream, max(version) AS version FROM commits WHERE stream > ? GROUP BY stream ORDER BY stream LIMIT ?',
        )
        .all(cursor, limit)
        .map((row) => ({ stream: String(row.stream), version: Number(row.version) }));
      return { items, next: items.length < limit ? null : (items.at(-1)?.stream ?? null) };
    },
  };

  /** Returns the sequence number of the first entry at this time or later. */
  function seqFrom(account: string, time: string): number {
    const row = db.sql('SELECT min(seq) AS seq FROM commits WHERE account = ? AND ledger_at >= ?').get(account, time);
    return Number(row?.seq ?? Number.MAX_SAFE_INTEGER);
  }
}

type Columns = { [column: string]: unknown };

function toCommit(row: Columns): StoredCommit {
  const body =
    row.bytes instanceof Uint8Array
      ? { bytes: row.bytes }
      : { blob: String(row.blob), bytesHash: String(row.bytes_hash) };
  return {
    stream: String(row.stream),
    version: Number(row.version),
    at: String(row.at),
    prevHash: String(row.prev_hash),
    hash: String(row.hash),
    body,
  };
}

function toEntry(row: Columns): LedgerEntry {
  return {
    seq: Number(row.seq),
    stream: String(row.stream),
    version: Number(row.version),
    hash: String(row.hash),
    at: String(row.ledger_at),
  };
}
