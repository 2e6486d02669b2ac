/** Helpers that several checks share: lists of blobs, and texts for findings. */
import { compareKeys } from '../domain/entry.ts';
import { allOf } from '../domain/pages.ts';
import type { Blobs } from '../domain/ports.ts';
import { VaultDamage } from '../vault/damage.ts';

/** All blobs whose key starts with the prefix. */
export function allBlobs(blobs: Blobs, prefix: string): AsyncGenerator<{ key: string; size: number }> {
  return allOf((page) => blobs.list(prefix, page));
}

type Keyed = { key: string };

/** Pairs the items of two streams that have the same key. Both streams must be in the order of their keys. */
export async function* pairs<A extends Keyed, B extends Keyed>(
  left: AsyncIterable<A>,
  right: AsyncIterable<B>,
): AsyncGenerator<[A | undefined, B | undefined]> {
  const [lefts, rights] = [left[Symbol.asyncIterator](), right[Symbol.asyncIterator]()];
  let [a, b] = [await lefts.next(), await rights.next()];
  while (!a.done || !b.done) {
    const order = a.done ? 1 : b.done ? -1 : compareKeys(a.value.key, b.value.key);
    const [hasLeft, hasRight] = [order <= 0, order >= 0];
    yield [hasLeft ? a.value : undefined, hasRight ? b.value : undefined];
    if (hasLeft) a = await lefts.next();
    if (hasRight) b = await rights.next();
  }
}

/**
 * Why a read failed, without personal data: the message of a ListBackup error, or the code of the system error. Only
 * VaultDamage says that something is missing or altered. After any other error the next read may succeed.
 */
export function reasonOf(error: unknown): string {
  if (error instanceof VaultDamage) return error.message;
  const { code, name } = error as { code?: unknown; name?: unknown };
  return `it cannot be read (${typeof code === 'string' ? code : String(name)})`;
}

/** Counts blobs that belong to no backup. `text`: for example `7 packs (1234 bytes) … : a, b, c, d, e …`. */
export function countUnused(what: string) {
  let [many, bytes] = [0, 0];
  const names: string[] = [];
  return {
    add(name: string, size: number): void {
      many++;
      bytes += size;
      if (names.length < 5) names.push(name);
    },
    text: () =>
      many > 0
        ? `${many} ${what} (${bytes} bytes) belong to no backup: ${names.join(', ')}${many > names.length ? ' …' : ''}`
        : undefined,
  };
}
