/**
 * The envelope that both deployments share. The master key (KMS, or a key file) wraps a key per account, which wraps a
 * key per subject. Each wrapped key is in two stores (key-stores.ts). Destroying a key leaves a tombstone in both. The
 * key cannot be created again, and every key below it is lost too.
 */
import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import { deriveKey } from '../crypto/hkdf.ts';
import { Problem } from '../domain/errors.ts';
import type { Blobs, KeyRing, Log } from '../domain/ports.ts';
import { blobKeys } from './blob-keys.ts';
import { type KeyId, type KeyStore, nameOf, type StoredKey, twoStores } from './key-stores.ts';

/** What the key rings of both deployments need besides their own adapters. */
export type KeyRingOptions = {
  /** The blobs with the second copy of each key. */
  blobs: Blobs;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** How long a destruction can be taken back. */
  graceDays: number;
};

export type KeyRingParts = KeyRingOptions & {
  /** Encrypts a key under the master key. Only `unwrap` with the same context decrypts it. */
  wrap(key: Uint8Array, context: string): Promise<Uint8Array>;
  unwrap(wrapped: Uint8Array, context: string): Promise<Uint8Array>;
  table: KeyStore;
  sign: KeyRing['sign'];
  publicKey: KeyRing['publicKey'];
};

type Wrapping = {
  wrap(key: Uint8Array): Promise<Uint8Array>;
  unwrap(wrapped: Uint8Array): Promise<Uint8Array>;
};

/** How long other processes may still use a destroyed key. */
const cacheMilliseconds = 60_000;
const maxCached = 10_000;
const dayMs = 24 * 60 * 60_000;

/** A destroyed key is unusable at once in this process, and within a minute in others. */
export function makeKeyRing(parts: KeyRingParts): KeyRing {
  const { wrap, unwrap, table, blobs, log, sign, publicKey, now, graceDays } = parts;
  const stores = twoStores(table, blobKeys(blobs), { log, now, graceMs: graceDays * dayMs });
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

  /** With an account key, forgets the keys of its subjects too. */
  function forget(id: KeyId): void {
    if (id.subject !== undefined) cache.delete(nameOf(id));
    else for (const [name, entry] of cache) if (entry.account === id.account) cache.delete(name);
  }

  function usable(id: KeyId, stored: StoredKey | undefined, { unwrap }: Wrapping) {
    if (!stored)
      throw new Problem(
        'key-missing',
        `The key of ${id.subject ?? id.account} is lost in both stores. Restore one of them from a copy.`,
      );
    return 'destroyed' in stored || stored.destroysAt !== undefined ? undefined : unwrap(stored.wrapped);
  }

  /** How a key is wrapped. Undefined if the key above it is destroyed. */
  async function wrappingOf(id: KeyId): Promise<Wrapping | undefined> {
    const name = nameOf(id);
    if (id.subject === undefined) return { wrap: (key) => wrap(key, name), unwrap: (wrapped) => unwrap(wrapped, name) };
    const parent = await keyOf({ account: id.account });
    const key = parent && deriveKey(parent, 'subject keys');
    return (
      key && {
        wrap: async (bytes) => encryptBytes(key, bytes, name),
        unwrap: async (bytes) => decryptBytes(key, bytes, name),
      }
    );
  }

  function keyOf(id: KeyId): Promise<Uint8Array | undefined> {
    return cached(id, async () => {
      const wrapping = await wrappingOf(id);
      return wrapping && usable(id, await stores.read(id), wrapping);
    });
  }

  async function create(id: KeyId): Promise<void> {
    const wrapping = await wrappingOf(id);
    if (!wrapping) return;
    const stored = await stores.create(id, () => wrapping.wrap(new Uint8Array(randomBytes(32))));
    // Proves before the first use that the stored bytes give a key.
    await usable(id, stored, wrapping);
  }

  async function destroy(id: KeyId): Promise<number | null> {
    forget(id);
    const destroysAt = await stores.destroy(id);
    // A load that began before the change may have cached the key again.
    forget(id);
    return destroysAt;
  }

  return {
    createAccount: (account) => create({ account }),
    createSubject: (account, subject) => create({ account, subject }),
    accountKey: (account) => keyOf({ account }),
    subjectKey: (account, subject) => keyOf({ account, subject }),
    destroyAccount: (account) => destroy({ account }),
    destroySubject: (account, subject) => destroy({ account, subject }),
    restoreAccount: (account) => stores.restore({ account }),
    restoreSubject: (account, subject) => stores.restore({ account, subject }),
    sweep: (cursor) => stores.sweep(cursor),
    compare: (account) => stores.compare(account),
    sign,
    publicKey,
  };
}

/** Reads `LISTBACKUP_GRACE_DAYS`. The Error for a wrong value says how to correct it. */
export function readGraceDays(env: { [name: string]: string | undefined }): number {
  const text = env.LISTBACKUP_GRACE_DAYS || '7';
  if (!/^\d{1,3}$/.test(text))
    throw new Error(`LISTBACKUP_GRACE_DAYS must be a whole number from 0 to 999, not ${text}.`);
  return Number(text);
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
