/** The contract of the port Blobs. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import type { Blobs, ByteRange } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const bytesOf = (...values: number[]) => Uint8Array.from(values);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Gets a blob as a plain Uint8Array, so that a Buffer compares equal. */
async function getBytes(port: Blobs, key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
  const bytes = await port.get(key, range);
  return bytes && Uint8Array.from(bytes);
}

async function* streamed(...parts: Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* parts;
}

async function keysUnder(port: Blobs, prefix: string, limit = 1000): Promise<{ key: string; size: number }[]> {
  const found: { key: string; size: number }[] = [];
  let cursor: string | null | undefined;
  do {
    const page = await port.list(prefix, { limit, ...(cursor ? { cursor } : {}) });
    assert.ok(page.items.length <= limit, 'a page exceeds its limit');
    found.push(...page.items);
    cursor = page.next;
    assert.ok(found.length < 10_000, 'the pages do not end');
  } while (cursor !== null);
  return found;
}

export const blobPromises: PortPromise<Blobs>[] = [
  {
    promise: 'returns any bytes unchanged, also none',
    async check(port) {
      const key = `${fresh('blob')}/a file (1) ü+%&=.bin`;
      const bytes = bytesOf(0xff, 0x00, 0xc3, 0x28, 0x0d, 0x0a, 0x1a);
      assert.equal(await port.put(key, bytes), 'stored');
      assert.deepEqual(await getBytes(port, key), bytesOf(...bytes));
      assert.equal(await port.put(`${key}/empty`, new Uint8Array()), 'stored');
      assert.deepEqual(await getBytes(port, `${key}/empty`), new Uint8Array());
      assert.equal(await port.size(`${key}/empty`), 0);
    },
    broken: (port) => ({
      ...port,
      get: async (...query) => new TextEncoder().encode(new TextDecoder().decode(await port.get(...query))),
    }),
  },
  {
    promise: 'replaces the bytes with an unconditional put',
    async check(port) {
      const key = fresh('blob');
      await port.put(key, bytesOf(1, 2, 3));
      assert.equal(await port.put(key, bytesOf(4)), 'stored');
      assert.deepEqual(await getBytes(port, key), bytesOf(4));
      assert.equal(await port.size(key), 1);
    },
    broken: (port) => ({ ...port, put: (key, body) => port.put(key, body, { ifAbsent: true }) }),
  },
  {
    promise: 'keeps an existing blob on put-if-absent and reports it, for bytes and for streams',
    async check(port) {
      const key = fresh('blob');
      assert.equal(await port.put(key, bytesOf(1, 2, 3), { ifAbsent: true }), 'stored');
      assert.equal(await port.put(key, bytesOf(4), { ifAbsent: true }), 'exists');
      assert.equal(await port.put(key, streamed(bytesOf(5)), { ifAbsent: true }), 'exists');
      assert.deepEqual(await getBytes(port, key), bytesOf(1, 2, 3));
    },
    broken: (port) => ({
      ...port,
      async put(key, body, options) {
        const outcome = await port.put(key, body, options);
        if (outcome === 'exists') await port.put(key, body);
        return outcome;
      },
    }),
  },
  {
    promise: 'stores exactly one of 20 concurrent puts-if-absent, with all its bytes',
    async check(port) {
      const key = `${fresh('blob')}/deep/er`;
      const bodies = upTo(20).map((n) => new Uint8Array(70_000).fill(n));
      const outcomes = await Promise.all(
        bodies.map((body, i) => port.put(key, i % 2 ? streamed(body) : body, { ifAbsent: true })),
      );
      assert.equal(outcomes.filter((outcome) => outcome === 'stored').length, 1);
      const [kept, sent] = [await port.get(key), bodies[outcomes.indexOf('stored')]];
      assert.ok(kept && sent);
      assert.equal(sha256(kept), sha256(sent));
    },
    broken: (port) => ({
      ...port,
      async put(key, body, options) {
        if (options?.ifAbsent && (await port.size(key)) !== undefined) return 'exists';
        return port.put(key, body);
      },
    }),
  },
  {
    promise: 'returns exactly the bytes of a range, cut at the end of the blob',
    async check(port) {
      const key = fresh('blob');
      await port.put(key, bytesOf(...upTo(100)));
      assert.deepEqual(await getBytes(port, key, { offset: 0, length: 3 }), bytesOf(1, 2, 3));
      assert.deepEqual(await getBytes(port, key, { offset: 10, length: 5 }), bytesOf(11, 12, 13, 14, 15));
      assert.deepEqual(await getBytes(port, key, { offset: 98, length: 50 }), bytesOf(99, 100));
    },
    broken: (port) => ({
      ...port,
      get: async (key, range) => (range?.offset ? (await port.get(key))?.subarray(range.offset) : port.get(key, range)),
    }),
  },
  {
    promise: 'returns no bytes for a range after the end or of length 0',
    async check(port) {
      const key = fresh('blob');
      await port.put(key, bytesOf(1, 2));
      assert.deepEqual(await getBytes(port, key, { offset: 2, length: 5 }), new Uint8Array());
      assert.deepEqual(await getBytes(port, key, { offset: 7, length: 5 }), new Uint8Array());
      assert.deepEqual(await getBytes(port, key, { offset: 1, length: 0 }), new Uint8Array());
    },
    broken: (port) => ({
      ...port,
      get: async (key, range) => (range && range.offset > 1 ? undefined : port.get(key, range)),
    }),
  },
  {
    promise: 'returns undefined for a missing blob and accepts its deletion',
    async check(port) {
      const key = fresh('blob');
      assert.equal(await getBytes(port, key), undefined);
      assert.equal(await getBytes(port, key, { offset: 0, length: 1 }), undefined);
      assert.equal(await port.size(key), undefined);
      await port.delete([key, `${key}/below`]);
      await port.delete([]);
      await port.put(`${key}/below`, bytesOf(1));
      assert.equal(await getBytes(port, key), undefined);
      assert.equal(await port.size(key), undefined);
    },
    broken: (port) => ({ ...port, size: async (key) => (await port.size(key)) ?? 0 }),
  },
  {
    promise: 'lists the keys under a prefix in byte order with their sizes, page by page',
    async check(port) {
      const prefix = fresh('list');
      const keys = ['a', 'a b', 'a-1', 'a/1', 'a/b/c', 'a0', 'b', 'z/\u00e9', 'z/\uffee', 'z/\u{1f389}'].map(
        (key) => `${prefix}/${key}`,
      );
      for (const [i, key] of [...keys].reverse().entries()) await port.put(key, new Uint8Array(keys.length - 1 - i));
      await port.put(`${prefix}x/elsewhere`, bytesOf(1));
      const expected = keys.map((key, size) => ({ key, size }));
      assert.deepEqual(await keysUnder(port, `${prefix}/`), expected);
      assert.deepEqual(await keysUnder(port, `${prefix}/`, 3), expected);
      assert.deepEqual(await keysUnder(port, `${prefix}/a/`, 1), expected.slice(3, 5));
      assert.deepEqual(await keysUnder(port, `${prefix}/a`, 2), expected.slice(0, 6));
      assert.deepEqual(await keysUnder(port, `${prefix}/never`), []);
    },
    broken: (port) => ({
      ...port,
      async list(prefix, options) {
        const page = await port.list(prefix, options);
        return { ...page, items: page.items.sort((a, b) => (a.key < b.key ? -1 : 1)) };
      },
    }),
  },
  {
    promise: 'deletes exactly the given keys, with nothing left of them',
    async check(port) {
      const prefix = fresh('delete');
      const keys = upTo(5).map((n) => `${prefix}/${n}`);
      for (const key of keys) await port.put(key, bytesOf(1));
      await port.put(`${prefix}/1`, bytesOf(2));
      await port.delete(keys.slice(0, 4));
      assert.equal(await getBytes(port, `${prefix}/1`), undefined);
      assert.deepEqual(
        (await keysUnder(port, `${prefix}/`)).map((item) => item.key),
        [`${prefix}/5`],
      );
      assert.equal(await port.put(`${prefix}/1`, bytesOf(3), { ifAbsent: true }), 'stored');
      assert.deepEqual(await getBytes(port, `${prefix}/1`), bytesOf(3));
    },
    broken: (port) => ({ ...port, delete: (keys) => port.delete(keys.slice(1)) }),
  },
  {
    promise: 'stores a large stream completely, with parts of any length',
    async check(port) {
      const key = fresh('blob');
      const body = new Uint8Array(randomBytes(12 * 1024 * 1024 + 5));
      const cut = [0, 1, 70_000, 5 * 1024 * 1024 + 3, 11 * 1024 * 1024, body.length];
      const parts = cut.slice(1).map((end, i) => body.subarray(cut[i], end));
      assert.equal(await port.put(key, streamed(...parts, new Uint8Array()), { ifAbsent: true }), 'stored');
      assert.equal(await port.size(key), body.length);
      assert.equal(sha256((await port.get(key)) ?? new Uint8Array()), sha256(body));
      assert.deepEqual(
        await getBytes(port, key, { offset: 5 * 1024 * 1024, length: 9 }),
        body.slice(5 * 1024 * 1024, 5 * 1024 * 1024 + 9),
      );
    },
    broken: (port) => ({
      ...port,
      async put(key, body, options) {
        if (body instanceof Uint8Array) return port.put(key, body, options);
        const parts: Uint8Array[] = [];
        for await (const part of body) parts.unshift(part);
        return port.put(key, Buffer.concat(parts), options);
      },
    }),
  },
  {
    promise: 'stores an empty stream as an empty blob',
    async check(port) {
      const key = fresh('blob');
      assert.equal(await port.put(key, streamed()), 'stored');
      assert.equal(await port.size(key), 0);
    },
    broken: (port) => ({ ...port, put: async () => 'stored' }),
  },
  {
    promise: 'stores nothing of a stream that fails half-way and keeps the existing blob',
    async check(port) {
      const prefix = fresh('failed');
      const failing = async function* (): AsyncIterable<Uint8Array> {
        yield new Uint8Array(6 * 1024 * 1024);
        throw new Error('the source went away');
      };
      await assert.rejects(port.put(`${prefix}/new`, failing()), /the source went away/);
      await port.put(`${prefix}/old`, bytesOf(1));
      await assert.rejects(port.put(`${prefix}/old`, failing()), /the source went away/);
      assert.equal(await port.size(`${prefix}/new`), undefined);
      assert.equal((await port.get(`${prefix}/new`))?.length, undefined);
      assert.equal(await port.size(`${prefix}/old`), 1);
      assert.deepEqual(
        (await keysUnder(port, `${prefix}/`)).map((item) => item.key),
        [`${prefix}/old`],
      );
    },
    broken: (port) => ({
      ...port,
      async put(key, body, options) {
        if (body instanceof Uint8Array) return port.put(key, body, options);
        for await (const part of body) await port.put(key, part, options);
        return 'stored';
      },
    }),
  },
  {
    promise: 'makes a blob of parts in any order, each put as often as a crash needs, and of nothing before its end',
    async check(port) {
      const [key, partBytes] = [fresh('upload'), 5 << 20];
      const body = new Uint8Array(randomBytes(2 * partBytes + 9));
      const part = (number: number) => body.subarray((number - 1) * partBytes, number * partBytes);
      const upload = await port.startUpload(key, partBytes);
      await port.putPart(key, upload, 3, part(3));
      await port.putPart(key, upload, 1, randomBytes(partBytes));
      await port.putPart(key, upload, 2, part(2));
      await port.putPart(key, upload, 1, part(1));
      assert.equal(await port.size(key), undefined);
      assert.deepEqual(await keysUnder(port, key), []);
      await port.completeUpload(key, upload, 3);
      await port.completeUpload(key, upload, 3);
      await port.abortUpload(key, upload);
      assert.equal(sha256((await port.get(key)) ?? new Uint8Array()), sha256(body));
    },
    broken: (port) => {
      const put = new Set<string>();
      return {
        ...port,
        async putPart(key, upload, part, bytes) {
          if (!put.has(`${upload} ${part}`)) await port.putPart(key, upload, part, bytes);
          put.add(`${upload} ${part}`);
        },
      };
    },
  },
  {
    promise: 'leaves no blob of an upload that was aborted',
    async check(port) {
      const key = fresh('upload');
      const upload = await port.startUpload(key, 5 << 20);
      await port.putPart(key, upload, 1, bytesOf(1));
      await port.abortUpload(key, upload);
      await port.abortUpload(key, upload);
      await assert.rejects(port.completeUpload(key, upload, 1));
      assert.equal(await port.size(key), undefined);
    },
    broken: (port) => ({ ...port, abortUpload: async () => {} }),
  },
];
