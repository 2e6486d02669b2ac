/** The promises of the port `Rows` about queries. */
import assert from 'node:assert/strict';
import type { Row, RowQuery, Rows } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const table = 'files';

/** Puts rows with these sort keys in a new partition. Returns its pk. */
async function fill(port: Rows, sks: string[], text = ''): Promise<string> {
  const pk = fresh('acc');
  const changes = sks.map((sk) => ({ op: 'put' as const, table: table as 'files', pk, sk, data: { sk, text } }));
  for (let i = 0; i < changes.length; i += 9) {
    assert.equal(await port.apply(fresh('projection'), fresh('stream'), 1, changes.slice(i, i + 9)), 'applied');
  }
  return pk;
}

async function pages(port: Rows, query: Omit<RowQuery, 'table' | 'cursor'>): Promise<Row[][]> {
  const all: Row[][] = [];
  let cursor: string | null | undefined;
  do {
    const page = await port.query({ table, ...query, ...(cursor ? { cursor } : {}) });
    assert.ok(page.items.length <= query.limit, 'a page over its limit');
    all.push(page.items);
    cursor = page.next;
    assert.ok(all.length < 100, 'pages without end');
  } while (cursor !== null);
  return all;
}

async function sksOf(
  port: Rows,
  query: Omit<RowQuery, 'table' | 'cursor' | 'limit'> & { limit?: number },
): Promise<string[]> {
  return (await pages(port, { limit: 1000, ...query })).flat().map((row) => row.sk);
}

/** Sorted by UTF-8 bytes. In UTF-16 order the last one would come before the one at its left. */
const inByteOrder = [
  ' ',
  '!',
  '0',
  '10',
  '9',
  'A',
  'a',
  'a b',
  'a!',
  'a/',
  'a/b',
  'aa',
  'b',
  '~',
  '\u00e9',
  '\u0e01',
  '\ud7ff',
  '\uffee',
  '\u{1f389}',
];

const without =
  (...fields: (keyof RowQuery)[]) =>
  (port: Rows): Rows => ({
    ...port,
    query: (query) =>
      port.query(
        Object.fromEntries(
          Object.entries(query).filter(([field]) => !fields.includes(field as keyof RowQuery)),
        ) as RowQuery,
      ),
  });

