/** AES-256-GCM (NIST SP 800-38D) with a 12-byte nonce and a 16-byte tag after the ciphertext. */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';

type Key = Uint8Array | KeyObject;

const nonceLength = 12;
export const tagLength = 16;
/** Bytes that `encryptFramed` adds. */
export const frameBytes = nonceLength + tagLength;

/** Ciphertext and tag, in two pieces to spare the caller a copy. Never use a (key, nonce) pair for two plaintexts. */
export function gcmEncrypt(key: Key, nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagLength });
  cipher.setAAD(aad);
  const body = cipher.update(plain);
  cipher.final();
  return [body, cipher.getAuthTag()];
}

/** The plaintext. Undefined unless key, nonce, AAD, ciphertext and tag are those of the encryption. */
export function gcmDecrypt(key: Key, nonce: Uint8Array, aad: Uint8Array, encrypted: Uint8Array): Buffer | undefined {
  if (encrypted.length < tagLength) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagLength });
  decipher.setAAD(aad);
  decipher.setAuthTag(encrypted.subarray(encrypted.length - tagLength));
  const plain = decipher.update(encrypted.subarray(0, encrypted.length - tagLength));
  try {
    decipher.final();
    return plain;
  } catch {
    return undefined;
  }
}

/**
 * nonce (12) ‖ ciphertext ‖ tag (16), with a random nonce. `aad` says where the bytes belong: they decrypt with the
 * same `aad` only. One key is safe for 2³² encryptions. `random` must be cryptographically strong.
 */
export function encryptFramed(key: Key, aad: string, plain: Uint8Array, random: (bytes: number) => Uint8Array): Buffer {
  const nonce = random(nonceLength);
  return Buffer.concat([nonce, ...gcmEncrypt(key, nonce, Buffer.from(aad), plain)]);
}

/** The plaintext of `encryptFramed`. Undefined when key or `aad` differ, or when the bytes changed. */
export function decryptFramed(key: Key, aad: string, framed: Uint8Array): Buffer | undefined {
  if (framed.length < frameBytes) return undefined;
  return gcmDecrypt(key, framed.subarray(0, nonceLength), Buffer.from(aad), framed.subarray(nonceLength));
}
