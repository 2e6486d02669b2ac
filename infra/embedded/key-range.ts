/** Ranges of sort keys in SQLite, whose text order is that of UTF-8 bytes, and the cursors of their pages. */
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

/** The range as an SQL condition on sk, starting behind the cursor. */
export function boundsOf({ prefix, from, to, order = 'asc', limit, cursor }: KeyRange): Bounds {
  if (!Number.isInteger(limit) || limit < 1 || limit > maxQueryLimit)
    throw new LimitExceeded(`a query limit of ${limit}: not 1 to ${maxQueryLimit}`);
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

/** The least string above all that begin with the prefix; undefined when there is none. Code points order as their UTF-8 bytes do. */
export function afterPrefix(prefix: string): string | undefined {
  const points = [...prefix].map((character) => character.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last < 0x10ffff) return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}

/** A page of at most `limit` items and 1 MB (or one item): `rows` has one more than the limit where there is one. */
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
  if (toCursor(sk) !== cursor) throw new Problem('invalid-cursor', 'Start the list again without a cursor.');
  return sk;
}
