/**
 * Sends new ledger entries to an account's live sockets.
 *
 * The sockets at the newest entries are a set. One process at a time, the holder of the set's turn, reads each entry
 * once, makes its messages once and sends them to all members. A socket that resumes, or that reads slowly, gets its
 * messages alone until it has caught up. Then it joins the set.
 *
 * So messages arrive once and in order, however often and in whatever order notifications come. If a process fails
 * between a message and the update of a position, the sockets concerned are closed. A message is never repeated, and
 * their clients resume with `since`.
 */
import type { LedgerEntry, Platform } from '../../domain/ports.ts';
import { openSessions } from '../sessions.ts';
import { type Connection, connectionsOf, keepSeconds, updateConnection } from './connections.ts';
import {
  closeAll,
  closeConnection,
  type Live,
  type Message,
  makeMessages,
  makeProgress,
  type Receiver,
  receiver,
  saveTurn,
  sendMessages,
} from './deliver.ts';
import { type Turn, takeTurn, turnMs } from './turn.ts';

/** `more`: the deadline came first, so push again. */
type Outcome = 'done' | 'more';

const pageSize = 50;

/**
 * Sends the new entries to all connections of the account, or lets the process that is sending do it. Rejects after the
 * others got theirs if a connection failed, which is then closed. `runId`: a run whose progress the set gets too,
 * unless another process is sending.
 */
export async function pushLive(live: Live, account: string, runId?: string): Promise<Outcome> {
  const alone: Promise<Outcome>[] = [];
  const turn = await takeTurn(live.platform, account, keepSeconds);
  const sent = turn ? sendToSet(live, account, turn, alone, runId) : serveWaiting(live, account, alone);
  const [first] = await Promise.allSettled([sent]);
  // `alone` is complete only now.
  const outcomes = [first, ...(await Promise.allSettled(alone))];
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
  return outcomes.some((outcome) => outcome.status === 'fulfilled' && outcome.value === 'more') ? 'more' : 'done';
}

/** The connections whose sessions are open. Closes the others. */
async function openConnections(live: Live, account: string): Promise<Connection[]> {
  const connections = await connectionsOf(live.platform, account);
  if (connections.length === 0) return [];
  const open = await openSessions(live.platform, connections);
  const ended = connections.filter(({ session }) => !open.has(session));
  await closeAll(live, ended);
  return connections.filter(({ session }) => open.has(session));
}

function next(platform: Platform, account: string, afterSeq: number): Promise<LedgerEntry[]> {
  return platform.events.ledger(account, { afterSeq, order: 'asc', limit: pageSize });
}

// ── The set ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function sendToSet(
  live: Live,
  account: string,
  turn: Turn,
  alone: Promise<Outcome>[],
  runId: string | undefined,
): Promise<Outcome> {
  const { platform, deadline = Number.POSITIVE_INFINITY } = live;
  let members: Receiver[] = [];
  let { isPositionKnown } = turn;
  try {
    for (;;) {
      members = await gather(live, account, turn, isPositionKnown, alone);
      isPositionKnown = true;
      for (let isLast = members.length === 0; !isLast; ) {
        const entries = await next(platform, account, turn.done);
        isLast = entries.length < pageSize;
        const messages = await makeMessages(live, account, entries);
        const end = entries.at(-1)?.seq ?? turn.done;
        members = await sendToAll(live, members, { messages, start: turn.done, end }, alone);
        if (end > turn.done) turn.between = 0;
        turn.done = end;
        if (platform.now() >= deadline) {
          await turn.leave();
          return 'more';
        }
        if (!(await turn.renew())) return 'done';
      }
      const progress = runId && members.length > 0 && (await makeProgress(live, account, runId, turn));
      const here = { start: turn.done, end: turn.done };
      if (progress) members = await sendToAll(live, members, { messages: [progress], ...here }, alone);
      if ((await turn.end()) !== 'look') return 'done';
    }
  } catch (error) {
    // The clients resume on new sockets. If this fails, or if the members are unknown, the turn expires.
    const connections = members.map(({ connection }) => connection);
    const closed = closeAll(live, connections);
    await (isPositionKnown ? closed.then(turn.leave) : closed).catch(() => undefined);
    throw error;
  }
}

/** Returns the members after new ones have joined. Connections that are behind begin to catch up in `alone`. */
async function gather(
  live: Live,
  account: string,
  turn: Turn,
  isPositionKnown: boolean,
  alone: Promise<Outcome>[],
): Promise<Receiver[]> {
  const { platform } = live;
  const connections = await openConnections(live, account);
  let members = connections.filter(({ joined }) => joined);
  if (!isPositionKnown) {
    // The process that sent to them died, and their last messages are unknown.
    await closeAll(live, members);
    members = [];
  }
  const waiting = connections.filter(({ joined }) => !joined);
  // Without members, the set moves to the newest entry that any of its next members knows.
  if (members.length === 0) turn.done = Math.max(turn.done, ...waiting.map(({ done, head }) => Math.max(done, head)));
  for (const connection of waiting) {
    if (connection.turn !== '') alone.push(observed(closeIfDead(live, connection)));
    else if (connection.done < turn.done) alone.push(observed(catchUp(live, connection)));
    else if (await updateConnection(platform, connection, { joined: true }, { joined: false, turn: '' }, turn.id))
      members.push(connection);
  }
  return members.map((connection) => receiver(connection));
}

