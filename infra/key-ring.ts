/**
 * The envelope that both deployments share. The master key (KMS, or a key file) wraps a key per account, which wraps a
 * key per subject. Destroying a key replaces it with a tombstone. The key cannot be created again, and every key below
 * it is lost too.
 */
import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import { deriveKey } from '../crypto/hkdf.ts';
import type { KeyRing } from '../domain/ports.ts';

/** The key of an account, or of one of its subjects. */
export type KeyId = { account: string; subject?: string };
export type StoredKey = { wrapped: Uint8Array } | { destroyed: true };

export type KeyStore = {
  /** Strongly consistent. */
  get(id: KeyId): Promise<StoredKey | undefined>;
  /** Durable. Returns false and writes nothing when a key or a tombstone exists. */
  putIfAbsent(id: KeyId, key: StoredKey): Promise<boolean>;
  /** Durable, with or without an existing key. */
  replace(id: KeyId, key: StoredKey): Promise<void>;
};

export type KeyRingParts = {
  /** Encrypts a key under the master key. Only `unwrap` with the same context decrypts it. */
  wrap(key: Uint8Array, context: string): Promise<Uint8Array>;
  unwrap(wrapped: Uint8Array, context: string): Promise<Uint8Array>;
  store: KeyStore;
  sign: KeyRing['sign'];
  publicKey: KeyRing['publicKey'];
  /** Milliseconds since the epoch. */
  now?: () => number;
};

/** How long other processes may still use a destroyed key. */
const cacheMilliseconds = 60_000;
const maxCached = 10_000;

/** A destroyed key is unusable at once in this process, and within a minute in others. */
export function makeKeyRing({ wrap, unwrap, store, sign, publicKey, now = Date.now }: KeyRingParts): KeyRing {
  const cache = new LRUCache<string, { key: Promise<Uint8Array | undefined>; account: string }>({
    max: maxCached,
    ttl: cacheMilliseconds,
    ttlResolution: 0,
    perf: { now },
  });

  /** Caches the promise of a key, so that concurrent calls load it once. Failures and destroyed keys are not kept. */
  function cached(id: KeyId, load: () => Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> {
    const name = nameOf(id);
    const known = cache.get(name);
    if (known) return known.key;
    const entry = { key: load(), account: id.account };
    cache.set(name, entry);
    const forget = () => {
      if (cache.peek(name) === entry) cache.delete(name);
    };
    entry.key.then((key) => key ?? forget(), forget);
    return entry.key;
  }

  function forgetAccount(account: string): void {
    for (const [name, entry] of cache) if (entry.account === account) cache.delete(name);
  }

  /** Returns the stored key and creates it if there is none. Of two concurrent creations, both get the first. */
  async function loadOrCreate(
    id: KeyId,
    encrypt: (key: Uint8Array) => Promise<Uint8Array>,
    decrypt: (wrapped: Uint8Array) => Promise<Uint8Array>,
  ) {
    let stored = await store.get(id);
    if (!stored) {
      const key = new Uint8Array(randomBytes(32));
      if (await store.putIfAbsent(id, { wrapped: await encrypt(key) })) return key;
      stored = await store.get(id);
    }
    if (!stored) throw new Error(`The key store refused a new ${nameOf(id)} but has none. Check its consistency.`);
    return 'destroyed' in stored ? undefined : decrypt(stored.wrapped);
  }

  const accountKey = (account: string) => {
    const id = { account };
    return cached(id, () =>
      loadOrCreate(
        id,
        (key) => wrap(key, nameOf(id)),
        (wrapped) => unwrap(wrapped, nameOf(id)),
      ),
    );
  };

  const subjectKey = (account: string, subject: string) => {
    const id = { account, subject };
    return cached(id, async () => {
      const parent = await accountKey(account);
      if (!parent) return undefined;
      const wrapping = deriveKey(parent, 'subject keys');
      return loadOrCreate(
        id,
        async (key) => encryptBytes(wrapping, key, nameOf(id)),
        async (wrapped) => decryptBytes(wrapping, wrapped, nameOf(id)),
      );
    });
  };

  return {
    accountKey,
    subjectKey,
    async destroySubject(account, subject) {
      const name = nameOf({ account, subject });
      cache.delete(name);
      await store.replace({ account, subject }, { destroyed: true });
      // A load that began before the tombstone may have cached the key again.
      cache.delete(name);
    },
    async destroyAccount(account) {
      forgetAccount(account);
      await store.replace({ account }, { destroyed: true });
      forgetAccount(account);
    },
    sign,
    publicKey,
  };
}

function nameOf({ account, subject }: KeyId): string {
  return JSON.stringify(subject === undefined ? ['account key', account] : ['subject key', account, subject]);
}

/** Framed AES-256-GCM (crypto/gcm.ts), bound to the context. */
export function encryptBytes(key: Uint8Array, bytes: Uint8Array, context: string): Uint8Array {
  return new Uint8Array(encryptFramed(key, context, bytes, randomBytes));
}

/** Throws unless `encryptBytes` made the bytes with this key and context. */
export function decryptBytes(key: Uint8Array, encrypted: Uint8Array, context: string): Uint8Array {
  const bytes = decryptFramed(key, context, encrypted);
  if (!bytes) throw new Error('The bytes do not decrypt: they changed, or belong to another key or context.');
  return new Uint8Array(bytes);
}
