/**
 * Paging of lists: the query has `limit` and `cursor`, the answer `items` and `next`. A cursor works only for the
 * account, the list and the filters it was made for.
 */
import * as z from 'zod';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';
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
  .meta({ description: 'The maximum number of items. Default: 50.', type: 'integer', minimum: 1, maximum: 200 });

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
