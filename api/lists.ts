/** Lists: `limit` and `cursor` in, `items` and `next` out. A cursor only works for the account and the list that it was made for. */
import * as z from 'zod';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';
import { canonicalJson, derivedKey } from './secret-keys.ts';

/** What the list is: a cursor of one is no good for another. */
export type ListScope = { account: string; route: string; filters: { [name: string]: unknown } };

const limit = z
  .string()
  .regex(/^[1-9][0-9]{0,2}$/, 'Give a whole number from 1 to 200.')
  .transform(Number)
  .refine((count) => count <= 200, 'Give a whole number from 1 to 200.')
  .optional()
  .transform((count) => count ?? 50)
  .meta({ description: 'How many items at most; 50 unless told.', type: 'integer', minimum: 1, maximum: 200 });

/** The query of a list with its own filters besides `limit` and `cursor`. */
export function listQuery<Filters extends z.ZodRawShape>(filters: Filters) {
  const cursor = z.string().optional().meta({ description: 'The `next` of the page before.' });
  return z.strictObject({ ...filters, limit, cursor });
}

export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    next: z.string().nullable().meta({ description: 'The cursor of the next page, null on the last.' }),
  });
}

/**
 * Sealed rather than only signed (AES-256-GCM, the scope as associated data): where a list stands can be a path, and addresses end up
 * in logs. A key an account, so that random nonces are safe for 2³² pages of each.
 */
export async function encryptCursor(platform: Platform, scope: ListScope, position: string): Promise<string> {
  const key = await keyOf(platform, scope);
  return encryptFramed(key, canonicalJson(scope), Buffer.from(position), platform.random).toString('base64url');
}

/** The position in a cursor. Throws Problem `invalid-cursor` if it was changed, or made for another account, list or filter. */
export async function decryptCursor(platform: Platform, scope: ListScope, cursor: string): Promise<string> {
  const bytes = Buffer.from(cursor, 'base64url');
  const isCanonical = bytes.toString('base64url') === cursor;
  const position = isCanonical && decryptFramed(await keyOf(platform, scope), canonicalJson(scope), bytes);
  if (!position) throw invalidCursor();
  return position.toString('utf8');
}

function invalidCursor(): Problem {
  const message = 'Use the `next` of a page of this same list with the same filters, or start again without a cursor.';
  return new Problem('invalid-cursor', message, { errors: [{ path: 'cursor', message }] });
}

function keyOf(platform: Platform, scope: ListScope): Promise<Uint8Array> {
  return derivedKey(platform, `cursor/${scope.account}`);
}
