/** The contract of the port Records. */
import assert from 'node:assert/strict';
import type { JsonObject, RecordCondition, RecordKey, Records, RecordWrite, StoredRecord } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const put = (
  pk: string,
  sk: string,
  data: JsonObject,
  more: { if?: RecordCondition; expiresAt?: number } = {},
): RecordWrite => ({
  op: 'put',
  pk,
  sk,
  data,
  ...more,
});
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const refused = (reason: RegExp) => (error: unknown) => error instanceof Error && reason.test(error.message);
const name = (key: RecordKey) => `${key.pk} ${key.sk}`;

async function dataOf(port: Records, pk: string, sk: string): Promise<JsonObject | undefined> {
  return (await port.get({ pk, sk }))?.data;
}

const rewriting =
  (rewrite: (write: RecordWrite) => RecordWrite) =>
  (port: Records): Records => ({
    ...port,
    write: (writes) => port.write(writes.map(rewrite)),
  });

/** The port with each write applied by itself. */
const piecemeal = (port: Records): Records => ({
  ...port,
  async write(writes) {
    let isWritten = true;
    for (const write of writes) isWritten = (await port.write([write])) && isWritten;
    return isWritten;
  },
});

/** Whether all kinds of writes succeed under the condition on a record with this data. Undefined: an absent record. */
async function succeeds(port: Records, condition: RecordCondition, data: JsonObject | undefined): Promise<boolean> {
  const pk = fresh('rec');
  const outcomes: boolean[] = [];
  for (const write of [
    put(pk, 'put', { changed: 1 }, { if: condition }),
    { op: 'add', pk, sk: 'add', add: { added: 1 }, set: { changed: 1 }, if: condition },
    { op: 'delete', pk, sk: 'delete', if: condition },
    { op: 'check', pk, sk: 'check', if: condition },
  ] satisfies RecordWrite[]) {
    if (data !== undefined) await port.write([put(pk, write.sk, data)]);
    const outcome = await port.write([write]);
    if (!outcome || write.op === 'check') assert.deepEqual(await dataOf(port, pk, write.sk), data);
    else if (write.op === 'delete') assert.equal(await dataOf(port, pk, write.sk), undefined);
    else assert.equal((await dataOf(port, pk, write.sk))?.changed, 1);
    outcomes.push(outcome);
  }
  assert.equal(new Set(outcomes).size, 1, `put, add, delete and check disagree: ${outcomes}`);
  return outcomes[0] ?? false;
}

const unconditional = rewriting((write) => {
  if (write.op === 'check') return write;
  const { if: _, ...rest } = write;
  return rest as RecordWrite;
});

