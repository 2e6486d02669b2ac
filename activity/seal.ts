/** Personal values at rest: AES-256-GCM under the subject's key, AAD `account|subject`, base64 of nonce ‖ ciphertext ‖ tag. */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import { isSealed, type Sealed } from '../domain/event.ts';
import type { Json, JsonObject, Machine } from '../domain/ports.ts';

type Keys = Pick<Machine, 'keys' | 'random'>;

/** Seals any JSON value. Throws when the subject has been erased: nothing new may be recorded of them. */
export async function seal(machine: Keys, account: string, subject: string, value: Json): Promise<Sealed> {
  const key = await subjectKey(machine, account, subject);
  if (!key) throw new Error(`subject ${subject} has been erased`);
  const nonce = machine.random(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(`${account}|${subject}`));
  const sealed = Buffer.concat([nonce, cipher.update(JSON.stringify(value), 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return { $sealed: sealed.toString('base64'), subject };
}

/** The value that was sealed; null once its subject has been erased. Throws when the bytes are not what was sealed. */
export async function unseal<T extends Json>(machine: Pick<Machine, 'keys'>, account: string, value: Sealed): Promise<T | null> {
  const key = await subjectKey(machine, account, value.subject);
  if (!key) return null;
  const bytes = Buffer.from(value.$sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(Buffer.from(`${account}|${value.subject}`));
  decipher.setAuthTag(bytes.subarray(-16));
  return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8'));
}

/** The same data with every sealed field opened. */
export async function reveal(machine: Pick<Machine, 'keys'>, account: string, data: JsonObject): Promise<JsonObject> {
  const fields = await Promise.all(
    Object.entries(data).map(async ([name, value]) => [name, isSealed(value) ? await unseal(machine, account, value) : value] as const),
  );
  return Object.fromEntries(fields);
}

/** The account is a subject too: of what is personal but about nobody in it. */
async function subjectKey(machine: Pick<Machine, 'keys'>, account: string, subject: string): Promise<KeyObject | undefined> {
  const bytes = await machine.keys.subjectKey(account, subject);
  if (!bytes) return undefined;
  const known = prepared.get(bytes) ?? createSecretKey(bytes);
  prepared.set(bytes, known);
  return known;
}

/** Node takes four times as long for a cipher with a key as bytes. Goes with the key ring's own copy. */
const prepared = new WeakMap<Uint8Array, KeyObject>();
