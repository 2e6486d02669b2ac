/** Makes the messages of ledger entries and sends them to one connection. */
import { openEntries } from '../../activity/feed.ts';
import { Problem } from '../../domain/errors.ts';
import type { JsonObject, LedgerEntry, Platform } from '../../domain/ports.ts';
import { getRun } from '../../projections/runs.ts';
import { type Follower, type Sleep, waitForWrites } from '../consistency.ts';
import { type Connection, findConnection, removeConnection, updateConnection } from './connections.ts';
import { messagesOf, textOf } from './messages.ts';
import { renewMs, turnMs } from './turn.ts';

export type Live = {
  platform: Platform;
  /** The read models that must have applied an entry before its messages are sent. */
  followers: readonly Follower[];
  sleep: Sleep;
  /** How long a socket may take from its admission until it can receive messages. */
  openingMs: number;
  /** The set waits this long for a member that reads slowly. Then the member continues alone. */
  patienceMs: number;
  /** When to stop, in milliseconds since the epoch. Default: never. */
  deadline?: number;
};

/** `isBetween`: it belongs to no ledger entry. */
export type Message = { seq: number; text: string; isBetween?: boolean };
/** `savedAt`: when the connection's own turn was last saved. */
export type Receiver = { connection: Connection; savedAt: number };

const openingPauseMs = 100;
/** Older entries do not wait for the read models. */
const recentMs = 60_000;

/** Makes the messages of these entries once the read models show them. */
export async function makeMessages(live: Live, account: string, entries: LedgerEntry[]): Promise<Message[]> {
  const { platform } = live;
  if (entries.length === 0) return [];
  await awaitReadModels(live, entries);
  const onDamage = (error: Error) => platform.log.error('a damaged commit was skipped on live sockets', {}, error);
  const opened = await openEntries(platform, account, entries, onDamage);
  const messages = await messagesOf(platform, account, opened);
  return messages.map((message) => ({ seq: message.seq, text: textOf(message) }));
}

/**
 * A message about a run that works, the next one after ledger entry `done`. Messages of the entry have lower numbers.
 * Undefined if the run is not open.
 */
export async function makeProgress(
  { platform }: Live,
  account: string,
  runId: string,
  position: { done: number; between: number },
): Promise<Message | undefined> {
  const view = await getRun(platform, account, runId);
  if (!view || view.finishedAt !== null) return undefined;
  const seq = position.done + 1 - 1 / (++position.between + 1000);
  const at = new Date(platform.now()).toISOString();
  return { seq, text: textOf({ seq, type: 'run.progress', at, data: view as unknown as JsonObject }), isBetween: true };
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

/** Sends the messages that the client does not have. `gone`: the connection has ended or belongs to another process. */
export async function sendMessages(live: Live, member: Receiver, messages: Message[]): Promise<'sent' | 'gone'> {
  const { platform } = live;
  const { id, done, since } = member.connection;
  for (const { seq, text, isBetween = false } of messages) {
    if ((Math.floor(seq) <= done && !isBetween) || seq <= since) continue;
    if ((await deliver(live, member.connection, text)) === 'gone') {
      await removeConnection(platform, id);
      return 'gone';
    }
    const isDue = member.connection.turn !== '' && platform.now() - member.savedAt >= renewMs;
    if (isDue && !(await saveTurn(platform, member, {}))) return 'gone';
  }
  return 'sent';
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

export async function closeConnection({ platform }: Live, { id }: Connection): Promise<void> {
  await removeConnection(platform, id);
  await platform.push.close(id);
}

export async function closeAll(live: Live, connections: Connection[]): Promise<void> {
  await Promise.all(connections.map((connection) => closeConnection(live, connection)));
}

export function receiver(connection: Connection, savedAt = 0): Receiver {
  return { connection, savedAt };
}

/** Extends or ends the turn of a connection that gets its messages alone. False: the turn is lost. */
export function saveTurn(platform: Platform, member: Receiver, changes: { turn?: string }): Promise<boolean> {
  const { connection } = member;
  member.savedAt = platform.now();
  const set = { done: connection.done, turnEnds: member.savedAt + turnMs, ...changes };
  return updateConnection(platform, connection, set, { turn: connection.turn });
}
