/** The open live sockets of an account, in `Records`: how far each one is, and which process is sending to it. */
import { Problem } from '../../domain/errors.ts';
import { allOf } from '../../domain/pages.ts';
import type { JsonObject, Platform, RecordKey } from '../../domain/ports.ts';
import type { Runs } from './run-views.ts';
import type { Holder } from './tickets.ts';

export type Connection = Holder & {
  id: string;
  /** Milliseconds since the epoch. */
  openedAt: number;
  /** The client got all messages of the ledger up to this number. */
  done: number;
  /** The `since` of the client: it already has the messages up to this one. */
  since: number;
  /** The rows of the open runs as of `done`. The next messages continue their counts. */
  runs: Runs;
  /** The id of the process turn that is sending, empty if none is. */
  turn: string;
  /** When the turn expires, in milliseconds since the epoch. */
  turnEnds: number;
  /** Counts notifications during a turn. The turn has to look for new entries before it ends. */
  notifications: number;
};

const maxConnections = 100;
/** A socket of either deployment ends after two hours. */
export const longestMs = 2 * 3600_000;
const keepSeconds = longestMs / 1000 + 600;

/** Registers a socket before it opens. Throws Problem `rate-limited` if the account has 100 sockets. */
export async function addConnection(
  platform: Platform,
  holder: Holder,
  id: string,
  from: Pick<Connection, 'done' | 'since'>,
): Promise<void> {
  const { account, user, session } = holder;
  const { items } = await platform.records.query(partition(account), { limit: maxConnections });
  if (items.length >= maxConnections)
    throw new Problem(
      'rate-limited',
      `The account already has ${maxConnections} live sockets. Close one, then try again.`,
      {
        extra: { retryAfter: 60 },
      },
    );
  const data = {
    account,
    user,
    session,
    openedAt: platform.now(),
    ...from,
    runs: {},
    turn: '',
    turnEnds: 0,
    notifications: 0,
  };
  const expiresAt = Math.floor(platform.now() / 1000) + keepSeconds;
  await platform.records.write([
    { op: 'put', ...keyOf(account, id), data, expiresAt },
    { op: 'put', ...ownerKey(id), data: { account }, expiresAt },
  ]);
}

/** Removes a closed socket. Removing it twice is not an error. */
export async function removeConnection(platform: Platform, id: string): Promise<void> {
  const owner = await platform.records.get(ownerKey(id));
  if (!owner) return;
  await platform.records.write([
    { op: 'delete', ...keyOf(String(owner.data.account), id) },
    { op: 'delete', ...ownerKey(id) },
  ]);
}

export async function connectionsOf(platform: Platform, account: string): Promise<Connection[]> {
  const connections: Connection[] = [];
  // Sockets that opened at the same time may exceed the maximum a little. They get messages too.
  for await (const { sk, data } of allOf((page) => platform.records.query(partition(account), page), maxConnections))
    connections.push(connection(sk, data));
  return connections;
}

export async function findConnection(platform: Platform, account: string, id: string): Promise<Connection | undefined> {
  const found = await platform.records.get(keyOf(account, id));
  return found && connection(id, found.data);
}

type Changes = Partial<Pick<Connection, 'done' | 'runs' | 'turn' | 'turnEnds' | 'notifications'>>;

/** Sets fields if the connection exists and has the values in `equals`. Resolves to whether it did. */
export function updateConnection(
  platform: Platform,
  { account, id }: Connection,
  set: Changes,
  equals: Changes,
): Promise<boolean> {
  return platform.records.write([{ op: 'add', ...keyOf(account, id), set, if: { equals } }]);
}

/** Counts a notification if the connection exists and has the same turn. Resolves to whether it did. */
export function countNotification(platform: Platform, { account, id, turn }: Connection): Promise<boolean> {
  return platform.records.write([
    { op: 'add', ...keyOf(account, id), add: { notifications: 1 }, if: { equals: { turn } } },
  ]);
}

function connection(id: string, data: JsonObject): Connection {
  return { ...(data as Omit<Connection, 'id'>), id };
}

const partition = (account: string) => `live#${account}`;

function keyOf(account: string, id: string): RecordKey {
  return { pk: partition(account), sk: id };
}

/** Finds the account of a socket: the platform reports a closed socket by its id only. */
function ownerKey(id: string): RecordKey {
  return { pk: `live-socket#${id}`, sk: 'account' };
}
