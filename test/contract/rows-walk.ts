/** The promises of the port `Rows` about scans, and about removing rows and cursors. */
import assert from 'node:assert/strict';
import type { Row, RowChange, Rows } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const table = 'sources';

/** Puts the same rows, of several partitions, in two tables. */
async function fill(port: Rows): Promise<Row[]> {
  const pks = upTo(3).map(() => fresh('acc'));
  const rows = pks.flatMap((pk) =>
    upTo(9).map((n): Row => ({ pk, sk: `é ${n}`, data: { n, deep: { list: [n, null] } } })),
  );
  for (const pk of pks) {
    const own = rows.filter((row) => row.pk === pk);
    const changes = [table, 'users'].flatMap((to) =>
      own.map((row): RowChange => ({ op: 'put', table: to as typeof table, ...row })),
    );
    assert.equal(await port.apply(fresh('projection'), fresh('stream'), 1, changes), 'applied');
  }
  return rows;
}

async function scanAll(port: Rows, limit: number): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: string | null = null;
  do {
    const page: { items: Row[]; next: string | null } = await port.scan(table, {
      limit,
      ...(cursor === null ? {} : { cursor }),
    });
    assert.ok(page.items.length <= limit, `a page of ${page.items.length}`);
    rows.push(...page.items);
    cursor = page.next;
  } while (cursor !== null);
  return rows;
}

const byKey = (a: Row, b: Row) => (`${a.pk} ${a.sk}` < `${b.pk} ${b.sk}` ? -1 : 1);
/** The rows among these that exist. */
async function existing(port: Rows, rows: Row[], from: typeof table | 'users' = table): Promise<Row[]> {
  return (await port.getMany(from, rows)).sort(byKey);
}

export const rowWalkPromises: PortPromise<Rows>[] = [
  {
    promise: 'a scan has every row with its data once, right after the apply',
    async check(port) {
      const rows = await fill(port);
      const own = new Set(rows.map(({ pk }) => pk));
      const scanned = (await scanAll(port, 7)).filter(({ pk }) => own.has(pk));
      assert.deepEqual(scanned.sort(byKey), rows.sort(byKey));
    },
    broken: (port) => ({ ...port, scan: async (from, page) => ({ ...(await port.scan(from, page)), next: null }) }),
  },
  {
    promise: 'a scan has every remaining row while others are removed behind it',
    async check(port) {
      const rows = (await fill(port)).sort(byKey);
      const toRemove = rows.filter((_, i) => i % 3 === 0);
      const remaining = rows.filter((row) => !toRemove.includes(row));
      const removing: Rows = {
        ...port,
        scan: async (from, page) => {
          const found = await port.scan(from, page);
          await port.remove(
            table,
            found.items.filter((row) => toRemove.some(({ pk, sk }) => row.pk === pk && row.sk === sk)),
          );
          return found;
        },
      };
      const scanned = new Set((await scanAll(removing, 4)).map(({ pk, sk }) => `${pk} ${sk}`));
      assert.deepEqual(
        remaining.filter(({ pk, sk }) => !scanned.has(`${pk} ${sk}`)),
        [],
      );
      assert.deepEqual(await existing(port, rows), remaining);
    },
    broken: (port) => ({
      ...port,
      scan: async (from, page) => {
        const found = await port.scan(from, page);
        return { ...found, items: page.cursor === undefined ? found.items : found.items.slice(1) };
      },
    }),
  },
  {
    promise: 'remove deletes those rows and no others, and ignores missing ones',
    async check(port) {
      const rows = (await fill(port)).sort(byKey);
      const removed = rows.slice(0, 26);
      await port.remove(table, [...removed, { pk: fresh('acc'), sk: 'never' }, ...removed.slice(0, 1)]);
      assert.deepEqual(await existing(port, rows), rows.slice(26));
      assert.deepEqual(await existing(port, rows, 'users'), rows);
      await port.remove(table, []);
    },
    broken: (port) => ({ ...port, remove: (from, keys) => port.remove(from, keys.slice(0, 25)) }),
  },
  {
    promise: 'cursors returns the cursors of many streams at once, without those at 0',
    async check(port) {
      const [one, other] = [fresh('projection'), fresh('projection')];
      const streams = upTo(130).map(() => fresh('stream'));
      for (const stream of streams) assert.equal(await port.apply(one, stream, 1, []), 'applied');
      assert.equal(await port.apply(one, streams[129] ?? '', 2, []), 'applied');
      assert.equal(await port.apply(other, streams[0] ?? '', 1, []), 'applied');
      const found = await port.cursors(one, [...streams, fresh('stream'), ...streams.slice(0, 3)]);
      assert.deepEqual([...found].sort(), streams.map((stream, i) => [stream, i === 129 ? 2 : 1]).sort());
      assert.deepEqual([...(await port.cursors(other, streams))], [[streams[0], 1]]);
      assert.deepEqual([...(await port.cursors(one, []))], []);
    },
    broken: (port) => ({ ...port, cursors: (projection, streams) => port.cursors(projection, streams.slice(0, 100)) }),
  },
  {
    promise: 'forget resets the cursors of those streams and no others',
    async check(port) {
      const [one, other] = [fresh('projection'), fresh('projection')];
      const streams = upTo(27).map(() => fresh('stream'));
      for (const projection of [one, other])
        for (const stream of streams) assert.equal(await port.apply(projection, stream, 1, []), 'applied');
      const kept = streams.pop() ?? '';
      await port.forget(one, [...streams, fresh('stream')]);
      for (const stream of streams) assert.equal(await port.cursor(one, stream), 0);
      assert.equal(await port.cursor(one, kept), 1);
      assert.equal(await port.cursor(other, streams[0] ?? ''), 1);
      assert.equal(await port.apply(one, streams[0] ?? '', 2, []), 'gap');
      assert.equal(await port.apply(one, streams[0] ?? '', 1, []), 'applied');
      await port.forget(one, []);
    },
    broken: (port) => ({ ...port, forget: (projection, streams) => port.forget(projection, streams.slice(0, 25)) }),
  },
];
