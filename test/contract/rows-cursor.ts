/** The promises of the port `Rows` about cursors: each version of a stream counts once, whatever its changes. */
import assert from 'node:assert/strict';
import type { RowChange, RowKey, Rows } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';
import { applyingAgain, leavingOut, rewriting } from './rows-broken.ts';

const table = 'accounts';

/** A stream that nothing has applied, and the key of a row for it. */
function freshStream() {
  const [projection, stream] = [fresh('projection'), fresh('stream')];
  const key: RowKey = { table, pk: fresh('acc'), sk: stream };
  return { projection, stream, key };
}

const dataOf = async (port: Rows, key: RowKey) => (await port.get(key))?.data;

export const rowCursorPromises: PortPromise<Rows>[] = [
  {
    promise: 'applies set and add of a version once when 8 workers apply it at once',
    async check(port) {
      const { projection, stream, key } = freshStream();
      assert.equal(await port.apply(projection, stream, 2, [{ op: 'put', ...key, data: { n: 2 } }]), 'gap');
      assert.equal(
        await port.apply(projection, stream, 1, [{ op: 'put', ...key, data: { n: 1, kept: true } }]),
        'applied',
      );
      const add: RowChange[] = [{ op: 'update', ...key, add: { n: 1 }, set: { name: 'new' } }];
      assert.equal(await port.apply(projection, stream, 1, add), 'stale');
      const outcomes = await Promise.all(upTo(8).map(() => port.apply(projection, stream, 2, add)));
      assert.deepEqual(outcomes.sort(), ['applied', ...upTo(7).map(() => 'stale')]);
      assert.deepEqual(await port.get(key), { pk: key.pk, sk: key.sk, data: { n: 2, kept: true, name: 'new' } });
      assert.equal(await port.cursor(projection, stream), 2);
    },
    broken: applyingAgain,
  },
  {
    promise: 'a stream continues after its row was deleted, and can create the row again without old fields',
    async check(port) {
      const { projection, stream, key } = freshStream();
      const absent = async () => {
        assert.equal(await dataOf(port, key), undefined);
        assert.deepEqual(await port.getMany(table, [key]), []);
        assert.deepEqual((await port.query({ table, pk: key.pk, limit: 10 })).items, []);
      };
      assert.equal(await port.apply(projection, stream, 1, []), 'applied');
      await absent();
      assert.equal(await port.apply(projection, stream, 2, [{ op: 'update', ...key, set: { a: 1 } }]), 'applied');
      assert.deepEqual(await dataOf(port, key), { a: 1 });
      assert.equal(await port.apply(projection, stream, 3, [{ op: 'delete', ...key }]), 'applied');
      await absent();
      assert.equal(await port.apply(projection, stream, 3, []), 'stale');
      assert.equal(await port.apply(projection, stream, 4, []), 'applied');
      await absent();
      assert.equal(await port.apply(projection, stream, 5, [{ op: 'update', ...key, add: { b: 2 } }]), 'applied');
      assert.deepEqual(await dataOf(port, key), { b: 2 });
      assert.equal(await port.cursor(projection, stream), 5);
      assert.deepEqual([...(await port.cursors(projection, [stream]))], [[stream, 5]]);
    },
    broken: rewriting((each) => (each.op === 'delete' ? { ...each, op: 'update' } : each)),
  },
  {
    promise: 'several streams update one row, before and after its own stream creates it, and no cursor moves another',
    async check(port) {
      const { projection, stream, key } = freshStream();
      const other = (set: { [field: string]: number }) =>
        port.apply(projection, fresh('stream'), 1, [{ op: 'update', ...key, set }]);
      assert.equal(await other({ x: 1 }), 'applied');
      assert.deepEqual(await dataOf(port, key), { x: 1 });
      assert.equal(await port.apply(projection, stream, 1, []), 'applied');
      assert.deepEqual(await dataOf(port, key), { x: 1 });
      assert.equal(await port.apply(projection, stream, 2, [{ op: 'update', ...key, set: { own: 1 } }]), 'applied');
      assert.equal(await other({ y: 1 }), 'applied');
      assert.deepEqual(await dataOf(port, key), { x: 1, y: 1, own: 1 });
      assert.equal(await port.cursor(projection, stream), 2);
    },
    broken: rewriting((each) => (each.op === 'update' ? { ...each, op: 'put', data: each.set ?? {} } : each)),
  },
  {
    promise: 'applies versions with and without changes in order, each once',
    async check(port) {
      const { projection, stream, key } = freshStream();
      const rowOf = (version: number): RowChange => ({ op: 'put', ...key, sk: `${version}`, data: { version } });
      const versions = async () =>
        (await port.query({ table, pk: key.pk, limit: 10 })).items.map(({ data }) => data.version);
      const apply = (version: number, changes: RowChange[]) => port.apply(projection, stream, version, changes);
      assert.equal(await apply(2, [rowOf(2)]), 'gap');
      assert.equal(await port.cursor(projection, stream), 0);
      assert.equal(await apply(1, []), 'applied');
      assert.deepEqual(await versions(), []);
      for (const version of [2, 4, 6]) {
        assert.equal(await apply(version + 1, []), 'gap');
        const withRow = await Promise.all(upTo(5).map(() => apply(version, [rowOf(version)])));
        assert.deepEqual(withRow.sort(), ['applied', ...upTo(4).map(() => 'stale')]);
        const withoutRow = await Promise.all(upTo(5).map(() => apply(version + 1, [])));
        assert.deepEqual(withoutRow.sort(), ['applied', ...upTo(4).map(() => 'stale')]);
        assert.equal(await apply(version, [rowOf(version)]), 'stale');
        assert.equal(await port.cursor(projection, stream), version + 1);
      }
      assert.deepEqual(await versions(), [2, 4, 6]);
      assert.deepEqual([...(await port.cursors(projection, [stream, fresh('stream')]))], [[stream, 7]]);
    },
    broken: leavingOut((each) => each.op !== 'put'),
  },
  {
    promise: 'applies a put and an add of one version together, and the add once',
    async check(port) {
      const { projection, stream, key } = freshStream();
      const counted = { ...key, sk: 'counted' };
      const both: RowChange[] = [
        { op: 'put', ...key, data: { version: 1 } },
        { op: 'update', ...counted, add: { n: 1 } },
      ];
      const outcomes = await Promise.all(upTo(5).map(() => port.apply(projection, stream, 1, both)));
      assert.deepEqual(outcomes.sort(), ['applied', ...upTo(4).map(() => 'stale')]);
      assert.deepEqual(await dataOf(port, key), { version: 1 });
      assert.deepEqual(await dataOf(port, counted), { n: 1 });
    },
    broken: applyingAgain,
  },
  {
    promise: 'forget resets cursors and leaves the rows, and the stream can be applied again',
    async check(port) {
      const [kept, deleted] = [freshStream(), freshStream()];
      for (const { projection, stream, key } of [kept, deleted]) {
        assert.equal(await port.apply(projection, stream, 1, [{ op: 'put', ...key, data: { n: 1 } }]), 'applied');
      }
      const change: RowChange[] = [{ op: 'delete', ...deleted.key }];
      assert.equal(await port.apply(deleted.projection, deleted.stream, 2, change), 'applied');
      for (const { projection, stream } of [kept, deleted]) {
        await port.forget(projection, [stream, fresh('stream')]);
        assert.equal(await port.cursor(projection, stream), 0);
        assert.equal(await port.apply(projection, stream, 2, []), 'gap');
        assert.equal(await port.apply(projection, stream, 1, []), 'applied');
        assert.equal(await port.cursor(projection, stream), 1);
      }
      assert.deepEqual(await dataOf(port, kept.key), { n: 1 });
      assert.equal(await dataOf(port, deleted.key), undefined);
    },
    broken: (port) => ({ ...port, forget: async () => {} }),
  },
];
