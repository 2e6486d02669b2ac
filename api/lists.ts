/**
 * Paging of lists: the query has `limit` and `cursor`, the answer `items` and `next`. A cursor works only for the
 * account, the list and the filters it was made for.
 */
import * as z from 'zod';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import { Problem } from '../domain/errors.ts';
import type { Page, Platform } from '../domain/ports.ts';
import { canonicalJson, derivedKey } from './secret-keys.ts';

/** Identifies a list. A cursor is bound to it. */
export type ListScope = { account: string; route: string; filters: { [name: string]: unknown } };

const limit = z
  .string()
  .regex(/^[1-9][0-9]{0,2}$/, 'Give a whole number from 1 to 200.')
  .transform(Number)
  .refine((count) => count <= 200, 'Give a whole number from 1 to 200.')
  .optional()
  .transform((count) => count ?? 50)
  .meta({
    description: 'The maximum number of items. Default: 50. A page of large items has fewer.',
    type: 'integer',
    minimum: 1,
    maximum: 200,
  });

/** Returns the schema of a list's query: its own filters, `limit` and `cursor`. */
export function listQuery<Filters extends z.ZodRawShape>(filters: Filters) {
  const cursor = z
    .string()
    .optional()
    .meta({ description: 'The `next` of the previous page. Omit it for the first page.' });
  return z.strictObject({ ...filters, limit, cursor });
}

export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item).meta({ description: 'One page.' }),
    next: z.string().nullable().meta({ description: 'The cursor of the next page. Null on the last page.' }),
  });
}

/**
 * Bytes of the items of a page as JSON. Lambda's limit of 6 MB counts the answer as a JSON string, where each quote and
 * backslash takes two bytes. So half of it always fits.
 */
const maxPageBytes = 2_900_000;

/**
 * The page that `read` returns for the limit. If its items have too many bytes, it reads again with the number of items
 * that fit, so the page ends early. One item alone is always returned.
 */
export async function pageThatFits<T>(read: (limit: number) => Promise<Page<T>>, limit: number): Promise<Page<T>> {
  const page = await read(limit);
  const fitting = countThatFits(page.items);
  return fitting === page.items.length || limit === 1 ? page : pageThatFits(read, Math.max(1, fitting));
}

function countThatFits(items: unknown[]): number {
  let bytes = 0;
  const first = items.findIndex((item) => {
    bytes += Buffer.byteLength(JSON.stringify(item)) + 1;
    return bytes > maxPageBytes;
  });
  return first < 0 ? items.length : first;
}

/**
 * Encrypts a list position to a cursor (AES-256-GCM with the scope as associated data). A signature is not enough:
 * the position can be a path, and URLs end up in logs. Each account has its own key, so random nonces are safe for
 * 2³² pages of an account.
 */
export async function encryptCursor(platform: Platform, scope: ListScope, position: string): Promise<string> {
  const key = await keyOf(platform, scope);
  return encryptFramed(key, canonicalJson(scope), Buffer.from(position), platform.random).toString('base64url');
}

/**
 * Returns the position in a cursor. Throws Problem `invalid-cursor` if it was changed or made for another account,
 * list or filter.
 */
export async function decryptCursor(platform: Platform, scope: ListScope, cursor: string): Promise<string> {
  const bytes = Buffer.from(cursor, 'base64url');
  const isCanonical = bytes.toString('base64url') === cursor;
  const position = isCanonical && decryptFramed(await keyOf(platform, scope), canonicalJson(scope), bytes);
  if (!position) throw invalidCursor();
  return position.toString('utf8');
}

function invalidCursor(): Problem {
  const message =
    'The cursor is not of this list with these filters. Send the `next` of its previous page, or omit the cursor.';
  return new Problem('invalid-cursor', message, { errors: [{ path: 'cursor', message }] });
}

function keyOf(platform: Platform, scope: ListScope): Promise<Uint8Array> {
  return derivedKey(platform, `cursor/${scope.account}`);
}
