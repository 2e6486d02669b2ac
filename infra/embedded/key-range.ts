/** Sort key ranges and page cursors in SQLite. Its text order is the order of UTF-8 bytes. */
import { Problem } from '../../domain/errors.ts';
import type { Page } from '../../domain/ports.ts';
import { LimitExceeded, maxPage, maxQueryLimit } from '../limits.ts';

export type KeyRange = {
  prefix?: string;
  from?: string;
  to?: string;
  order?: 'asc' | 'desc';
  limit: number;
  cursor?: string;
};
export type Bounds = { where: string; values: string[]; order: string };

/** Returns the range as an SQL condition on sk, starting after the cursor. */
export function boundsOf({ prefix, from, to, order = 'asc', limit, cursor }: KeyRange): Bounds {
  if (!Number.isInteger(limit) || limit < 1 || limit > maxQueryLimit)
    throw new LimitExceeded(`a query limit must be 1 to ${maxQueryLimit}, not ${limit}`);
  const bounds: [string, string][] = [];
  if (from !== undefined) bounds.push(['>=', from]);
  if (to !== undefined) bounds.push(['<', to]);
  if (prefix) {
    bounds.push(['>=', prefix]);
    const end = afterPrefix(prefix);
    if (end !== undefined) bounds.push(['<', end]);
  }
  if (cursor !== undefined) bounds.push([order === 'asc' ? '>' : '<', fromCursor(cursor)]);
  return {
    where: bounds.map(([operator]) => ` AND sk ${operator} ?`).join(''),
    values: bounds.map(([, value]) => value),
    order,
  };
}

/**
 * Returns the least string above all strings with the prefix, or undefined if there is none.
 * Code points sort like their UTF-8 bytes. Surrogates are skipped, they have no UTF-8 form.
 */
export function afterPrefix(prefix: string): string | undefined {
  const points = [...prefix].map((character) => character.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last < 0x10ffff) return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}

/**
 * Builds a page of at most `limit` items and 1 MB, but at least one item.
 * Query one row more than `limit`: that row shows that a next page exists.
 */
export function pageOf<T extends { sk: string; size: number }, I>(
  rows: Iterable<T>,
  limit: number,
  toItem: (row: T) => I,
): Page<I> {
  const items: I[] = [];
  let size = 0;
  let last = '';
  for (const row of rows) {
    size += row.size;
    if (items.length === limit || (size > maxPage && items.length > 0)) return { items, next: toCursor(last) };
    items.push(toItem(row));
    last = row.sk;
  }
  return { items, next: null };
}

function toCursor(sk: string): string {
  return Buffer.from(sk).toString('base64url');
}

function fromCursor(cursor: string): string {
  const sk = Buffer.from(cursor, 'base64url').toString();
  if (toCursor(sk) !== cursor)
    throw new Problem('invalid-cursor', 'The cursor is not valid. Start the list again without a cursor.');
  return sk;
}
