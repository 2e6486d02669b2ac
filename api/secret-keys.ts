/** Keys the API makes from its secrets, one a purpose, so that no two uses share a key. */
import { createHmac } from 'node:crypto';
import { deriveKey } from '../crypto/hkdf.ts';
import type { Platform } from '../domain/ports.ts';

/** A secret as key material. Throws when it is missing or shorter than HS256 allows (RFC 7518 §3.2: 32 bytes). */
export async function secretKey(platform: Platform, name: 'jwt-secret' | 'jwt-refresh-secret'): Promise<Uint8Array> {
  const secret = await platform.secrets.get(name);
  if (secret === undefined || Buffer.byteLength(secret) < 32)
    throw new Error(`the secret ${name} is missing or shorter than 32 bytes`);
  return new TextEncoder().encode(secret);
}

/** Throws when a secret that the API cannot do without is missing or too short. */
export async function requireSecrets(platform: Platform): Promise<void> {
  await Promise.all([secretKey(platform, 'jwt-secret'), secretKey(platform, 'jwt-refresh-secret')]);
}

/** 32 bytes derived from `jwt-secret` by HKDF-SHA-256 (RFC 5869); the purpose is its info. */
export async function derivedKey(platform: Platform, purpose: string): Promise<Uint8Array> {
  return deriveKey(await secretKey(platform, 'jwt-secret'), `listbackup/${purpose}`);
}

/** HMAC-SHA-256, so that what is hashed (a body with a password, an address) cannot be guessed from the hash. */
export async function keyedHash(platform: Platform, purpose: string, value: unknown): Promise<Buffer> {
  return createHmac('sha256', await derivedKey(platform, purpose))
    .update(canonicalJson(value))
    .digest();
}

/** JSON with the keys of objects sorted: the same text for the same value, however it was written. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
