/** The contract of the port `Rows`: each promise with a check, and a broken port that fails the check. */
import assert from 'node:assert/strict';
import type { JsonObject, RowChange, Rows } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';
import { applyingAgain, rewriting } from './rows-broken.ts';
import { rowCursorPromises } from './rows-cursor.ts';
import { rowQueryPromises } from './rows-query.ts';
import { rowWalkPromises } from './rows-walk.ts';

const table = 'jobs';
const put = (pk: string, sk: string, data: JsonObject): RowChange => ({ op: 'put', table, pk, sk, data });
const update = (
  pk: string,
  sk: string,
  change: { set?: JsonObject; add?: { [field: string]: number } },
): RowChange => ({
  op: 'update',
  table,
  pk,
  sk,
  ...change,
});

/** Applies the changes as version 1 of a new stream. */
async function change(port: Rows, changes: RowChange[]): Promise<void> {
  assert.equal(await port.apply(fresh('projection'), fresh('stream'), 1, changes), 'applied');
}

async function dataOf(port: Rows, pk: string, sk: string): Promise<JsonObject | undefined> {
  return (await port.get({ table, pk, sk }))?.data;
}

const rejectedWith = (message: RegExp) => (error: unknown) => error instanceof Error && message.test(error.message);

/** Applies each change separately instead of all atomically. */
const piecemeal = (port: Rows): Rows => ({
  ...port,
  async apply(projection, stream, version, changes) {
    for (const each of changes) await port.apply(fresh('projection'), fresh('stream'), 1, [each]);
    return port.apply(projection, stream, version, []);
  },
});

