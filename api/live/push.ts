/**
 * Brings an account's live sockets up to its ledger.
 *
 * Each connection has its place in the ledger, in Records, and is served by one at a time: whoever has its turn. Who comes meanwhile
 * counts a wake, and the turn only ends when none was missed. So messages go out in order and once, whoever is told of news, how
 * often and in which order. When something fails between a message and the record of it, the connection is closed rather than
 * sent a message twice: who comes back with `since` misses nothing.
 */
import { openEntries } from '../../activity/feed.ts';
import { Problem } from '../../domain/errors.ts';
import type { LedgerEntry, Platform } from '../../domain/ports.ts';
import { type Follower, type Sleep, waitForWrites } from '../consistency.ts';
import { openSessions } from '../sessions.ts';
import {
  type Connection,
  connectionsOf,
  findConnection,
  removeConnection,
  updateConnection,
  wakeTurn,
} from './connections.ts';
import { messagesOf, textOf } from './messages.ts';

export type Live = {
  platform: Platform;
  /** The read models: what a message tells, they show. */
  followers: readonly Follower[];
  sleep: Sleep;
  /** So long a socket may take from its admission until it can be sent to. */
  openingMs: number;
  /** Milliseconds since the epoch, when to stop; default never. */
  deadline?: number;
};

const pageSize = 50;
/** A turn whose owner does not say so more often has died. */
const turnMs = 60_000;
const keepMs = 10_000;
const openingPause = 100;
/** News older than this need not wait for the read models. */
const recentMs = 60_000;

/** Sends each connection of the account what it has not had. `more`: the deadline came first, to be called again. */
export async function pushLive(live: Live, account: string): Promise<'done' | 'more'> {
  const { platform } = live;
  const all = await connectionsOf(platform, account);
  if (all.length === 0) return 'done';
  const open = await openSessions(platform, all);
  const outcomes = await Promise.allSettled(
    all.map((connection) => (open.has(connection.session) ? serve(live, connection) : end(live, connection))),
  );
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
  return outcomes.some((outcome) => outcome.status === 'fulfilled' && outcome.value === 'more') ? 'more' : 'done';
}

async function serve(live: Live, found: Connection): Promise<'done' | 'more'> {
  const { platform } = live;
  if ((await next(platform, found)).length === 0) return 'done';
  const connection = await takeTurn(live, found);
  if (!connection) return 'done';
  try {
    return await sendAll(live, connection);
  } catch (error) {
    await end(live, connection);
    throw error;
  }
}

function next(platform: Platform, { account, done }: Connection): Promise<LedgerEntry[]> {
  return platform.events.ledger(account, { afterSeq: done, order: 'asc', limit: pageSize });
}

/** The connection as it is when the turn is ours; undefined when it has ended, or another has the turn and will look again. */
async function takeTurn(live: Live, found: Connection): Promise<Connection | undefined> {
  const { platform } = live;
  for (let now: Connection | undefined = found; now; now = await findConnection(platform, now.account, now.id)) {
    if (now.turn === '') {
      const mine = { turn: Buffer.from(platform.random(8)).toString('hex'), turnEnds: platform.now() + turnMs };
      if (await updateConnection(platform, now, mine, { turn: '', done: now.done })) return { ...now, ...mine };
    } else if (now.turnEnds > platform.now()) {
      if (await wakeTurn(platform, now)) return undefined;
    } else {
      // Nobody knows what its dead owner has sent.
      await end(live, now);
      return undefined;
    }
  }
  return undefined;
}

async function sendAll(live: Live, connection: Connection): Promise<'done' | 'more'> {
  const { platform, deadline = Number.POSITIVE_INFINITY } = live;
  const { account, turn, since } = connection;
  const runs = structuredClone(connection.runs);
  let { done, wakes } = connection;
  let kept = platform.now();
  const keep = (more: { turn?: string }, missed?: { wakes: number }) => {
    kept = platform.now();
    return updateConnection(
      platform,
      connection,
      { done, runs, turnEnds: kept + turnMs, ...more },
      { turn, ...missed },
    );
  };
  for (;;) {
    const entries = await next(platform, { ...connection, done });
    await shown(live, entries);
    const damaged = (error: Error) => platform.log.error('a damaged commit was not pushed', {}, error);
    for (const opened of await openEntries(platform, account, entries, damaged)) {
      for (const message of await messagesOf(platform, account, opened, runs)) {
        if (message.seq <= since) continue;
        if ((await deliver(live, connection, textOf(message))) === 'gone') {
          await removeConnection(platform, connection.id);
          return 'done';
        }
      }
      done = opened.entry.seq;
      if (platform.now() - kept >= keepMs && !(await keep({}))) return 'done';
    }
    if (platform.now() >= deadline) return (await keep({ turn: '' })) ? 'more' : 'done';
    if (entries.length === pageSize) continue;
    if (await keep({ turn: '' }, { wakes })) return 'done';
    const now = await findConnection(platform, account, connection.id);
    if (now?.turn !== turn) return 'done';
    wakes = now.wakes;
  }
}

/** Whoever hears of something can look at it. */
async function shown({ platform, followers, sleep }: Live, entries: LedgerEntry[]): Promise<void> {
  const recent = entries.filter(({ at }) => platform.now() - Date.parse(at) < recentMs);
  await waitForWrites(platform, followers, recent, sleep).catch((error: unknown) => {
    if (!(error instanceof Problem)) throw error;
  });
}

async function deliver(
  { platform, sleep, openingMs }: Live,
  { account, id, openedAt }: Connection,
  text: string,
): Promise<'sent' | 'gone'> {
  for (let tries = openingMs / openingPause; ; tries--) {
    const outcome = await platform.push.send(id, text);
    const opening = tries > 0 && platform.now() - openedAt < openingMs;
    if (outcome === 'sent' || !opening || !(await findConnection(platform, account, id))) return outcome;
    await sleep(openingPause);
  }
}

async function end({ platform }: Live, { id }: Connection): Promise<'done'> {
  await removeConnection(platform, id);
  await platform.push.close(id);
  return 'done';
}
