import { describe, expect, it } from 'vitest';
import type { Blobs } from '../../domain/ports.ts';
import { decryptBytes, encryptBytes, makeKeyRing } from '../../infra/key-ring.ts';
import type { KeyId, KeyStore } from '../../infra/key-stores.ts';
import { creatingKeys, silent } from '../support/embedded.ts';
import { memoryTable } from '../support/memory-keys.ts';
import { memoryBlobs } from '../support/memory-ports.ts';

const master = new Uint8Array(32).fill(7);

/** The two stores of keys that several key rings share. */
function shared() {
  const table = memoryTable();
  return { table, keys: table.keys, blobs: memoryBlobs() };
}

const strictRing = ({ table, blobs }: { table: KeyStore; blobs: Blobs }, now: () => number = Date.now) =>
  makeKeyRing({
    wrap: async (key, context) => encryptBytes(master, key, context),
    unwrap: async (wrapped, context) => decryptBytes(master, wrapped, context),
    table,
    blobs,
    log: silent,
    now,
    graceDays: 7,
    sign: async () => new Uint8Array(),
    publicKey: async () => '',
  });

const ring = (...args: Parameters<typeof strictRing>) => creatingKeys(strictRing(...args));

describe('the key ring', () => {
  it('gives two processes the same keys, also when both create them at once', async () => {
    const store = shared();
    const [one, other] = [ring(store), ring(store)];
    const [a, b] = await Promise.all([one.subjectKey('acc', 'usr'), other.subjectKey('acc', 'usr')]);
    expect(a).toEqual(b);
    expect(await one.accountKey('acc')).toEqual(await other.accountKey('acc'));
  });

  it('stores no key in plaintext', async () => {
    const store = shared();
    const one = ring(store);
    const plaintexts = [await one.accountKey('acc'), await one.subjectKey('acc', 'usr')];
    const stored = Buffer.concat(
      [...store.keys.values()].map((key) => ('wrapped' in key ? key.wrapped : new Uint8Array())),
    );
    expect(stored.length).toBeGreaterThan(64);
    for (const key of plaintexts) expect(stored.includes(Buffer.from(key ?? stored))).toBe(false);
  });

  it('reads each store once for many calls', async () => {
    const store = shared();
    await ring(store).subjectKey('acc', 'usr');
    store.table.reads = 0;
    store.blobs.gets.length = 0;
    const one = strictRing(store);
    for (let i = 0; i < 50; i++) await one.subjectKey('acc', 'usr');
    expect(store.table.reads).toBe(2);
    expect(store.blobs.gets).toHaveLength(2);
  });

  it('notices within a minute that another process destroyed a key', async () => {
    const store = shared();
    let now = Date.parse('2026-01-01T00:00:00Z');
    const [one, other] = [ring(store, () => now), ring(store)];
    await one.subjectKey('acc', 'usr');
    await one.subjectKey('acc', 'kept');
    await other.destroySubject('acc', 'usr');
    now += 60_001;
    expect(await one.subjectKey('acc', 'usr')).toBeUndefined();
    expect(await one.subjectKey('acc', 'kept')).toBeDefined();
    await other.destroyAccount('acc');
    now += 60_001;
    expect(await one.subjectKey('acc', 'kept')).toBeUndefined();
    expect(await one.accountKey('acc')).toBeUndefined();
  });

  it('does not cache a key whose load began before the destruction and ended after it', async () => {
    const store = shared();
    await ring(store).subjectKey('acc', 'usr');
    const readBegan = Promise.withResolvers<void>();
    const mayAnswer = Promise.withResolvers<void>();
    let isFirst = true;
    const slow = {
      ...store.table,
      async get(id: KeyId) {
        const found = await store.table.get(id);
        if (id.subject !== undefined && isFirst) {
          isFirst = false;
          readBegan.resolve();
          await mayAnswer.promise;
        }
        return found;
      },
    };
    const one = strictRing({ ...store, table: slow });
    const loading = one.subjectKey('acc', 'usr');
    await readBegan.promise;
    await one.destroySubject('acc', 'usr');
    mayAnswer.resolve();
    await loading;
    expect(await one.subjectKey('acc', 'usr')).toBeUndefined();
  });

  it('does not cache a key that was loaded during the write of its tombstone', async () => {
    const store = shared();
    await ring(store).subjectKey('acc', 'usr');
    let during = 0;
    const table: KeyStore = {
      ...store.table,
      async replace(id, key) {
        await one.subjectKey('acc', 'usr');
        await one.accountKey('acc');
        during++;
        await store.table.replace(id, key);
      },
    };
    const one = strictRing({ ...store, table });
    await one.destroySubject('acc', 'usr');
    expect(await one.subjectKey('acc', 'usr')).toBeUndefined();
    await one.destroyAccount('acc');
    expect(await one.accountKey('acc')).toBeUndefined();
    expect(during).toBe(2);
  });

  it('creates no account whose stored key does not unwrap', async () => {
    const store = shared();
    const table: KeyStore = {
      ...store.table,
      get: async (id) => {
        const key = await store.table.get(id);
        return key && 'wrapped' in key ? { ...key, wrapped: new Uint8Array(60) } : key;
      },
    };
    const blobs: Blobs = {
      ...store.blobs,
      get: async (key) => {
        const bytes = await store.blobs.get(key);
        const { revision } = bytes ? JSON.parse(Buffer.from(bytes).toString()) : { revision: undefined };
        return bytes && Buffer.from(JSON.stringify({ wrapped: Buffer.alloc(60).toString('base64'), revision }));
      },
    };
    await expect(strictRing({ table, blobs }).createAccount('acc')).rejects.toThrow('do not decrypt');
  });

  it('reads the store again after a failure', async () => {
    const store = shared();
    await ring(store).accountKey('acc');
    let fail = true;
    const table: KeyStore = {
      ...store.table,
      get: async (id) => {
        if (fail) throw new Error('unreachable');
        return store.table.get(id);
      },
    };
    const one = strictRing({ ...store, table });
    await expect(one.accountKey('acc')).rejects.toThrow('unreachable');
    fail = false;
    expect(await one.accountKey('acc')).toHaveLength(32);
  });

  it('refuses a wrapped key that was stored under another name', async () => {
    const store = shared();
    await ring(store).subjectKey('acc', 'usr_1');
    await ring(store).accountKey('other');
    store.keys.set('acc/usr_2', store.keys.get('acc/usr_1') ?? { destroyed: true });
    store.keys.set('third/', store.keys.get('other/') ?? { destroyed: true });
    await expect(strictRing(store).subjectKey('acc', 'usr_2')).rejects.toThrow('do not decrypt');
    await expect(strictRing(store).accountKey('third')).rejects.toThrow('do not decrypt');
  });
});

describe('encrypted bytes', () => {
  it('decrypt only unchanged, with their key and in their context', () => {
    const bytes = Uint8Array.from([1, 2, 3]);
    const encrypted = encryptBytes(master, bytes, 'here');
    expect(decryptBytes(master, encrypted, 'here')).toEqual(bytes);
    expect(() => decryptBytes(master, encrypted, 'there')).toThrow();
    expect(() => decryptBytes(new Uint8Array(32), encrypted, 'here')).toThrow();
    for (let i = 0; i < encrypted.length; i++) {
      expect(() =>
        decryptBytes(
          master,
          encrypted.map((byte, position) => (position === i ? byte ^ 1 : byte)),
          'here',
        ),
      ).toThrow();
    }
    expect(() => decryptBytes(master, encrypted.subarray(0, 20), 'here')).toThrow();
    expect(encryptBytes(master, bytes, 'here')).not.toEqual(encrypted);
  });
});
