/** The open live sockets of an account, in `Records`. Most belong to the set of the account, others catch up alone. */
import { Problem } from '../../domain/errors.ts';
import { allOf } from '../../domain/pages.ts';
import type { JsonObject, Platform, RecordKey } from '../../domain/ports.ts';
import type { Holder } from './tickets.ts';
import { checkTurn } from './turn.ts';

export type Connection = Holder & {
  id: string;
  /** Milliseconds since the epoch. */
  openedAt: number;
  /** The client needs no message of the ledger up to this number. The set has the position of its members. */
  done: number;
  /** The `since` of the client: it already has the messages up to this one. */
  since: number;
  /** The newest ledger entry at the admission. */
  head: number;
  /** Whether the connection is a member of the set. */
  joined: boolean;
  /** The id of the process turn that sends to this connection alone, empty if none does. */
  turn: string;
  /** When the turn expires, in milliseconds since the epoch. */
  turnEnds: number;
};

const maxConnections = 100;
/** A socket of either deployment ends after two hours. */
export const longestMs = 2 * 3600_000;
/** Records of sockets outlive them. */
export const keepSeconds = longestMs / 1000 + 600;

/** Registers a socket before it opens. Throws Problem `rate-limited` if the account has 100 sockets. */
export async function addConnection(
  platform: Platform,
  holder: Holder,
  id: string,
  from: Pick<Connection, 'done' | 'since' | 'head'>,
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
    joined: false,
    turn: '',
    turnEnds: 0,
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

/** Whether the account has a live socket. Costs one read. */
export async function hasConnections({ records }: Pick<Platform, 'records'>, account: string): Promise<boolean> {
  return (await records.query(partition(account), { limit: 1 })).items.length > 0;
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

type Changes = Partial<Pick<Connection, 'done' | 'joined' | 'turn' | 'turnEnds'>>;

/**
 * Sets fields if the connection exists and has the values in `equals`. Resolves to whether it did. `setTurn`: only
 * while the set has that turn.
 */
export function updateConnection(
  platform: Platform,
  { account, id }: Connection,
  set: Changes,
  equals: Changes,
  setTurn?: string,
): Promise<boolean> {
  return platform.records.write([
    { op: 'add', ...keyOf(account, id), set, if: { equals } },
    ...(setTurn === undefined ? [] : [checkTurn(account, setTurn)]),
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
