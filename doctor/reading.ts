/** Helpers that several checks share: paged lists, and texts for findings. */
import type { Blobs, Page } from '../domain/ports.ts';
import { VaultDamage } from '../vault/damage.ts';

/** All items of a paged list, read page by page. */
export async function* allItems<T>(
  read: (page: { limit: number; cursor?: string }) => Promise<Page<T>>,
): AsyncGenerator<T> {
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await read({ limit: 1000, ...(cursor ? { cursor } : {}) });
    yield* items;
    if (!next) return;
    cursor = next;
  }
}

/** All blobs whose key starts with the prefix. */
export function allBlobs(blobs: Blobs, prefix: string): AsyncGenerator<{ key: string; size: number }> {
  return allItems((page) => blobs.list(prefix, page));
}

/** Why a read failed, without personal data: the message of a ListBackup error, or the code of the system error. */
export function reasonOf(error: unknown): string {
  if (error instanceof VaultDamage) return error.message;
  const { code, name } = error as { code?: unknown; name?: unknown };
  return `it cannot be read (${typeof code === 'string' ? code : String(name)})`;
}

/** For example `7 packs (1234 bytes) … : a, b, c, d, e …`: how many there are, and the first five. */
export function describeUnused(what: string, unused: [name: string, bytes: number][]): string {
  const bytes = unused.reduce((total, [, size]) => total + size, 0);
  const names = unused.slice(0, 5).map(([name]) => name);
  const rest = unused.length > names.length ? ' …' : '';
  return `${unused.length} ${what} (${bytes} bytes) belong to no backup: ${names.join(', ')}${rest}`;
}
