/** The `Records` port on SQLite. */
import { isDeepStrictEqual } from 'node:util';
import type { JsonObject, RecordCondition, RecordKey, Records, RecordWrite, StoredRecord } from '../../domain/ports.ts';
import { checkChanges, checkItem, checkKey, checkTransaction } from '../limits.ts';
import type { Database } from './database.ts';
import { added } from './fields.ts';
import { boundsOf, pageOf } from './key-range.ts';

type Stored = { data: JsonObject; expiresAt: number | null };

export function makeRecords(db: Database, now: () => number): Records {
  const seconds = () => Math.floor(now() / 1000);

  function find({ pk, sk }: RecordKey): Stored | undefined {
    const row = db.sql('SELECT data, expires_at FROM records WHERE pk = ? AND sk = ?').get(pk, sk);
    if (!row) return undefined;
    const expiresAt = row.expires_at === null ? null : Number(row.expires_at);
    return expiresAt !== null && expiresAt <= seconds() ? undefined : { data: JSON.parse(String(row.data)), expiresAt };
  }

  function store({ pk, sk }: RecordKey, data: JsonObject, expiresAt: number | null | undefined): number {
    const size = checkItem({ pk, sk, data });
    db.sql(
      `INSERT INTO records (pk, sk, data, expires_at) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`,
    ).run(pk, sk, JSON.stringify(data), expiresAt ?? null);
    return size;
  }

  /** Executes one write. Returns the size of the item in bytes. */
  function execute(write: RecordWrite, found: Stored | undefined): number {
    switch (write.op) {
      case 'put':
        return store(write, write.data, write.expiresAt);
      case 'add':
        return store(write, added(found?.data ?? {}, write), write.expiresAt ?? found?.expiresAt);
      case 'delete':
        db.sql('DELETE FROM records WHERE pk = ? AND sk = ?').run(write.pk, write.sk);
        return 0;
      case 'check':
        return 0;
    }
  }

  return {
    async get(key) {
      const found = find(key);
      return found && toRecord(key, found);
    },

    async getMany(keys) {
      if (keys.length === 0) return [];
      // IN looks up each key by index and ignores repeated keys.
      const rows = db
        .sql(
          `SELECT pk, sk, data, expires_at AS expiresAt FROM records
           WHERE (pk, sk) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))
           AND (expires_at IS NULL OR expires_at > ?)`,
        )
        .all(JSON.stringify(keys.map(({ pk, sk }) => [pk, sk])), seconds());
      return (rows as { pk: string; sk: string; data: string; expiresAt: number | null }[]).map(
        ({ pk, sk, data, expiresAt }) => toRecord({ pk, sk }, { data: JSON.parse(data), expiresAt }),
      );
    },

    async query(pk, { limit, ...range }) {
      const { where, values, order } = boundsOf({ ...range, limit });
      const rows = db
        .sql(
          `SELECT sk, data, expires_at AS expiresAt,
             octet_length(pk) + octet_length(sk) + octet_length(data) AS size
           FROM records
           WHERE pk = ?${where} AND (expires_at IS NULL OR expires_at > ?) ORDER BY sk ${order} LIMIT ?`,
        )
        .iterate(pk, ...values, seconds(), limit + 1);
      return pageOf(
        rows as Iterable<{ sk: string; data: string; expiresAt: number | null; size: number }>,
        limit,
        ({ sk, data, expiresAt }) => toRecord({ pk, sk }, { data: JSON.parse(data), expiresAt }),
      );
    },

    write(writes) {
      return db.write(() => {
        checkChanges(writes.map(({ pk, sk }) => JSON.stringify([pk, sk])));
        for (const write of writes) checkKey(write);
        const found = writes.map(find);
        if (!writes.every((write, i) => write.if === undefined || holds(write.if, found[i]))) return false;
        checkTransaction(writes.map((write, i) => execute(write, found[i])));
        return true;
      });
    },

    add(key, add, expiresAt) {
      return db.write(() => {
        const found = find(key);
        const data = added(found?.data ?? {}, { add });
        store(key, data, expiresAt ?? found?.expiresAt);
        return data;
      });
    },

    async putMany(records) {
      for (const record of records) checkItem(record);
      const groups = Array.from({ length: Math.ceil(records.length / 200) }, (_, i) =>
        records.slice(i * 200, i * 200 + 200),
      );
      await Promise.all(
        groups.map((group) =>
          db.write(() => {
            for (const record of group) store(record, record.data, record.expiresAt);
          }),
        ),
      );
    },
  };
}

function holds(condition: RecordCondition, found: Stored | undefined): boolean {
  if (condition === 'absent') return found === undefined;
  if (found === undefined) return false;
  if (condition === 'present') return true;
  return Object.entries(condition.equals).every(
    ([field, value]) => Object.hasOwn(found.data, field) && isDeepStrictEqual(found.data[field], value),
  );
}

function toRecord({ pk, sk }: RecordKey, { data, expiresAt }: Stored): StoredRecord {
  return { pk, sk, data, ...(expiresAt === null ? {} : { expiresAt }) };
}
