/** Admits a live socket and determines its first ledger entry. Both deployments use it. */
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

/** Registers the connection before it opens, so that it misses no later entry. Throws Problem if it is not allowed. */
export async function admit(platform: Platform, handshake: Handshake, connection: string): Promise<Holder> {
  await requireOrigin(platform, handshake);
  const since = handshake.since === undefined ? undefined : parseSeq(handshake.since);
  const holder = await redeemTicket(platform, handshake.ticket ?? '');
  const [newest] = await platform.events.ledger(holder.account, { order: 'desc', limit: 1 });
  const head = newest?.seq ?? 0;
  if (since !== undefined && Math.floor(since) > head) throw invalidSince();
  // Read the client's last commit again: the client may have got only some of its messages.
  const from = since === undefined ? { done: head, since: head } : { done: Math.max(0, Math.floor(since) - 1), since };
  await addConnection(platform, holder, connection, { ...from, head });
  return holder;
}

function parseSeq(text: string): number {
  if (!/^\d{1,15}(\.\d{1,20})?$/.test(text)) throw invalidSince();
  return Number(text);
}

function invalidSince(): Problem {
  const message = 'Send the seq of the last message you got, unchanged, or 0 for all messages.';
  return new Problem('invalid-input', message, { errors: [{ path: 'since', message }] });
}
