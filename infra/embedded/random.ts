/** Random bytes for nonces, ids and keys. */
import { randomBytes, randomFillSync } from 'node:crypto';

const poolSize = 4096;

/**
 * Returns a source of cryptographically strong random bytes. Up to 64 bytes come from a pool, because a call of the
 * generator takes longer than encrypting with the nonce. Each byte of the pool is used once and then cleared.
 */
export function openRandom(): (bytes: number) => Uint8Array {
  const pool = new Uint8Array(poolSize);
  let used = poolSize;
  return (bytes) => {
    if (bytes > 64) return new Uint8Array(randomBytes(bytes));
    if (used + bytes > poolSize) {
      randomFillSync(pool);
      used = 0;
    }
    const taken = pool.slice(used, used + bytes);
    pool.fill(0, used, used + bytes);
    used += bytes;
    return taken;
  };
}
