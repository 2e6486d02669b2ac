/** Derives keys from the API's secrets. Each purpose has its own key. */
import { createHmac } from 'node:crypto';
import canonicalize from 'canonicalize';
import { deriveKey } from '../crypto/hkdf.ts';
import type { Platform } from '../domain/ports.ts';

/** Returns a secret as key material. Throws if it is missing or shorter than HS256 allows (RFC 7518 §3.2: 32 bytes). */
export async function secretKey(platform: Platform, name: 'jwt-secret' | 'jwt-refresh-secret'): Promise<Uint8Array> {
  const secret = await platform.secrets.get(name);
  if (secret === undefined || Buffer.byteLength(secret) < 32)
    throw new Error(`the secret ${name} is missing or shorter than 32 bytes`);
  return new TextEncoder().encode(secret);
}

/** Throws if a secret that the API needs is missing or too short. */
export async function requireSecrets(platform: Platform): Promise<void> {
  await Promise.all([secretKey(platform, 'jwt-secret'), secretKey(platform, 'jwt-refresh-secret')]);
}

/** Returns 32 bytes derived from `jwt-secret` by HKDF-SHA-256 (RFC 5869) with the purpose as its info. */
export async function derivedKey(platform: Platform, purpose: string): Promise<Uint8Array> {
  return deriveKey(await secretKey(platform, 'jwt-secret'), `listbackup/${purpose}`);
}

/**
 * Returns the HMAC-SHA-256 of a JSON value. For a secret value (a password, an IP address), nobody without the key can
 * test whether a guess is right.
 */
export async function keyedHash(platform: Platform, purpose: string, value: unknown): Promise<Buffer> {
  return createHmac('sha256', await derivedKey(platform, purpose))
    .update(canonicalJson(value))
    .digest();
}

/**
 * Returns the canonical JSON of a value (RFC 8785): the same text however the client ordered fields and wrote
 * numbers.
 */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('the value has no JSON form');
  return text;
}
