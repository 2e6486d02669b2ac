/** Tickets: what opens a live socket once, since a browser cannot send a header with a WebSocket. */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { Problem } from '../../domain/errors.ts';
import type { Platform, RecordKey } from '../../domain/ports.ts';
import { openSessions, type Principal } from '../sessions.ts';

/** Whom a ticket was given to, and so whose socket it opens. */
export type Holder = Pick<Principal, 'account' | 'user' | 'session'>;

const lifeSeconds = 60;
const stored = z.object({ account: z.string(), user: z.string(), session: z.string() });

/** 256 random bits, of which only the hash is kept. `expiresAt` is at most 60 s away. */
export async function issueTicket(
  platform: Platform,
  { account, user, session }: Holder,
): Promise<{ ticket: string; expiresAt: string }> {
  const ticket = Buffer.from(platform.random(32)).toString('base64url');
  const expiresAt = Math.floor(platform.now() / 1000) + lifeSeconds;
  await platform.records.write([
    { op: 'put', ...keyOf(ticket), data: { account, user, session }, expiresAt, if: 'absent' },
  ]);
  return { ticket, expiresAt: new Date(expiresAt * 1000).toISOString() };
}

/** Uses the ticket up. Throws Problem `invalid-token` when it is none of ours, too old, used before, or its session has ended. */
export async function redeemTicket(platform: Platform, ticket: string): Promise<Holder> {
  const refused = new Problem(
    'invalid-token',
    'A ticket opens one socket, within a minute. POST /live/ticket gives another.',
  );
  const key = keyOf(ticket);
  const found = await platform.records.get(key);
  if (!found) throw refused;
  // Of two who come with the same ticket at the same time, one deletes it.
  if (!(await platform.records.write([{ op: 'delete', ...key, if: 'present' }]))) throw refused;
  const holder = stored.parse(found.data);
  if (!(await openSessions(platform, [holder])).has(holder.session)) throw refused;
  return holder;
}

function keyOf(ticket: string): RecordKey {
  return { pk: `live-ticket#${createHash('sha256').update(ticket).digest('hex')}`, sk: 'ticket' };
}
