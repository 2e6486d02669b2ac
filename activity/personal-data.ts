/** Personal values at rest: AES-256-GCM under the subject's key, AAD `account|subject`, base64 of nonce ‖ ciphertext ‖ tag. */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import { type Encrypted, isEncrypted } from '../domain/event.ts';
import type { Json, JsonObject, Platform } from '../domain/ports.ts';

type Keys = Pick<Platform, 'keys' | 'random'>;

/** Seals any JSON value. Throws when the subject has been erased: nothing new may be recorded of them. */
export async function encrypt(platform: Keys, account: string, subject: string, value: Json): Promise<Encrypted> {
  const key = await subjectKey(platform, account, subject);
  if (!key) throw new Error(`subject ${subject} has been erased`);
  const nonce = platform.random(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(`${account}|${subject}`));
  const encrypted = Buffer.concat([
    nonce,
    cipher.update(JSON.stringify(value), 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
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
  const bytes = Buffer.from(value.$encrypted, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(
    Buffer.from(`${account}|${value.subject}`),
  );
  decipher.setAuthTag(bytes.subarray(-16));
  return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8'));
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
