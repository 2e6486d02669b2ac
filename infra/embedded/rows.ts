/** The `Rows` port on SQLite: read models and the cursors of their projections. */
import type { JsonObject, Row, RowChange, RowKey, Rows } from '../../domain/ports.ts';
import { checkChanges, checkItem, checkKey, checkMany, checkTransaction } from '../limits.ts';
import type { Database } from './database.ts';
import { added } from './fields.ts';
import { boundsOf, pageOf } from './key-range.ts';

export function makeRows(db: Database): Rows {
  const dataOf = ({ table, pk, sk }: RowKey): JsonObject | undefined => {
    const row = db.sql('SELECT data FROM rows WHERE model = ? AND pk = ? AND sk = ?').get(table, pk, sk);
    return row && JSON.parse(String(row.data));
  };
  const cursorOf = (projection: string, stream: string) =>
    Number(
      db.sql('SELECT version FROM cursors WHERE projection = ? AND stream = ?').get(projection, stream)?.version ?? 0,
    );

  /** Applies one change. Returns the size of the row in bytes. */
  function applyChange(change: RowChange): number {
    const { table, pk, sk } = change;
    if (change.op === 'delete') {
      checkKey(change);
      db.sql('DELETE FROM rows WHERE model = ? AND pk = ? AND sk = ?').run(table, pk, sk);
      return 0;
    }
    const data = change.op === 'put' ? change.data : added(dataOf(change) ?? {}, change);
    const size = checkItem({ pk, sk, data });
    db.sql(
      'INSERT INTO rows (model, pk, sk, data) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data',
    ).run(...[table, pk, sk, JSON.stringify(data)]);
    return size;
  }

  return {
    async get(key) {
      const data = dataOf(key);
      return data && { pk: key.pk, sk: key.sk, data };
    },

    async getMany(table, keys) {
      checkMany(keys);
      const distinct = new Map(keys.map(({ pk, sk }) => [JSON.stringify([pk, sk]), { pk, sk }]));
      return [...distinct.values()].flatMap(({ pk, sk }): Row[] => {
        const data = dataOf({ table, pk, sk });
        return data ? [{ pk, sk, data }] : [];
      });
    },

    async query({ table, pk, limit, ...range }) {
      const { where, values, order } = boundsOf({ ...range, limit });
      const rows = db
        .sql(
          `SELECT sk, data, octet_length(pk) + octet_length(sk) + octet_length(data) AS size FROM rows
           WHERE model = ? AND pk = ?${where} ORDER BY sk ${order} LIMIT ?`,
        )
        .iterate(table, pk, ...values, limit + 1);
      return pageOf(
        rows as Iterable<{ sk: string; data: string; size: number }>,
        limit,
        ({ sk, data }): Row => ({ pk, sk, data: JSON.parse(data) }),
      );
    },

    apply(projection, stream, version, changes) {
      return db.write(() => {
        checkChanges(
          changes.map(({ table, pk, sk }) => JSON.stringify([table, pk, sk])),
          true,
        );
        const cursor = cursorOf(projection, stream);
        if (version <= cursor) return 'stale';
        if (version > cursor + 1) return 'gap';
        checkTransaction(changes.map(applyChange));
        db.sql(
          'INSERT INTO cursors (projection, stream, version) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version',
        ).run(...[projection, stream, version]);
        return 'applied';
      });
    },

    async cursor(projection, stream) {
      return cursorOf(projection, stream);
    },

    async cursors(projection, streams) {
      checkMany(streams);
      const all = streams.map((stream) => [stream, cursorOf(projection, stream)] as const);
      return new Map(all.filter(([, version]) => version > 0));
    },

    async scan(table, { limit, cursor }) {
      const [afterPk, afterSk]: [string, string] = cursor === undefined ? ['', ''] : JSON.parse(cursor);
      const items = db
        .sql('SELECT pk, sk, data FROM rows WHERE model = ? AND (pk, sk) > (?, ?) ORDER BY pk, sk LIMIT ?')
        .all(table, afterPk, afterSk, limit)
        .map((row): Row => ({ pk: String(row.pk), sk: String(row.sk), data: JSON.parse(String(row.data)) }));
      const last = items.at(-1);
      return { items, next: last && items.length === limit ? JSON.stringify([last.pk, last.sk]) : null };
    },

    remove(table, keys) {
      checkMany(keys);
      return db.write(() => {
        for (const { pk, sk } of keys)
          db.sql('DELETE FROM rows WHERE model = ? AND pk = ? AND sk = ?').run(table, pk, sk);
      });
    },

    forget(projection, streams) {
      checkMany(streams);
      return db.write(() => {
        for (const stream of streams)
          db.sql('DELETE FROM cursors WHERE projection = ? AND stream = ?').run(projection, stream);
      });
    },
  };
}