export const rowPromises: PortPromise<Rows>[] = [
  {
    promise: 'get returns a row with its data unchanged, right after the apply',
    async check(port) {
      const pk = fresh('acc');
      const data = {
        text: 'é ✓ 🎉 "\'%_',
        empty: '',
        no: null,
        yes: true,
        many: [1, 'a', [], {}],
        deep: { '': [null], 'a.b': 1.5 },
        big: 9007199254740991,
        minus: -0.25,
      };
      await change(port, [put(pk, 'a#1/ü 🎉', data)]);
      assert.deepEqual(await port.get({ table, pk, sk: 'a#1/ü 🎉' }), { pk, sk: 'a#1/ü 🎉', data });
      assert.equal(await port.get({ table, pk, sk: 'a#1' }), undefined);
    },
    broken: (port) => ({
      ...port,
      get: async (key) => {
        const row = await port.get(key);
        return (
          row && { ...row, data: Object.fromEntries(Object.entries(row.data).filter(([, value]) => value !== '')) }
        );
      },
    }),
  },
  {
    promise: 'put replaces the whole row',
    async check(port) {
      const pk = fresh('acc');
      await change(port, [put(pk, 'a', { old: 1, both: 1 })]);
      await change(port, [put(pk, 'a', { both: 2 })]);
      assert.deepEqual(await dataOf(port, pk, 'a'), { both: 2 });
    },
    broken: rewriting((each) => (each.op === 'put' ? { ...each, op: 'update', set: each.data } : each)),
  },
  {
    promise: 'delete removes the row and ignores a missing one',
    async check(port) {
      const pk = fresh('acc');
      await change(port, [put(pk, 'a', { n: 1 }), put(pk, 'b', { n: 1 })]);
      await change(port, [
        { op: 'delete', table, pk, sk: 'a' },
        { op: 'delete', table, pk, sk: 'never' },
      ]);
      assert.equal(await dataOf(port, pk, 'a'), undefined);
      assert.deepEqual(await dataOf(port, pk, 'b'), { n: 1 });
    },
    broken: rewriting((each) => (each.op === 'delete' ? { ...each, op: 'put', data: {} } : each)),
  },
  {
    promise: 'update replaces the fields it sets and leaves the others',
    async check(port) {
      const pk = fresh('acc');
      await change(port, [put(pk, 'a', { kept: 'k', map: { x: 1, y: 2 }, n: 1 })]);
      await change(port, [update(pk, 'a', { set: { map: { z: 3 }, name: 'new', n: null } })]);
      assert.deepEqual(await dataOf(port, pk, 'a'), { kept: 'k', map: { z: 3 }, name: 'new', n: null });
    },
    broken: rewriting((each) =>
      each.op === 'update' ? { op: 'put', table: each.table, pk: each.pk, sk: each.sk, data: each.set ?? {} } : each,
    ),
  },
  {
    promise: 'update adds to numbers and counts an absent field as 0',
    async check(port) {
      const pk = fresh('acc');
      await change(port, [put(pk, 'a', { n: 40, kept: 'k' })]);
      await change(port, [update(pk, 'a', { add: { n: 2, fresh: 7 }, set: { at: 'now' } })]);
      await change(port, [update(pk, 'a', { add: { n: -50, 'odd.name #1': 1 } })]);
      assert.deepEqual(await dataOf(port, pk, 'a'), { n: -8, fresh: 7, kept: 'k', at: 'now', 'odd.name #1': 1 });
    },
    broken: rewriting((each) =>
      each.op === 'update' ? { ...each, set: { ...each.set, ...each.add }, add: {} } : each,
    ),
  },
  {
    promise: 'update creates the row when it is absent',
    async check(port) {
      const pk = fresh('acc');
      await change(port, [update(pk, 'a', { set: { name: 'x' }, add: { n: 3 } }), update(pk, 'b', {})]);
      assert.deepEqual(await dataOf(port, pk, 'a'), { name: 'x', n: 3 });
      assert.deepEqual(await dataOf(port, pk, 'b'), {});
    },
    broken: (port) => ({
      ...port,
      async apply(projection, stream, version, changes) {
        const known = await Promise.all(changes.map((each) => port.get(each)));
        return port.apply(
          projection,
          stream,
          version,
          changes.filter((each, i) => each.op !== 'update' || known[i]),
        );
      },
    }),
  },
  {
    promise: 'apply takes each version once and in order: an old one is stale, a later one a gap',
    async check(port) {
      const [pk, projection, stream] = [fresh('acc'), fresh('projection'), fresh('stream')];
      const count = [update(pk, 'a', { add: { n: 1 } })];
      assert.equal(await port.cursor(projection, stream), 0);
      assert.equal(await port.apply(projection, stream, 2, count), 'gap');
      assert.equal(await port.cursor(projection, stream), 0);
      assert.equal(await port.apply(projection, stream, 1, count), 'applied');
      assert.equal(await port.apply(projection, stream, 1, count), 'stale');
      assert.equal(await port.apply(projection, stream, 2, count), 'applied');
      assert.equal(await port.apply(projection, stream, 1, count), 'stale');
      assert.equal(await port.apply(projection, stream, 4, count), 'gap');
      assert.equal(await port.cursor(projection, stream), 2);
      assert.deepEqual(await dataOf(port, pk, 'a'), { n: 2 });
    },
    broken: applyingAgain,
  },
  {
    promise: 'apply counts a version once when 10 workers apply it at once',
    async check(port) {
      const [pk, projection, stream] = [fresh('acc'), fresh('projection'), fresh('stream')];
      const outcomes = await Promise.all(
        upTo(10).map(() => port.apply(projection, stream, 1, [update(pk, 'a', { add: { n: 1 } })])),
      );
      assert.deepEqual(outcomes.sort(), ['applied', ...upTo(9).map(() => 'stale')]);
      assert.deepEqual(await dataOf(port, pk, 'a'), { n: 1 });
    },
    broken: piecemeal,
  },
  {
    promise: 'concurrent updates of one row from different streams lose nothing',
    async check(port) {
      const [pk, projection] = [fresh('acc'), fresh('projection')];
      const outcomes = await Promise.all(
        upTo(10).map(() => port.apply(projection, fresh('stream'), 1, [update(pk, 'a', { add: { n: 1 } })])),
      );
      assert.deepEqual(new Set(outcomes), new Set(['applied']));
      assert.deepEqual(await dataOf(port, pk, 'a'), { n: 10 });
    },
    broken: (port) => ({
      ...port,
      async apply(projection, stream, version, changes) {
        const known = await Promise.all(changes.map((each) => port.get(each)));
        const puts = changes.map((each, i): RowChange => {
          const n = known[i]?.data.n;
          return each.op === 'update' ? put(each.pk, each.sk, { n: (typeof n === 'number' ? n : 0) + 1 }) : each;
        });
        return port.apply(projection, stream, version, puts);
      },
    }),
  },
  {
    promise: 'cursors are separate by projection and by stream',
    async check(port) {
      const [one, other, stream] = [fresh('projection'), fresh('projection'), fresh('stream')];
      assert.equal(await port.apply(one, stream, 1, []), 'applied');
      assert.equal(await port.cursor(other, stream), 0);
      assert.equal(await port.cursor(one, fresh('stream')), 0);
      assert.equal(await port.apply(other, stream, 1, []), 'applied');
      assert.equal(await port.cursor(one, stream), 1);
    },
    broken: (port) => ({
      ...port,
      apply: (_, ...rest) => port.apply('all', ...rest),
      cursor: (_, stream) => port.cursor('all', stream),
    }),
  },
  {
    promise: 'apply writes the changes and the cursor atomically',
    async check(port) {
      const [pk, projection, stream] = [fresh('acc'), fresh('projection'), fresh('stream')];
      await change(port, [put(pk, 'text', { n: 'not a number' })]);
      await assert.rejects(
        port.apply(projection, stream, 1, [
          put(pk, 'a', { n: 1 }),
          update(pk, 'text', { add: { n: 1 } }),
          put(pk, 'b', { n: 1 }),
        ]),
      );
      assert.equal(await dataOf(port, pk, 'a'), undefined);
      assert.equal(await dataOf(port, pk, 'b'), undefined);
      assert.equal(await port.cursor(projection, stream), 0);
    },
    broken: piecemeal,
  },
  {
    promise: 'apply takes 99 changes in several tables and rejects 100',
    async check(port) {
      const [pk, projection, stream] = [fresh('acc'), fresh('projection'), fresh('stream')];
      const changes = upTo(100).map(
        (n): RowChange => ({ ...put(pk, `row ${n}`, { n }), table: n % 2 ? 'jobs' : 'runs' }),
      );
      await assert.rejects(port.apply(projection, stream, 1, changes), rejectedWith(/99/));
      assert.equal(await port.cursor(projection, stream), 0);
      assert.equal(await port.apply(projection, stream, 1, changes.slice(0, 99)), 'applied');
      assert.deepEqual((await port.get({ table: 'jobs', pk, sk: 'row 99' }))?.data, { n: 99 });
      assert.deepEqual((await port.get({ table: 'runs', pk, sk: 'row 98' }))?.data, { n: 98 });
      assert.equal(await port.get({ table: 'jobs', pk, sk: 'row 98' }), undefined);
    },
    broken: (port) => ({
      ...port,
      apply: (projection, stream, version, changes) => port.apply(projection, stream, version, changes.slice(0, 99)),
    }),
  },
  {
    promise: 'apply rejects two changes of one row',
    async check(port) {
      const [pk, projection, stream] = [fresh('acc'), fresh('projection'), fresh('stream')];
      const twice = [put(pk, 'a', { n: 1 }), update(pk, 'a', { add: { n: 1 } })];
      await assert.rejects(port.apply(projection, stream, 1, twice), rejectedWith(/same/));
      assert.equal(await port.cursor(projection, stream), 0);
      assert.equal(await dataOf(port, pk, 'a'), undefined);
    },
    broken: (port) => ({
      ...port,
      apply: (projection, stream, version, changes) =>
        port.apply(projection, stream, version, [...new Map(changes.map((each) => [each.sk, each])).values()]),
    }),
  },
  {
    promise: 'apply rejects a row over 400 KB and takes one just below',
    async check(port) {
      const pk = fresh('acc');
      await change(port, [put(pk, 'just', { text: 'x'.repeat(400 * 1024 - 200) })]);
      assert.equal(String((await dataOf(port, pk, 'just'))?.text).length, 400 * 1024 - 200);
      await assert.rejects(change(port, [put(pk, 'over', { text: 'é'.repeat(205 * 1024) })]), rejectedWith(/400 KB/));
      assert.equal(await dataOf(port, pk, 'over'), undefined);
    },
    broken: rewriting((each) =>
      each.op === 'put' ? { ...each, data: { text: String(each.data.text).slice(0, 1000) } } : each,
    ),
  },
  {
    promise: 'apply rejects more than 4 MB of changes',
    async check(port) {
      const [pk, projection, stream] = [fresh('acc'), fresh('projection'), fresh('stream')];
      const changes = upTo(12).map((n) => put(pk, `row ${n}`, { text: 'x'.repeat(380_000) }));
      await assert.rejects(port.apply(projection, stream, 1, changes), rejectedWith(/4 MB/));
      assert.equal(await port.cursor(projection, stream), 0);
    },
    broken: piecemeal,
  },
  {
    promise: 'apply rejects empty keys, a pk over 2048 bytes and an sk over 1024 bytes',
    async check(port) {
      const pk = fresh('acc');
      await change(port, [put(pk, 'é'.repeat(512), { n: 1 })]);
      for (const [badPk, badSk] of [
        [pk, ''],
        ['', 'a'],
        [pk, 'é'.repeat(513)],
        ['é'.repeat(1025), 'a'],
      ] as const) {
        await assert.rejects(change(port, [put(badPk, badSk, {})]), Error);
      }
    },
    broken: rewriting((each) => ({ ...each, pk: each.pk.slice(0, 1024) || '-', sk: each.sk.slice(0, 512) || '-' })),
  },
  {
    promise: 'getMany returns the rows that exist among many keys of a table, each once',
    async check(port) {
      const pks = [fresh('acc'), fresh('acc')];
      const keys = pks.flatMap((pk) => upTo(130).map((n) => ({ pk, sk: `row ${n}` })));
      for (const pk of pks) {
        await change(
          port,
          upTo(99).map((n) => put(pk, `row ${n}`, { n })),
        );
        await change(
          port,
          upTo(21).map((n) => put(pk, `row ${n + 99}`, { n })),
        );
      }
      const found = await port.getMany(table, [...keys, ...keys.slice(0, 5)]);
      const name = (row: { pk: string; sk: string }) => `${row.pk} ${row.sk}`;
      assert.deepEqual(
        found.map(name).sort(),
        keys
          .filter((key) => Number(key.sk.slice(4)) <= 120)
          .map(name)
          .sort(),
      );
      assert.deepEqual(found.find((row) => row.sk === 'row 7')?.data, { n: 7 });
      assert.deepEqual(await port.getMany('runs', keys), []);
      assert.deepEqual(await port.getMany(table, []), []);
    },
    broken: (port) => ({ ...port, getMany: (from, keys) => port.getMany(from, keys.slice(0, 100)) }),
  },
  ...rowCursorPromises,
  ...rowQueryPromises,
  ...rowWalkPromises,
];
