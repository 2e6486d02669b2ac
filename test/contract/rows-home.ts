/** What every Rows promises of changes that may come first, and of the row that belongs to a stream, whether it keeps its cursor there or not. */
import assert from 'node:assert/strict';
import type { RowChange, RowKey, Rows } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';
import { applyingAgain, leavingOut, rewriting } from './rows-broken.ts';

const table = 'accounts';

/** The row that belongs to a stream, for a machine that asks for it: every projection and stream of a contract may have one, or a trail. */
export function homeInContract(projection: string, stream: string): RowKey & { trail?: true } {
  const home = { table, pk: `home of ${stream}`, sk: projection } as const;
  return stream.startsWith('trail') ? { ...home, trail: true } : home;
}

/** A stream with a trail: what its version puts there, and all that is on it. */
function freshTrail() {
  const [projection, stream] = [fresh('projection'), fresh('trail')];
  const { pk, sk } = homeInContract(projection, stream);
  const placed = (version: number): RowChange => ({ op: 'put', table, pk, sk: `${sk}${version}`, data: { version } });
  const versions = async (port: Rows) =>
    (await port.query({ table, pk, limit: 10 })).items.map(({ data }) => data.version);
  return { projection, stream, key: { table, pk, sk } as RowKey, placed, versions };
}

type Home = { projection: string; stream: string; key: RowKey };

function freshHome(): Home {
  const [projection, stream] = [fresh('projection'), fresh('stream')];
  return { projection, stream, key: homeInContract(projection, stream) };
}

const dataOf = async (port: Rows, key: RowKey) => (await port.get(key))?.data;

