/** Key derivation: one key for each purpose, so that no two purposes share a key. */
import { hkdfSync } from 'node:crypto';

/**
 * HKDF-SHA-256 (RFC 5869). `info` names the purpose. The result has `length` bytes (default 32). The default salt is
 * empty.
 */
export function deriveKey(
  key: Uint8Array,
  info: string,
  { salt = new Uint8Array(), length = 32 }: { salt?: Uint8Array; length?: number } = {},
): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, info, length));
}
