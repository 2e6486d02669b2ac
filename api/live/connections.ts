/** The open sockets of an account: how far each has been served, and who is serving it. */
import { Problem } from '../../domain/errors.ts';
import type { JsonObject, Platform, RecordKey } from '../../domain/ports.ts';
import type { Runs } from './run-views.ts';
import type { Holder } from './tickets.ts';

export type Connection = Holder & {
  id: string;
  /** Milliseconds since the epoch. */
  openedAt: number;
  /** Up to this number of the ledger it has been sent everything. */
  done: number;
  /** Where it was resumed: messages up to this one it has. */
  since: number;
  /** The open runs as of `done`, so that a count goes on from there. */
  runs: Runs;
  /** Who is sending, empty when nobody is, and until when (milliseconds since the epoch). */
  turn: string;
  turnEnds: number;
  /** Counts those who came while someone was sending: there may be more to send. */
  wakes: number;
};

const most = 100;
/** API Gateway ends a WebSocket after two hours, so both homes do. */
export const longestMs = 2 * 3600_000;
const keepSeconds = longestMs / 1000 + 600;

/** Registers an opening socket. Throws Problem `rate-limited` when the account has a hundred. */
export async function addConnection(
  platform: Platform,
  holder: Holder,
  id: string,
  from: Pick<Connection, 'done' | 'since'>,
): Promise<void> {
  const { account, user, session } = holder;
  const { items } = await platform.records.query(partition(account), { limit: most });
  if (items.length >= most)
    throw new Problem('rate-limited', `An account has at most ${most} live sockets. Close some.`, {
      extra: { retryAfter: 60 },
    });
  const data = { account, user, session, openedAt: platform.now(), ...from, runs: {}, turn: '', turnEnds: 0, wakes: 0 };
  const expiresAt = Math.floor(platform.now() / 1000) + keepSeconds;
  await platform.records.write([
    { op: 'put', ...keyOf(account, id), data, expiresAt },
    { op: 'put', ...ownerKey(id), data: { account }, expiresAt },
  ]);
}

/** Forgets a socket that has ended; fine when it is forgotten. */
export async function removeConnection(platform: Platform, id: string): Promise<void> {
  const owner = await platform.records.get(ownerKey(id));
  if (!owner) return;
  await platform.records.write([
    { op: 'delete', ...keyOf(String(owner.data.account), id) },
    { op: 'delete', ...ownerKey(id) },
  ]);
}

export async function connectionsOf(platform: Platform, account: string): Promise<Connection[]> {
  const all: Connection[] = [];
  // Of some that came at the same time there may be a few more than a hundred: those want to hear too.
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await platform.records.query(partition(account), {
      limit: most,
      ...(cursor ? { cursor } : {}),
    });
    all.push(...items.map(({ sk, data }) => connection(sk, data)));
    if (!next) return all;
    cursor = next;
  }
}

export async function findConnection(platform: Platform, account: string, id: string): Promise<Connection | undefined> {
  const found = await platform.records.get(keyOf(account, id));
  return found && connection(id, found.data);
}

type Changes = Partial<Pick<Connection, 'done' | 'runs' | 'turn' | 'turnEnds' | 'wakes'>>;

/** Changes those fields if the connection is still there and the others are as said; whether it did. */
export function updateConnection(
  platform: Platform,
  { account, id }: Connection,
  set: Changes,
  equals: Changes,
): Promise<boolean> {
  return platform.records.write([{ op: 'add', ...keyOf(account, id), set, if: { equals } }]);
}

/** Counts a wake, if the connection is still there and that turn still goes on; whether it did. */
export function wakeTurn(platform: Platform, { account, id, turn }: Connection): Promise<boolean> {
  return platform.records.write([{ op: 'add', ...keyOf(account, id), add: { wakes: 1 }, if: { equals: { turn } } }]);
}

function connection(id: string, data: JsonObject): Connection {
  return { ...(data as Omit<Connection, 'id'>), id };
}

const partition = (account: string) => `live#${account}`;

function keyOf(account: string, id: string): RecordKey {
  return { pk: partition(account), sk: id };
}

/** The machine tells of an ended socket by its id alone. */
function ownerKey(id: string): RecordKey {
  return { pk: `live-socket#${id}`, sk: 'account' };
}