export const rowHomePromises: PortPromise<Rows>[] = [
  {
    promise: 'the row that belongs to a stream is changed with its cursor, once and in order',
    async check(port) {
      const { projection, stream, key } = freshHome();
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
    promise: 'the row that belongs to a stream can be deleted and come again, and its cursor goes on',
    async check(port) {
      const { projection, stream, key } = freshHome();
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
    promise: 'other streams may update that row at any time, also before it was made, and its cursor stays',
    async check(port) {
      const { projection, stream, key } = freshHome();
      const other = (set: { [field: string]: number }, ahead?: true) =>
        port.apply(projection, fresh('stream'), 1, [{ op: 'update', ...key, set, ...(ahead && { ahead }) }]);
      assert.equal(await other({ x: 1 }, true), 'applied');
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
    promise: 'a partition where many rows were deleted is read to its end',
    async check(port) {
      const pk = fresh('acc');
      const projection = fresh('projection');
      const homes = upTo(6).map((n) => ({ stream: fresh('stream'), key: { table, pk, sk: `${n}` } as const }));
      for (const { stream, key } of homes)
        assert.equal(await port.apply(projection, stream, 1, [{ op: 'put', ...key, data: {} }]), 'applied');
      for (const { stream, key } of homes.slice(0, 5))
        assert.equal(await port.apply(projection, stream, 2, [{ op: 'delete', ...key }]), 'applied');
      const found: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page = await port.query({ table, pk, limit: 2, ...(cursor ? { cursor } : {}) });
        found.push(...page.items.map(({ sk }) => sk));
        cursor = page.next;
      }
      assert.deepEqual(found, ['6']);
    },
    broken: (port) => ({
      ...port,
      query: async (query) => ({ items: (await port.query({ ...query, limit: 1000 })).items.slice(1), next: null }),
    }),
  },
  {
    promise: 'forget puts back the cursor of a stream whose row stays, or was deleted',
    async check(port) {
      const [stays, gone] = [freshHome(), freshHome()];
      for (const { projection, stream, key } of [stays, gone]) {
        assert.equal(await port.apply(projection, stream, 1, [{ op: 'put', ...key, data: { n: 1 } }]), 'applied');
      }
      assert.equal(await port.apply(gone.projection, gone.stream, 2, [{ op: 'delete', ...gone.key }]), 'applied');
      for (const { projection, stream } of [stays, gone]) {
        await port.forget(projection, [stream, fresh('stream')]);
        assert.equal(await port.cursor(projection, stream), 0);
        assert.equal(await port.apply(projection, stream, 1, []), 'applied');
      }
      assert.deepEqual(await dataOf(port, stays.key), { n: 1 });
      assert.equal(await dataOf(port, gone.key), undefined);
    },
    broken: (port) => ({ ...port, forget: async () => {} }),
  },
  {
    promise: 'changes that may come first are there once the version is applied, and stay when it comes again',
    async check(port) {
      const pk = fresh('acc');
      const { projection, stream, key } = freshHome();
      const changes: RowChange[] = [
        { op: 'put', ...key, data: { n: 1 } },
        { op: 'put', table, pk, sk: 'listed', data: { id: 'é' }, ahead: true },
        { op: 'update', table, pk, sk: 'fields', set: { id: 1 }, ahead: true },
      ];
      const { stream: other } = freshHome();
      for (const outcome of ['applied', 'stale']) {
        assert.equal(await port.apply(projection, stream, 1, changes), outcome);
        // Without a row of its own, too.
        assert.equal(await port.apply(projection, other, 1, changes.slice(1)), outcome);
        assert.deepEqual(await dataOf(port, { table, pk, sk: 'listed' }), { id: 'é' });
        assert.deepEqual(await dataOf(port, { table, pk, sk: 'fields' }), { id: 1 });
        assert.deepEqual(await dataOf(port, key), { n: 1 });
      }
    },
    broken: leavingOut((each) => each.op === 'delete' || !each.ahead),
  },
  {
    promise: 'a stream that makes row after row is applied once and in order, with versions that make none in between',
    async check(port) {
      const { projection, stream, placed, versions } = freshTrail();
      const apply = (version: number, changes: RowChange[]) => port.apply(projection, stream, version, changes);
      assert.equal(await apply(2, [placed(2)]), 'gap');
      assert.equal(await port.cursor(projection, stream), 0);
      assert.equal(await apply(1, []), 'applied');
      assert.deepEqual(await versions(port), []);
      for (const version of [2, 4, 6]) {
        assert.equal(await apply(version + 1, []), 'gap');
        const first = await Promise.all(upTo(5).map(() => apply(version, [placed(version)])));
        assert.deepEqual(first.sort(), ['applied', ...upTo(4).map(() => 'stale')]);
        const second = await Promise.all(upTo(5).map(() => apply(version + 1, [])));
        assert.deepEqual(second.sort(), ['applied', ...upTo(4).map(() => 'stale')]);
        assert.equal(await apply(version, [placed(version)]), 'stale');
        assert.equal(await port.cursor(projection, stream), version + 1);
      }
      assert.deepEqual(await versions(port), [2, 4, 6]);
      assert.deepEqual([...(await port.cursors(projection, [stream, fresh('trail')]))], [[stream, 7]]);
    },
    broken: leavingOut((each) => each.op !== 'put'),
  },
  {
    promise: 'what a row on the way brings with it happens with it, or not at all',
    async check(port) {
      const { projection, stream, key, placed } = freshTrail();
      const counted = { table, pk: key.pk, sk: 'counted' } as const;
      const with1: RowChange[] = [placed(1), { op: 'update', ...counted, add: { n: 1 } }];
      const outcomes = await Promise.all(upTo(5).map(() => port.apply(projection, stream, 1, with1)));
      assert.deepEqual(outcomes.sort(), ['applied', ...upTo(4).map(() => 'stale')]);
      assert.deepEqual(await dataOf(port, counted), { n: 1 });
    },
    broken: applyingAgain,
  },
  {
    promise: 'forget puts back the cursor of a stream that makes row after row, and they can be made again',
    async check(port) {
      const { projection, stream, placed, versions } = freshTrail();
      for (const version of upTo(3))
        assert.equal(await port.apply(projection, stream, version, [placed(version)]), 'applied');
      await port.forget(projection, [stream]);
      assert.equal(await port.cursor(projection, stream), 0);
      assert.deepEqual(await versions(port), [1, 2, 3]);
      assert.equal(await port.apply(projection, stream, 2, [placed(2)]), 'gap');
      for (const version of upTo(2))
        assert.equal(await port.apply(projection, stream, version, [placed(version)]), 'applied');
      assert.equal(await port.cursor(projection, stream), 2);
      assert.deepEqual(await versions(port), [1, 2, 3]);
    },
    broken: (port) => ({ ...port, forget: async () => {} }),
  },
];
