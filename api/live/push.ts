/**
 * Sends new ledger entries to an account's live sockets.
 *
 * `Records` holds the position of each connection in the ledger. One process at a time sends to a connection: the one
 * that holds its turn. Other processes count a notification instead. A turn ends only if no notification was counted
 * since the turn last read the ledger. So messages arrive once and in order, however often and in whatever order
 * notifications come. If a process fails between a message and the update of the position, the connection is closed. A
 * message is never repeated, and the client resumes with `since`.
 */
import { openEntries } from '../../activity/feed.ts';
import { Problem } from '../../domain/errors.ts';
import type { LedgerEntry, Platform } from '../../domain/ports.ts';
import { type Follower, type Sleep, waitForWrites } from '../consistency.ts';
import { openSessions } from '../sessions.ts';
import {
  type Connection,
  connectionsOf,
  countNotification,
  findConnection,
  removeConnection,
  updateConnection,
} from './connections.ts';
import { messagesOf, textOf } from './messages.ts';

export type Live = {
  platform: Platform;
  /** The read models that must have applied an entry before its messages are sent. */
  followers: readonly Follower[];
  sleep: Sleep;
  /** How long a socket may take from its admission until it can receive messages. */
  openingMs: number;
  /** When to stop, in milliseconds since the epoch. Default: never. */
  deadline?: number;
};

const pageSize = 50;
/** A turn that is not renewed within this time belongs to a process that died. */
const turnMs = 60_000;
const renewMs = 10_000;
const openingPauseMs = 100;
/** Older entries do not wait for the read models. */
const recentMs = 60_000;

/** Sends the new entries to each connection of the account. `more`: the deadline came first, so call it again. */
export async function pushLive(live: Live, account: string): Promise<'done' | 'more'> {
  const { platform } = live;
  const connections = await connectionsOf(platform, account);
  if (connections.length === 0) return 'done';
  const open = await openSessions(platform, connections);
  const outcomes = await Promise.allSettled(
    connections.map((connection) => (open.has(connection.session) ? serve(live, connection) : end(live, connection))),
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

/**
 * Takes the turn of a connection. Undefined if it has ended, or if another process has the turn and will look again.
 */
async function takeTurn(live: Live, found: Connection): Promise<Connection | undefined> {
  const { platform } = live;
  for (let now: Connection | undefined = found; now; now = await findConnection(platform, now.account, now.id)) {
    if (now.turn === '') {
      const taken = { turn: Buffer.from(platform.random(8)).toString('hex'), turnEnds: platform.now() + turnMs };
      if (await updateConnection(platform, now, taken, { turn: '', done: now.done })) return { ...now, ...taken };
    } else if (now.turnEnds > platform.now()) {
      if (await countNotification(platform, now)) return undefined;
    } else {
      // The process that held the turn died, and its last messages are unknown.
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
  let { done, notifications } = connection;
  let savedAt = platform.now();
  const save = (changes: { turn?: string }, expected?: { notifications: number }) => {
    savedAt = platform.now();
    return updateConnection(
      platform,
      connection,
      { done, runs, turnEnds: savedAt + turnMs, ...changes },
      { turn, ...expected },
    );
  };
  for (;;) {
    const entries = await next(platform, { ...connection, done });
    await awaitReadModels(live, entries);
    const onDamage = (error: Error) => platform.log.error('a damaged commit was skipped on live sockets', {}, error);
    for (const opened of await openEntries(platform, account, entries, onDamage)) {
      for (const message of await messagesOf(platform, account, opened, runs)) {
        if (message.seq <= since) continue;
        if ((await deliver(live, connection, textOf(message))) === 'gone') {
          await removeConnection(platform, connection.id);
          return 'done';
        }
      }
      done = opened.entry.seq;
      if (platform.now() - savedAt >= renewMs && !(await save({}))) return 'done';
    }
    if (platform.now() >= deadline) return (await save({ turn: '' })) ? 'more' : 'done';
    if (entries.length === pageSize) continue;
    if (await save({ turn: '' }, { notifications })) return 'done';
    const now = await findConnection(platform, account, connection.id);
    if (now?.turn !== turn) return 'done';
    notifications = now.notifications;
  }
}

/**
 * Waits until the read models show the recent entries. A read model that is behind for too long does not stop
 * messages.
 */
async function awaitReadModels({ platform, followers, sleep }: Live, entries: LedgerEntry[]): Promise<void> {
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
  for (let tries = openingMs / openingPauseMs; ; tries--) {
    const outcome = await platform.push.send(id, text);
    const opening = tries > 0 && platform.now() - openedAt < openingMs;
    if (outcome === 'sent' || !opening || !(await findConnection(platform, account, id))) return outcome;
    await sleep(openingPauseMs);
  }
}

async function end({ platform }: Live, { id }: Connection): Promise<'done'> {
  await removeConnection(platform, id);
  await platform.push.close(id);
  return 'done';
}
