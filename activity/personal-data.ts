/** Personal values at rest: AES-256-GCM under the subject's key, AAD `account|subject`, base64 of nonce ‖ ciphertext ‖ tag. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import { type Encrypted, isEncrypted } from '../domain/event.ts';
import type { Json, JsonObject, Platform } from '../domain/ports.ts';

type Keys = Pick<Platform, 'keys' | 'random'>;

/** Seals any JSON value. Throws when the subject has been erased: nothing new may be recorded of them. */
export async function encrypt(platform: Keys, account: string, subject: string, value: Json): Promise<Encrypted> {
  const key = await subjectKey(platform, account, subject);
  if (!key) throw new Error(`subject ${subject} has been erased`);
  const plain = Buffer.from(JSON.stringify(value));
  const encrypted = encryptFramed(key, `${account}|${subject}`, plain, platform.random);
  return { $encrypted: encrypted.toString('base64'), subject };
}

/** The value that was sealed; null once its subject has been erased. Throws when the bytes are not what was sealed. */
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

/** The same data with every sealed field opened. */
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

/** The account is a subject too: of what is personal but about nobody in it. */
async function subjectKey(
  platform: Pick<Platform, 'keys'>,
  account: string,
  subject: string,
): Promise<KeyObject | undefined> {
  const bytes = await platform.keys.subjectKey(account, subject);
  if (!bytes) return undefined;
  const known = prepared.get(bytes) ?? createSecretKey(bytes);
  prepared.set(bytes, known);
  return known;
}

/** Node takes four times as long for a cipher with a key as bytes. Goes with the key ring's own copy. */
const prepared = new WeakMap<Uint8Array, KeyObject>();
