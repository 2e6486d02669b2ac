/** The contract of the port ChunkIndex. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { ChunkIndex, ChunkRef } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const newId = () => randomBytes(20).toString('hex');

/** A position whose fields all differ. */
function positionOf(n: number, pack = 'pak_00000000000000000000000001'): ChunkRef {
  return { pack, slot: n, slotOffset: 3_000_000_000 + n, slotLength: 1_000_000 + n, offset: 1000 + n, length: 10 + n };
}

/** New chunks, each at another position. */
function newChunks(count: number): Map<string, ChunkRef> {
  return new Map(upTo(count).map((n) => [newId(), positionOf(n)]));
}

function sorted(chunks: Iterable<[string, ChunkRef]>): [string, ChunkRef][] {
  return [...chunks].sort(([a], [b]) => (a < b ? -1 : 1));
}

async function scanned(port: ChunkIndex, account: string): Promise<[string, ChunkRef][]> {
  const all: [string, ChunkRef][] = [];
  for await (const chunk of port.scan(account)) {
    assert.ok('id' in chunk, 'a part of the index is unreadable');
    all.push([chunk.id, chunk.ref]);
  }
  return all;
}

/** The port with the first chunk of each `add` left out. */
const forgetful = (port: ChunkIndex): ChunkIndex => ({
  ...port,
  add: (account, chunks) => port.add(account, new Map([...chunks].slice(1))),
});

export const chunkPromises: PortPromise<ChunkIndex>[] = [
  {
    promise: 'finds the chunks that are indexed, with their positions, right after they were added',
    async check(port) {
      const account = fresh('acc');
      const chunks = new Map([...newChunks(20), [newId(), positionOf(7, 'pak_7ZZZZZZZZZZZZZZZZZZZZZZZZZ')] as const]);
      await port.add(account, chunks);
      const ids = [...chunks.keys()];
      assert.deepEqual(sorted(await port.find(account, ids)), sorted(chunks));
      assert.deepEqual(sorted(await port.find(account, ids.slice(3, 5))), sorted([...chunks].slice(3, 5)));
    },
    broken: (port) => ({
      ...port,
      async find(account, ids) {
        const found = await port.find(account, ids);
        return new Map([...found].map(([id, ref]) => [id, { ...ref, slotOffset: ref.slotOffset | 0 }]));
      },
    }),
  },
  {
    promise: 'finds nothing for ids that are not indexed',
    async check(port) {
      const account = fresh('acc');
      assert.equal((await port.find(account, [newId()])).size, 0);
      const chunks = newChunks(2);
      await port.add(account, chunks);
      const [known = '', other = ''] = chunks.keys();
      const unknown = `${known.slice(0, 39)}${known.endsWith('0') ? '1' : '0'}`;
      assert.deepEqual([...(await port.find(account, [unknown, known, newId()])).keys()], [known]);
      assert.equal((await port.find(account, [])).size, 0);
      assert.equal((await port.find(account, [unknown, unknown])).size, 0);
      assert.deepEqual([...(await port.find(account, [other])).keys()], [other]);
    },
    broken: (port) => ({
      ...port,
      async find(account, ids) {
        const found = await port.find(account, ids);
        return new Map(ids.map((id) => [id, found.get(id) ?? positionOf(0)]));
      },
    }),
  },
  {
    promise: 'shows the chunks of an account to that account only',
    async check(port) {
      const [account, other] = [fresh('acc'), fresh('acc')];
      const [chunks, others] = [newChunks(3), newChunks(2)];
      await port.add(account, chunks);
      assert.equal((await port.find(other, [...chunks.keys()])).size, 0);
      assert.deepEqual(await scanned(port, other), []);
      const [shared = ''] = chunks.keys();
      others.set(shared, positionOf(99));
      await port.add(other, others);
      assert.equal((await port.find(account, [...others.keys()])).size, 1);
      assert.deepEqual(sorted(await scanned(port, account)), sorted(chunks));
      assert.deepEqual(sorted(await scanned(port, other)), sorted(others));
      assert.deepEqual((await port.find(account, [shared])).get(shared), chunks.get(shared));
      assert.deepEqual((await port.find(other, [shared])).get(shared), positionOf(99));
    },
    broken(port) {
      const everybody = fresh('acc');
      return {
        find: (_account, ids) => port.find(everybody, ids),
        add: (_account, chunks) => port.add(everybody, chunks),
        scan: () => port.scan(everybody),
      };
    },
  },
  {
    promise: 'replaces the position of a chunk that is added again',
    async check(port) {
      const account = fresh('acc');
      const chunks = newChunks(3);
      await port.add(account, chunks);
      const [id = ''] = chunks.keys();
      const moved = positionOf(50, 'pak_00000000000000000000000002');
      await port.add(account, new Map([[id, moved]]));
      assert.deepEqual((await port.find(account, [id])).get(id), moved);
      assert.deepEqual(sorted(await scanned(port, account)), sorted(new Map([...chunks, [id, moved]])));
    },
    broken: (port) => ({
      ...port,
      async add(account, chunks) {
        const known = await port.find(account, [...chunks.keys()]);
        await port.add(account, new Map([...chunks].filter(([id]) => !known.has(id))));
      },
    }),
  },
  {
    promise: 'keeps one chunk of each id when the same chunks are added twice, also at once',
    async check(port) {
      const account = fresh('acc');
      const chunks = newChunks(30);
      await Promise.all([port.add(account, chunks), port.add(account, chunks)]);
      await port.add(account, chunks);
      await port.add(account, new Map());
      assert.deepEqual(sorted(await port.find(account, [...chunks.keys()])), sorted(chunks));
      assert.deepEqual(sorted(await scanned(port, account)), sorted(chunks));
    },
    broken(port) {
      let adds = 0;
      return {
        ...port,
        add: (account, chunks) =>
          port.add(account, adds++ < 2 ? chunks : new Map([...chunks].map(([, ref]) => [newId(), ref]))),
      };
    },
  },
  {
    promise: 'adds and finds 3,000 chunks in one call',
    async check(port) {
      const account = fresh('acc');
      const chunks = newChunks(3000);
      await port.add(account, chunks);
      const asked = [...chunks.keys()].flatMap((id, i) => (i % 2 === 0 ? [id] : [id, newId()]));
      assert.deepEqual(sorted(await port.find(account, asked)), sorted(chunks));
    },
    broken: forgetful,
  },
  {
    promise: 'scans each chunk of the account once, over many pages',
    async check(port) {
      const account = fresh('acc');
      const chunks = newChunks(2500);
      await port.add(account, chunks);
      assert.deepEqual(sorted(await scanned(port, account)), sorted(chunks));
    },
    broken: (port) => ({
      ...port,
      async *scan(account) {
        let first = true;
        for await (const chunk of port.scan(account)) {
          yield chunk;
          if (first) yield chunk;
          first = false;
        }
      },
    }),
  },
];