/** The messages of the entries after `start` up to `end`. */
type Page = { messages: Message[]; start: number; end: number };

/** Sends a page to all members at once. Slow ones leave the set and continue in `alone`. Returns the others. */
async function sendToAll(
  live: Live,
  members: Receiver[],
  { messages, start, end }: Page,
  alone: Promise<Outcome>[],
): Promise<Receiver[]> {
  const results = new Map<Receiver, 'sent' | 'gone' | { failure: unknown }>();
  const sendings = new Map(
    members.map((member) => [
      member,
      observed(
        sendMessages(live, member, messages).then(
          (outcome) => void results.set(member, outcome),
          async (failure: unknown) => {
            results.set(member, { failure });
            await closeConnection(live, member.connection);
          },
        ),
      ),
    ]),
  );
  await within(live.patienceMs, Promise.all(sendings.values()));
  const remaining: Receiver[] = [];
  for (const [member, sending] of sendings) {
    const result = results.get(member);
    if (result === 'sent') remaining.push(member);
    if (result === 'sent' || result === 'gone') continue;
    if (result === undefined) await leaveSet(live, member, start);
    const finish = async (): Promise<Outcome> => {
      await sending;
      const last = results.get(member);
      if (typeof last === 'object') throw last.failure;
      if (last !== 'sent' || member.connection.turn === '') return 'done';
      return sendAlone(live, { ...member, connection: { ...member.connection, done: end } });
    };
    alone.push(observed(finish()));
  }
  return remaining;
}

/** Gives a member a turn of its own. It gets none if the connection has ended meanwhile. */
async function leaveSet({ platform }: Live, member: Receiver, done: number): Promise<void> {
  const changes = { ...ownTurn(platform), done, joined: false };
  if (!(await updateConnection(platform, member.connection, changes, { joined: true }))) return;
  member.connection = { ...member.connection, ...changes };
  member.savedAt = platform.now();
}

async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, milliseconds);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

// ── Connections outside the set ─────────────────────────────────────────────────────────────────────────────────────

/** Serves the connections that wait for the set while another process has its turn. That process may have died. */
async function serveWaiting(live: Live, account: string, alone: Promise<Outcome>[]): Promise<Outcome> {
  for (const connection of await openConnections(live, account)) {
    if (connection.joined) continue;
    if (connection.turn !== '') alone.push(observed(closeIfDead(live, connection)));
    else if ((await next(live.platform, account, connection.done)).length > 0)
      alone.push(observed(catchUp(live, connection)));
  }
  return 'done';
}

/** Sends a connection all it has missed, unless another process does. */
async function catchUp(live: Live, connection: Connection): Promise<Outcome> {
  const { platform } = live;
  const taken = ownTurn(platform);
  const free = { joined: false, turn: '', done: connection.done };
  if (!(await updateConnection(platform, connection, taken, free))) return 'done';
  return sendAlone(live, receiver({ ...connection, ...taken }, platform.now()));
}

/** Sends pages until the connection is up to date. Then it joins the set. */
async function sendAlone(live: Live, { connection, savedAt }: Receiver): Promise<Outcome> {
  const { platform, deadline = Number.POSITIVE_INFINITY } = live;
  const member = { connection, savedAt };
  const { account } = connection;
  try {
    for (;;) {
      const entries = await next(platform, account, member.connection.done);
      const messages = await makeMessages(live, account, entries);
      if ((await sendMessages(live, member, messages)) === 'gone') return 'done';
      member.connection = { ...member.connection, done: entries.at(-1)?.seq ?? member.connection.done };
      const isLate = platform.now() >= deadline;
      if (!isLate && entries.length === pageSize) continue;
      if (!(await saveTurn(platform, member, { turn: '' }))) return 'done';
      if (isLate) return 'more';
      break;
    }
  } catch (error) {
    await closeConnection(live, connection);
    throw error;
  }
  return pushLive(live, account);
}

function ownTurn(platform: Platform) {
  return { turn: Buffer.from(platform.random(8)).toString('hex'), turnEnds: platform.now() + turnMs };
}

/** Closes a connection whose process died, because its last messages are unknown. */
async function closeIfDead(live: Live, connection: Connection): Promise<Outcome> {
  if (connection.turnEnds <= live.platform.now()) await closeConnection(live, connection);
  return 'done';
}

/** Marks the failure of a promise as handled. Code that awaits the promise still gets it. */
function observed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
