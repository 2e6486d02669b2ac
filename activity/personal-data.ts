/** Encryption of personal values: base64 of framed AES-256-GCM, key of the subject, AAD `account|subject`. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import { type Encrypted, isEncrypted } from '../domain/event.ts';
import type { Json, JsonObject, Platform } from '../domain/ports.ts';

type Keys = Pick<Platform, 'keys' | 'random'>;

/** Encrypts any JSON value. Throws after the subject is erased, because nothing new may be recorded about it. */
export async function encrypt(platform: Keys, account: string, subject: string, value: Json): Promise<Encrypted> {
  const key = await subjectKey(platform, account, subject);
  if (!key) throw new Error(`Subject ${subject} is erased. Nothing more can be recorded about it.`);
  const plain = Buffer.from(JSON.stringify(value));
  const encrypted = encryptFramed(key, `${account}|${subject}`, plain, platform.random);
  return { $encrypted: encrypted.toString('base64'), subject };
}

/** The plain value. Null after its subject is erased. Throws if the bytes changed, or belong to another account. */
export async function decrypt<T extends Json>(
  platform: Pick<Platform, 'keys'>,
  account: string,
  value: Encrypted,
): Promise<T | null> {
  const key = await subjectKey(platform, account, value.subject);
  if (!key) return null;
  const bytes = decryptFramed(key, `${account}|${value.subject}`, Buffer.from(value.$encrypted, 'base64'));
  if (!bytes) throw new Error(`A personal value of subject ${value.subject} does not decrypt: its bytes changed.`);
  return JSON.parse(bytes.toString('utf8'));
}

/** The same data with every encrypted field decrypted. */
export async function decryptFields(
  platform: Pick<Platform, 'keys'>,
  account: string,
  data: JsonObject,
): Promise<JsonObject> {
  const fields = await Promise.all(
    Object.entries(data).map(
      async ([name, value]) => [name, isEncrypted(value) ? await decrypt(platform, account, value) : value] as const,
    ),
  );
  return Object.fromEntries(fields);
}

async function subjectKey(
  platform: Pick<Platform, 'keys'>,
  account: string,
  subject: string,
): Promise<KeyObject | undefined> {
  const bytes = await platform.keys.subjectKey(account, subject);
  if (!bytes) return undefined;
  const key = keyObjects.get(bytes) ?? createSecretKey(bytes);
  keyObjects.set(bytes, key);
  return key;
}

/**
 * Node takes four times as long for a cipher with a key as bytes. An entry lives as long as the bytes in the key ring.
 */
const keyObjects = new WeakMap<Uint8Array, KeyObject>();
