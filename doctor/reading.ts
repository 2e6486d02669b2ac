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
 * VaultDamage says that something is missing or altered. After any other error the next read may succeed. A message
 * about `id`, which the finding names already, calls it "it".
 */
export function reasonOf(error: unknown, id?: string): string {
  if (error instanceof VaultDamage) {
    const message = error.message.slice(error.what.length + 2);
    return id !== undefined && message.startsWith(`${id} `) ? `it${message.slice(id.length)}` : message;
  }
  const { code, name } = error as { code?: unknown; name?: unknown };
  return `it cannot be read (${typeof code === 'string' ? code : String(name)})`;
}

/** For example `1 file` or `2 files`. */
export function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

/**
 * Counts blobs that belong to no backup. `what`: their name in the singular. `text`: for example
 * `7 packs (1234 bytes) … : a, b, c, d, e …`.
 */
export function countUnused(what: string) {
  let [many, bytes] = [0, 0];
  const names: string[] = [];
  return {
    add(name: string, size: number): void {
      many++;
      bytes += size;
      if (names.length < 5) names.push(name);
    },
    text(): string | undefined {
      if (many === 0) return undefined;
      const belong = many === 1 ? 'belongs' : 'belong';
      const named = `${names.join(', ')}${many > names.length ? ' …' : ''}`;
      return `${counted(many, what)} (${counted(bytes, 'byte')}) ${belong} to no backup: ${named}`;
    },
  };
}
