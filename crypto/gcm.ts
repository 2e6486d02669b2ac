/** AES-256-GCM with a 16-byte tag after the ciphertext (NIST SP 800-38D). */
import { createCipheriv, createDecipheriv } from 'node:crypto';

export const tagLength = 16;

/** Ciphertext and tag, as pieces that the caller joins once. A (key, nonce) pair must never see two plaintexts. */
export function gcmEncrypt(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagLength });
  cipher.setAAD(aad);
  const body = cipher.update(plain);
  cipher.final();
  return [body, cipher.getAuthTag()];
}

/** The plaintext; undefined when key, nonce, AAD, ciphertext or tag are not the ones it was sealed with. */
export function gcmDecrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  encrypted: Uint8Array,
): Buffer | undefined {
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
