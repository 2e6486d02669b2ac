/** Reads a list that a port gives in pages. */
import type { Page } from './ports.ts';

type ReadPage<T> = (page: { limit: number; cursor?: string }) => Promise<Page<T>>;

/** The items of one page after the other, at most `limit` in each. */
export async function* pagesOf<T>(read: ReadPage<T>, limit = 1000): AsyncGenerator<T[]> {
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await read({ limit, ...(cursor ? { cursor } : {}) });
    yield items;
    if (!next) return;
    cursor = next;
  }
}

/** All items. */
export async function* allOf<T>(read: ReadPage<T>, limit?: number): AsyncGenerator<T> {
  for await (const page of pagesOf(read, limit)) yield* page;
}
