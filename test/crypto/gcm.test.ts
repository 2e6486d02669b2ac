import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decryptFramed, encryptFramed } from '../../crypto/gcm.ts';

const key = new Uint8Array(32).fill(1);
const plain = Buffer.from('seven words that nobody else may read');

describe('framed AES-256-GCM', () => {
  it('is nonce, ciphertext and tag', () => {
    const framed = encryptFramed(key, 'here', plain, () => new Uint8Array(12).fill(9));
    expect(framed.length).toBe(12 + plain.length + 16);
    expect(framed.subarray(0, 12)).toEqual(Buffer.alloc(12, 9));
    expect(framed.includes('words')).toBe(false);
  });

  it('decrypts with the same key and AAD, as bytes or as a key object', () => {
    const framed = encryptFramed(createSecretKey(key), 'here', plain, randomBytes);
    expect(decryptFramed(key, 'here', framed)).toEqual(plain);
    expect(decryptFramed(createSecretKey(key), 'here', framed)).toEqual(plain);
    expect(decryptFramed(key, '', encryptFramed(key, '', new Uint8Array(), randomBytes))).toEqual(Buffer.alloc(0));
  });

  it('rejects another key, another AAD, any changed byte and any shorter text', () => {
    const framed = encryptFramed(key, 'here', plain, randomBytes);
    expect(decryptFramed(new Uint8Array(32), 'here', framed)).toBeUndefined();
    expect(decryptFramed(key, 'there', framed)).toBeUndefined();
    for (let i = 0; i < framed.length; i++) {
      const changed = framed.map((byte, at) => (at === i ? byte ^ 1 : byte));
      expect(decryptFramed(key, 'here', changed), `byte ${i}`).toBeUndefined();
      expect(decryptFramed(key, 'here', framed.subarray(0, i)), `${i} bytes`).toBeUndefined();
    }
  });
});