export const rowQueryPromises: PortPromise<Rows>[] = [
  {
    promise: 'a query returns the rows of one pk and table in UTF-8 byte order of sk',
    async check(port) {
      const pk = await fill(port, [...inByteOrder].reverse());
      await fill(port, ['elsewhere']);
      assert.deepEqual(await sksOf(port, { pk }), inByteOrder);
      assert.deepEqual((await port.query({ table: 'runs', pk, limit: 10 })).items, []);
      assert.deepEqual(await sksOf(port, { pk: pk.slice(0, -1) }), []);
    },
    broken: (port) => ({
      ...port,
      query: async (query) => {
        const page = await port.query(query);
        return { ...page, items: page.items.sort((a, b) => (a.sk < b.sk ? -1 : 1)) };
      },
    }),
  },
  {
    promise: 'a query with order desc returns the rows in reverse order',
    check: async (port) =>
      assert.deepEqual(
        await sksOf(port, { pk: await fill(port, inByteOrder), order: 'desc', limit: 4 }),
        [...inByteOrder].reverse(),
      ),
    broken: without('order'),
  },
  {
    promise: 'a query from a key includes the key',
    async check(port) {
      const pk = await fill(port, inByteOrder);
      assert.deepEqual(await sksOf(port, { pk, from: 'a/' }), inByteOrder.slice(inByteOrder.indexOf('a/')));
      assert.deepEqual(await sksOf(port, { pk, from: '\uffee' }), ['\uffee', '\u{1f389}']);
      assert.deepEqual(
        await sksOf(port, { pk, from: 'zzz', order: 'desc' }),
        inByteOrder.slice(inByteOrder.indexOf('~')).reverse(),
      );
    },
    broken: without('from'),
  },
  {
    promise: 'a query to a key excludes the key, also with a lower bound',
    async check(port) {
      const pk = await fill(port, inByteOrder);
      assert.deepEqual(await sksOf(port, { pk, to: 'A' }), inByteOrder.slice(0, inByteOrder.indexOf('A')));
      assert.deepEqual(await sksOf(port, { pk, from: 'a', to: 'b' }), ['a', 'a b', 'a!', 'a/', 'a/b', 'aa']);
      assert.deepEqual(await sksOf(port, { pk, from: 'a', to: 'b', order: 'desc', limit: 2 }), [
        'aa',
        'a/b',
        'a/',
        'a!',
        'a b',
        'a',
      ]);
      assert.deepEqual(await sksOf(port, { pk, from: 'b', to: 'b' }), []);
      assert.deepEqual(await sksOf(port, { pk, from: 'b', to: 'a' }), []);
    },
    broken: without('to'),
  },
  {
    promise: 'a query by prefix matches exactly, also with wildcard characters and the last code point',
    async check(port) {
      const sks = [
        'a',
        'a%b',
        'a_b',
        'aXb',
        'A',
        '\u{1f389}',
        '\u{1f389}\u{1f389}',
        '\u{10ffff}',
        '\u{10ffff}\u{10ffff}',
      ];
      const pk = await fill(port, sks);
      assert.deepEqual(await sksOf(port, { pk, prefix: 'a' }), ['a', 'a%b', 'aXb', 'a_b']);
      assert.deepEqual(await sksOf(port, { pk, prefix: 'a%' }), ['a%b']);
      assert.deepEqual(await sksOf(port, { pk, prefix: 'a_', order: 'desc' }), ['a_b']);
      assert.deepEqual(await sksOf(port, { pk, prefix: '\u{1f389}' }), ['\u{1f389}', '\u{1f389}\u{1f389}']);
      assert.deepEqual(await sksOf(port, { pk, prefix: '\u{10ffff}' }), ['\u{10ffff}', '\u{10ffff}\u{10ffff}']);
      assert.deepEqual(await sksOf(port, { pk, prefix: 'b' }), []);
    },
    broken: without('prefix'),
  },
  {
    promise: 'pages have at most limit rows and together are the whole result, in both orders',
    async check(port) {
      const sks = upTo(25).map((n) => `row ${String(n).padStart(2, '0')}`);
      const pk = await fill(port, sks);
      const sizes = (await pages(port, { pk, limit: 7 })).map((page) => page.length);
      assert.deepEqual(sizes.slice(0, 4), [7, 7, 7, 4]);
      assert.deepEqual(await sksOf(port, { pk, limit: 7 }), sks);
      assert.deepEqual(await sksOf(port, { pk, limit: 5, order: 'desc' }), [...sks].reverse());
      assert.deepEqual(await sksOf(port, { pk, limit: 2, prefix: 'row 1' }), sks.slice(9, 19));
    },
    broken: (port) => ({
      ...port,
      query: async (query) => {
        const page = await port.query(query);
        return query.cursor === undefined ? page : { ...page, items: page.items.slice(1) };
      },
    }),
  },
  {
    promise: 'a query reads a partition to its end after most of its rows were deleted',
    async check(port) {
      const pk = fresh('acc');
      const projection = fresh('projection');
      const streams = upTo(6).map((n) => ({ stream: fresh('stream'), key: { table, pk, sk: `${n}` } as const }));
      for (const { stream, key } of streams)
        assert.equal(await port.apply(projection, stream, 1, [{ op: 'put', ...key, data: {} }]), 'applied');
      for (const { stream, key } of streams.slice(0, 5))
        assert.equal(await port.apply(projection, stream, 2, [{ op: 'delete', ...key }]), 'applied');
      assert.deepEqual(await sksOf(port, { pk, limit: 2 }), ['6']);
    },
    broken: (port) => ({
      ...port,
      query: async (query) => ({ items: (await port.query({ ...query, limit: 1000 })).items.slice(1), next: null }),
    }),
  },
  {
    promise: 'a page has at most about 1 MB, and later pages have the rest',
    async check(port) {
      const pk = await fill(port, upTo(8).map(String), 'x'.repeat(300_000));
      const found = await pages(port, { pk, limit: 1000 });
      assert.ok(
        found.every((page) => page.length <= 4),
        'a page of more than 1 MB',
      );
      assert.deepEqual(
        found.flat().map((row) => row.sk),
        upTo(8).map(String),
      );
    },
    broken: (port) => ({
      ...port,
      query: async (query) => {
        const items: Row[] = [];
        let next: string | null = query.cursor ?? null;
        do {
          const page: { items: Row[]; next: string | null } = await port.query(
            next === null ? query : { ...query, cursor: next },
          );
          items.push(...page.items);
          next = page.next;
        } while (next !== null);
        return { items, next };
      },
    }),
  },
];
