/** Who may open a live socket, and from where in the ledger it is served. The same at the door of both homes. */
import { Problem } from '../../domain/errors.ts';
import type { Platform } from '../../domain/ports.ts';
import { requireOrigin } from '../origins.ts';
import { addConnection } from './connections.ts';
import { type Holder, redeemTicket } from './tickets.ts';

export type Handshake = {
  ticket: string | undefined;
  since: string | undefined;
  origin: string | undefined;
  host: string | undefined;
};

/** Registers the connection before it is open, so that it misses nothing from then on. Throws Problem when it may not be. */
export async function admit(platform: Platform, handshake: Handshake, connection: string): Promise<Holder> {
  await requireOrigin(platform, handshake);
  const since = handshake.since === undefined ? undefined : position(handshake.since);
  const holder = await redeemTicket(platform, handshake.ticket ?? '');
  const [newest] = await platform.events.ledger(holder.account, { order: 'desc', limit: 1 });
  const head = newest?.seq ?? 0;
  if (since !== undefined && Math.floor(since) > head) throw refusedSince();
  // The last commit the client has is looked at once more: it may have got only some of its messages.
  const from = since === undefined ? { done: head, since: head } : { done: Math.max(0, Math.floor(since) - 1), since };
  await addConnection(platform, holder, connection, from);
  return holder;
}

function position(text: string): number {
  if (!/^\d{1,15}(\.\d{1,20})?$/.test(text)) throw refusedSince();
  return Number(text);
}

function refusedSince(): Problem {
  const message = 'Give the seq of the last message you got, unchanged, or 0 for all there is.';
  return new Problem('invalid-input', message, { errors: [{ path: 'since', message }] });
}
