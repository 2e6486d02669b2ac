/**
 * Tickets open a live socket. Browsers cannot send an `Authorization` header with a WebSocket, so the ticket is in
 * the URL.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { Problem } from '../../domain/errors.ts';
import type { Platform, RecordKey } from '../../domain/ports.ts';
import { openSessions, type Principal } from '../sessions.ts';

/** The session that a ticket was issued to. It owns the socket. */
export type Holder = Pick<Principal, 'account' | 'user' | 'session'>;

const lifetimeSeconds = 60;
const stored = z.object({ account: z.string(), user: z.string(), session: z.string() });

/** Issues a ticket of 256 random bits, which expires within 60 s. Only its hash is stored. */
export async function issueTicket(
  platform: Platform,
  { account, user, session }: Holder,
): Promise<{ ticket: string; expiresAt: string }> {
  const ticket = Buffer.from(platform.random(32)).toString('base64url');
  const expiresAt = Math.floor(platform.now() / 1000) + lifetimeSeconds;
  await platform.records.write([
    { op: 'put', ...keyOf(ticket), data: { account, user, session }, expiresAt, if: 'absent' },
  ]);
  return { ticket, expiresAt: new Date(expiresAt * 1000).toISOString() };
}

/**
 * Redeems a ticket, which then cannot be used again. Throws Problem `invalid-token` if it is unknown, expired or
 * used, or if its session has ended.
 */
export async function redeemTicket(platform: Platform, ticket: string): Promise<Holder> {
  const invalid = new Problem(
    'invalid-token',
    'The ticket is unknown, expired or already used. Request a new one with POST /live/ticket.',
  );
  const key = keyOf(ticket);
  const found = await platform.records.get(key);
  if (!found) throw invalid;
  // Two requests may present the ticket at the same time. Only one of them deletes it.
  if (!(await platform.records.write([{ op: 'delete', ...key, if: 'present' }]))) throw invalid;
  const holder = stored.parse(found.data);
  if (!(await openSessions(platform, [holder])).has(holder.session)) throw invalid;
  return holder;
}

function keyOf(ticket: string): RecordKey {
  return { pk: `live-ticket#${createHash('sha256').update(ticket).digest('hex')}`, sk: 'ticket' };
}