export const recordPromises: PortPromise<Records>[] = [
  {
    promise: 'returns a record unchanged, right after the write',
    async check(port) {
      const pk = fresh('rec');
      const data = {
        text: 'é ✓ 🎉',
        empty: '',
        no: null,
        list: [1, 'a', [], {}],
        deep: { '': [null], 'a.b': 1.5 },
        big: 9007199254740991,
      };
      const expiresAt = inSeconds(3600);
      assert.equal(await port.write([put(pk, 'a', data), put(pk, 'b', {}, { expiresAt })]), true);
      assert.deepEqual(await port.get({ pk, sk: 'a' }), { pk, sk: 'a', data });
      assert.deepEqual(await port.get({ pk, sk: 'b' }), { pk, sk: 'b', data: {}, expiresAt });
      assert.equal(await port.get({ pk, sk: 'c' }), undefined);
      await port.write([put(pk, 'a', { other: 1 }), { op: 'delete', pk, sk: 'b' }, { op: 'delete', pk, sk: 'never' }]);
      assert.deepEqual(await dataOf(port, pk, 'a'), { other: 1 });
      assert.equal(await dataOf(port, pk, 'b'), undefined);
    },
    broken: (port) => ({ ...port, get: async (key) => (await port.query(key.pk, { limit: 1 })).items[0] }),
  },
  {
    promise: 'applies a write with `absent` only to an absent record',
    async check(port) {
      assert.equal(await succeeds(port, 'absent', undefined), true);
      assert.equal(await succeeds(port, 'absent', {}), false);
    },
    broken: unconditional,
  },
  {
    promise: 'applies a write with `present` only to an existing record',
    async check(port) {
      assert.equal(await succeeds(port, 'present', {}), true);
      assert.equal(await succeeds(port, 'present', undefined), false);
    },
    broken: unconditional,
  },
  {
    promise: 'applies a write with `equals` only to an existing record with all these fields and values',
    async check(port) {
      const data = { state: 'open', n: 3, no: null, yes: true, deep: { a: [1, 'x'], b: null } };
      assert.equal(await succeeds(port, { equals: { state: 'open', n: 3 } }, data), true);
      assert.equal(
        await succeeds(port, { equals: { no: null, yes: true, deep: { b: null, a: [1, 'x'] } } }, data),
        true,
      );
      assert.equal(await succeeds(port, { equals: { state: 'open', n: 4 } }, data), false);
      assert.equal(await succeeds(port, { equals: { n: '3' } }, data), false);
      assert.equal(await succeeds(port, { equals: { deep: { a: [1, 'x'] } } }, data), false);
      assert.equal(await succeeds(port, { equals: { missing: null } }, data), false);
      assert.equal(await succeeds(port, { equals: { n: 3 } }, undefined), false);
      assert.equal(await succeeds(port, { equals: {} }, undefined), false);
    },
    broken: rewriting((write) =>
      write.if && typeof write.if === 'object' ? ({ ...write, if: 'present' } as RecordWrite) : write,
    ),
  },
  {
    promise: 'applies all changes of a write, or none when one condition fails',
    async check(port) {
      const pk = fresh('rec');
      await port.write([put(pk, 'there', { n: 1 })]);
      const writes: RecordWrite[] = [
        put(pk, 'a', { n: 1 }),
        { op: 'add', pk, sk: 'there', add: { n: 1 } },
        { op: 'check', pk, sk: 'gate', if: 'present' },
        put(pk, 'b', { n: 1 }),
      ];
      assert.equal(await port.write(writes), false);
      assert.deepEqual((await port.query(pk, { limit: 10 })).items, [{ pk, sk: 'there', data: { n: 1 } }]);
      await port.write([put(pk, 'gate', {})]);
      assert.equal(await port.write(writes), true);
      assert.deepEqual(
        (await port.query(pk, { limit: 10 })).items.map((item) => item.sk),
        ['a', 'b', 'gate', 'there'],
      );
      assert.deepEqual(await dataOf(port, pk, 'there'), { n: 2 });
      assert.deepEqual(await dataOf(port, pk, 'gate'), {});
    },
    broken: piecemeal,
  },
  {
    promise: 'lets exactly one of 20 concurrent writers create a record',
    async check(port) {
      const pk = fresh('rec');
      const won = await Promise.all(upTo(20).map((n) => port.write([put(pk, 'lease', { n }, { if: 'absent' })])));
      assert.equal(won.filter(Boolean).length, 1);
      assert.deepEqual(await dataOf(port, pk, 'lease'), { n: won.indexOf(true) + 1 });
      const pairs = await Promise.all(
        upTo(10).map((n) => port.write([put(pk, 'x', { n }, { if: 'absent' }), put(pk, 'y', { n }, { if: 'absent' })])),
      );
      assert.equal(pairs.filter(Boolean).length, 1);
      assert.deepEqual(await dataOf(port, pk, 'x'), await dataOf(port, pk, 'y'));
    },
    broken: (port) => ({
      ...port,
      async write(writes) {
        const found = await port.getMany(writes);
        return found.length > 0 ? false : unconditional(port).write(writes);
      },
    }),
  },
  {
    promise: 'treats an expired record as absent in reads and conditions',
    async check(port) {
      const pk = fresh('rec');
      const expired = { expiresAt: inSeconds(-5) };
      await port.write([
        put(pk, 'a', { n: 5 }, expired),
        put(pk, 'b', { n: 5 }, expired),
        put(pk, 'c', { n: 5 }),
        put(pk, 'd', { n: 5 }, expired),
      ]);
      assert.equal(await port.get({ pk, sk: 'a' }), undefined);
      assert.deepEqual(
        (
          await port.getMany([
            { pk, sk: 'a' },
            { pk, sk: 'c' },
          ])
        ).map((item) => item.sk),
        ['c'],
      );
      assert.deepEqual(
        (await port.query(pk, { limit: 10 })).items.map((item) => item.sk),
        ['c'],
      );
      assert.equal(await port.write([{ op: 'check', pk, sk: 'a', if: 'present' }]), false);
      assert.equal(await port.write([{ op: 'delete', pk, sk: 'a', if: { equals: { n: 5 } } }]), false);
      assert.equal(await port.write([put(pk, 'a', { n: 1 }, { if: 'absent' })]), true);
      assert.deepEqual(await port.add({ pk, sk: 'b' }, { n: 1 }), { n: 1 });
      assert.deepEqual(await port.get({ pk, sk: 'b' }), { pk, sk: 'b', data: { n: 1 } });
      assert.equal(await port.write([{ op: 'add', pk, sk: 'd', add: { m: 1 } }]), true);
      assert.deepEqual(await port.get({ pk, sk: 'd' }), { pk, sk: 'd', data: { m: 1 } });
    },
    broken: (port) => {
      const withoutExpiry = rewriting((write) => {
        const { expiresAt: _, ...rest } = write as RecordWrite & { expiresAt?: number };
        return rest as RecordWrite;
      });
      return withoutExpiry(port);
    },
  },
  {
    promise: 'loses no concurrent add and returns to each its own sum',
    async check(port) {
      const pk = fresh('rec');
      const after = await Promise.all(upTo(20).map(() => port.add({ pk, sk: 'tally' }, { n: 1, bytes: 10 })));
      assert.deepEqual(
        after.map((data) => data.n).sort((a, b) => Number(a) - Number(b)),
        upTo(20),
      );
      assert.deepEqual(await dataOf(port, pk, 'tally'), { n: 20, bytes: 200 });
      const outcomes = await Promise.all(
        upTo(10).map((n) =>
          port.write([{ op: 'add', pk, sk: 'tally', add: { n: 1 } }, put(pk, `part ${n}`, {}, { if: 'absent' })]),
        ),
      );
      assert.deepEqual(new Set(outcomes), new Set([true]));
      assert.deepEqual(await dataOf(port, pk, 'tally'), { n: 30, bytes: 200 });
    },
    broken: (port) => ({
      ...port,
      async add(key, add) {
        const n = Number((await port.get(key))?.data.n ?? 0) + (add.n ?? 0);
        await port.write([put(key.pk, key.sk, { n })]);
        return { n };
      },
    }),
  },
  {
    promise: 'keeps other fields in an add, sets given fields and can renew the expiry',
    async check(port) {
      const pk = fresh('rec');
      const expiresAt = inSeconds(1000);
      await port.write([put(pk, 'a', { kept: 'k', n: 1 }, { expiresAt })]);
      assert.deepEqual(await port.add({ pk, sk: 'a' }, { n: 2, fresh: -3 }), { kept: 'k', n: 3, fresh: -3 });
      assert.equal((await port.get({ pk, sk: 'a' }))?.expiresAt, expiresAt);
      await port.add({ pk, sk: 'a' }, { n: 1 }, expiresAt + 50);
      assert.equal((await port.get({ pk, sk: 'a' }))?.expiresAt, expiresAt + 50);
      await port.write([
        {
          op: 'add',
          pk,
          sk: 'a',
          add: { n: 1 },
          set: { kept: null, total: 9 },
          expiresAt: expiresAt + 90,
          if: 'present',
        },
      ]);
      assert.deepEqual(await port.get({ pk, sk: 'a' }), {
        pk,
        sk: 'a',
        data: { kept: null, n: 5, fresh: -3, total: 9 },
        expiresAt: expiresAt + 90,
      });
    },
    broken: (port) => ({ ...port, add: (key, add) => port.add(key, add) }),
  },
  {
    promise: 'gets the existing records of any number of keys, each once',
    async check(port) {
      const pks = [fresh('rec'), fresh('rec')];
      const keys = pks.flatMap((pk) => upTo(130).map((n) => ({ pk, sk: `record ${n}` })));
      const existing = keys.filter((key) => Number(key.sk.slice(7)) <= 120);
      await port.putMany(existing.map((key) => ({ ...key, data: { sk: key.sk } })));
      const found = await port.getMany([...keys, ...keys.slice(0, 5)]);
      assert.deepEqual(found.map(name).sort(), existing.map(name).sort());
      assert.ok(found.every((item) => item.data.sk === item.sk));
      assert.deepEqual(await port.getMany([]), []);
    },
    broken: (port) => ({ ...port, getMany: (keys) => port.getMany(keys.slice(0, 100)) }),
  },
  {
    promise: 'puts any number of records, replaces existing ones, and keeps the last of two with one key',
    async check(port) {
      const pk = fresh('rec');
      const expiresAt = inSeconds(1000);
      await port.write([put(pk, '007', { old: 1 }, { expiresAt })]);
      const records = upTo(60).map((n): StoredRecord => ({ pk, sk: String(n).padStart(3, '0'), data: { n } }));
      await port.putMany([...records, { pk, sk: '060', data: { n: 'last' }, expiresAt }]);
      await port.putMany([]);
      const items = (await port.query(pk, { limit: 1000 })).items;
      assert.deepEqual(items, [...records.slice(0, 59), { pk, sk: '060', data: { n: 'last' }, expiresAt }]);
    },
    broken: (port) => ({ ...port, putMany: (records) => port.putMany(records.slice(0, 25)) }),
  },
  {
    promise: 'queries one pk in order of the UTF-8 bytes of sk, by prefix and page by page',
    async check(port) {
      const pk = fresh('rec');
      const sks = ['10', '9', 'A', 'a', 'a%', 'a_', 'b', '\u00e9', '\uffee', '\u{1f389}', '\u{10ffff}'];
      await port.putMany(sks.map((sk) => ({ pk, sk, data: { sk } })));
      await port.putMany([{ pk: `${pk}0`, sk: 'a', data: {} }]);
      const walk = async (limit: number, prefix?: string) => {
        const found: string[] = [];
        let cursor: string | null | undefined;
        do {
          const page = await port.query(pk, {
            limit,
            ...(prefix === undefined ? {} : { prefix }),
            ...(cursor ? { cursor } : {}),
          });
          assert.ok(page.items.length <= limit);
          found.push(...page.items.map((item) => item.sk));
          cursor = page.next;
          assert.ok(found.length <= sks.length, 'the pages do not end');
        } while (cursor !== null);
        return found;
      };
      assert.deepEqual(await walk(100), sks);
      assert.deepEqual(await walk(3), sks);
      assert.deepEqual(await walk(2, 'a'), ['a', 'a%', 'a_']);
      assert.deepEqual(await walk(2, '\u{10ffff}'), ['\u{10ffff}']);
    },
    broken: (port) => ({
      ...port,
      async query(pk, options) {
        const page = await port.query(pk, options);
        return { ...page, items: page.items.sort((a, b) => (a.sk < b.sk ? -1 : 1)) };
      },
    }),
  },
  {
    promise: 'refuses a write of 0 or 100 changes or with two changes of one record, and accepts 99',
    async check(port) {
      const pk = fresh('rec');
      const writes = upTo(100).map((n) => put(pk, `record ${n}`, { n }));
      await assert.rejects(port.write([]));
      await assert.rejects(port.write(writes), refused(/99/));
      await assert.rejects(port.write([put(pk, 'a', {}), { op: 'check', pk, sk: 'a', if: 'absent' }]), refused(/same/));
      assert.deepEqual((await port.query(pk, { limit: 1 })).items, []);
      assert.equal(await port.write(writes.slice(0, 99)), true);
      assert.equal((await port.query(pk, { limit: 1000 })).items.length, 99);
    },
    broken: (port) => ({ ...port, write: (writes) => port.write(writes.slice(0, 99)) }),
  },
  {
    promise: 'refuses a record over 400 KB with that reason, in every kind of put',
    async check(port) {
      const pk = fresh('rec');
      const [just, over] = ['x'.repeat(400 * 1024 - 200), 'é'.repeat(205 * 1024)];
      assert.equal(await port.write([put(pk, 'just', { text: just })]), true);
      await assert.rejects(port.write([put(pk, 'over', { text: over })]), refused(/400 KB/));
      await assert.rejects(port.putMany([{ pk, sk: 'over', data: { text: over } }]), refused(/400 KB/));
      assert.deepEqual(
        (await port.query(pk, { limit: 10 })).items.map((item) => item.sk),
        ['just'],
      );
    },
    broken: (port) => ({
      ...port,
      putMany: (records) => port.putMany(records.map((record) => ({ ...record, data: {} }))),
    }),
  },
];
