/**
 * The envelope both homes share: the machine's master key (KMS, or a key file) wraps a key per account, which wraps a key per subject.
 * Destroying one puts a tombstone in its place, so that no first use can make it anew, and takes everything below it along.
 */
import { randomBytes } from 'node:crypto';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import { deriveKey } from '../crypto/hkdf.ts';
import type { KeyRing } from '../domain/ports.ts';

/** An account's own key, or that of one of its subjects. */
export type KeyId = { account: string; subject?: string };
export type StoredKey = { wrapped: Uint8Array } | { destroyed: true };

export type KeyStore = {
  /** Strongly consistent. */
  get(id: KeyId): Promise<StoredKey | undefined>;
  /** Durable; false, and nothing is written, when there is one already, destroyed ones included. */
  putIfAbsent(id: KeyId, key: StoredKey): Promise<boolean>;
  /** Durable, whether or not there is one already. */
  replace(id: KeyId, key: StoredKey): Promise<void>;
};

export type KeyRingParts = {
  /** Encrypts a key under the master; only `unwrap` with the same context opens it. */
  wrap(key: Uint8Array, context: string): Promise<Uint8Array>;
  unwrap(wrapped: Uint8Array, context: string): Promise<Uint8Array>;
  store: KeyStore;
  sign: KeyRing['sign'];
  publicKey: KeyRing['publicKey'];
  now?: () => number;
};

/** How long other processes may still hold a key that was destroyed. */
const cacheMilliseconds = 60_000;
const cacheEntries = 10_000;

/** Destruction shows at once in this process, and within a minute in others. */
export function makeKeyRing({ wrap, unwrap, store, sign, publicKey, now = Date.now }: KeyRingParts): KeyRing {
  const cache = new Map<string, { key: Promise<Uint8Array | undefined>; account: string; until: number }>();

  function cached(id: KeyId, load: () => Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> {
    const name = nameOf(id);
    const known = cache.get(name);
    if (known && known.until > now()) return known.key;
    const entry = { key: load(), account: id.account, until: now() + cacheMilliseconds };
    cache.delete(name);
    cache.set(name, entry);
    for (const oldest of cache.keys()) {
      if (cache.size <= cacheEntries) break;
      cache.delete(oldest);
    }
    const forget = () => {
      if (cache.get(name) === entry) cache.delete(name);
    };
    entry.key.then((key) => key ?? forget(), forget);
    return entry.key;
  }

  function forgetAll(matches: (name: string, account: string) => boolean): void {
    for (const [name, { account }] of cache) if (matches(name, account)) cache.delete(name);
  }

  /** The key in the store, made if there is none. Whoever comes second reads what the first put there. */
  async function loadOrMake(
    id: KeyId,
    encrypt: (key: Uint8Array) => Promise<Uint8Array>,
    open: (wrapped: Uint8Array) => Promise<Uint8Array>,
  ) {
    let stored = await store.get(id);
    if (!stored) {
      const key = new Uint8Array(randomBytes(32));
      if (await store.putIfAbsent(id, { wrapped: await encrypt(key) })) return key;
      stored = await store.get(id);
    }
    if (!stored) throw new Error('the key store lost a key it has just had');
    return 'destroyed' in stored ? undefined : open(stored.wrapped);
  }

  const accountKey = (account: string) => {
    const id = { account };
    return cached(id, () =>
      loadOrMake(
        id,
        (key) => wrap(key, nameOf(id)),
        (wrapped) => unwrap(wrapped, nameOf(id)),
      ),
    );
  };

  const subjectKey = (account: string, subject: string) => {
    const id = { account, subject };
    return cached(id, async () => {
      const above = await accountKey(account);
      if (!above) return undefined;
      const wrapping = deriveKey(above, 'subject keys');
      return loadOrMake(
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
      forgetAll((each) => each === name);
      await store.replace({ account, subject }, { destroyed: true });
      // Once more: a load that began before the tombstone may have put the key back
      forgetAll((each) => each === name);
    },
    async destroyAccount(account) {
      forgetAll((_, each) => each === account);
      await store.replace({ account }, { destroyed: true });
      forgetAll((_, each) => each === account);
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
