/** Random bytes for nonces, ids and keys. */
import { randomBytes, randomFillSync } from 'node:crypto';

const poolSize = 4096;

/**
 * A source of cryptographically strong random bytes. Few at a time come from a pool, as asking the generator for a nonce takes longer
 * than encrypting with it; no byte of the pool is given out twice, or stays in it.
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
    const given = pool.slice(used, used + bytes);
    pool.fill(0, used, used + bytes);
    used += bytes;
    return given;
  };
}
