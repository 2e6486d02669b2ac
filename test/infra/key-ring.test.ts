import { describe, expect, it } from 'vitest';
import {
  decryptBytes,
  encryptBytes,
  type KeyId,
  type KeyRingParts,
  makeKeyRing,
  type StoredKey,
} from '../../infra/key-ring.ts';

const master = new Uint8Array(32).fill(7);

/** A key store that two key rings share. It counts its reads. */
function sharedStore() {
  const keys = new Map<string, StoredKey>();
  const name = ({ account, subject = '' }: KeyId) => `${account}/${subject}`;
  let reads = 0;
  return {
    keys,
    reads: () => reads,
    store: {
      async get(id: KeyId) {
        reads++;
        return keys.get(name(id));
      },
      async putIfAbsent(id: KeyId, key: StoredKey) {
        if (keys.has(name(id))) return false;
        keys.set(name(id), key);
        return true;
      },
      async replace(id: KeyId, key: StoredKey) {
        keys.set(name(id), key);
      },
    },
  };
}

const ring = (store: KeyRingParts['store'], now?: () => number) =>
  makeKeyRing({
    wrap: async (key, context) => encryptBytes(master, key, context),
    unwrap: async (wrapped, context) => decryptBytes(master, wrapped, context),
    store,
    sign: async () => new Uint8Array(),
    publicKey: async () => '',
    ...(now ? { now } : {}),
  });

describe('the key ring', () => {
  it('gives two processes the same keys, also when both create them at once', async () => {
    const { store } = sharedStore();
    const [one, other] = [ring(store), ring(store)];
    const [a, b] = await Promise.all([one.subjectKey('acc', 'usr'), other.subjectKey('acc', 'usr')]);
    expect(a).toEqual(b);
    expect(await one.accountKey('acc')).toEqual(await other.accountKey('acc'));
  });

  it('stores no key in plaintext', async () => {
    const { store, keys } = sharedStore();
    const one = ring(store);
    const plaintexts = [await one.accountKey('acc'), await one.subjectKey('acc', 'usr')];
    const stored = Buffer.concat([...keys.values()].map((key) => ('wrapped' in key ? key.wrapped : new Uint8Array())));
    expect(stored.length).toBeGreaterThan(64);
    for (const key of plaintexts) expect(stored.includes(Buffer.from(key ?? stored))).toBe(false);
  });

  it('reads the store once for many calls', async () => {
    const { store, reads } = sharedStore();
    await ring(store).subjectKey('acc', 'usr');
    const before = reads();
    const one = ring(store);
    for (let i = 0; i < 50; i++) await one.subjectKey('acc', 'usr');
    expect(reads() - before).toBe(2);
  });

  it('notices within a minute that another process destroyed a key', async () => {
    const { store } = sharedStore();
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
    const { store } = sharedStore();
    await ring(store).subjectKey('acc', 'usr');
    const readBegan = Promise.withResolvers<void>();
    const mayAnswer = Promise.withResolvers<void>();
    const slow = {
      ...store,
      async get(id: KeyId) {
        const found = await store.get(id);
        if (id.subject !== undefined) {
          readBegan.resolve();
          await mayAnswer.promise;
        }
        return found;
      },
    };
    const one = ring(slow);
    const loading = one.subjectKey('acc', 'usr');
    await readBegan.promise;
    await one.destroySubject('acc', 'usr');
    mayAnswer.resolve();
    await loading;
    expect(await one.subjectKey('acc', 'usr')).toBeUndefined();
  });

  it('does not cache a key that was loaded during the write of its tombstone', async () => {
    const { store } = sharedStore();
    const one = ring({
      ...store,
      async replace(id, key) {
        await one.subjectKey('acc', 'usr');
        await one.accountKey('acc');
        await store.replace(id, key);
      },
    });
    await one.destroySubject('acc', 'usr');
    expect(await one.subjectKey('acc', 'usr')).toBeUndefined();
    await one.destroyAccount('acc');
    expect(await one.accountKey('acc')).toBeUndefined();
  });

  it('reads the store again after a failure', async () => {
    const { store } = sharedStore();
    let fail = true;
    const one = ring({
      ...store,
      get: async (id) => {
        if (fail) throw new Error('unreachable');
        return store.get(id);
      },
    });
    await expect(one.accountKey('acc')).rejects.toThrow('unreachable');
    fail = false;
    expect(await one.accountKey('acc')).toHaveLength(32);
  });

  it('refuses a wrapped key that was stored under another name', async () => {
    const { store, keys } = sharedStore();
    await ring(store).subjectKey('acc', 'usr_1');
    await ring(store).accountKey('other');
    keys.set('acc/usr_2', keys.get('acc/usr_1') ?? { destroyed: true });
    keys.set('third/', keys.get('other/') ?? { destroyed: true });
    await expect(ring(store).subjectKey('acc', 'usr_2')).rejects.toThrow();
    await expect(ring(store).accountKey('third')).rejects.toThrow();
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
