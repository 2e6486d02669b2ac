/**
 * The relay gives each commit its place in its account's ledger, and then tells the bus.
 *
 * Table `ledger` also holds its working state, under keys no account has: `head#{account}` (the last sequence number and its time),
 * `cursor#{stream}` (the last version of that stream in the ledger) and `published#{account}` (up to where the bus was told). Entries,
 * cursors and head change in one transaction, on condition that nobody else has moved them, so any number of relays may run at
 * once on duplicated, shuffled or missing wake-ups: the ledger stays gapless and has each commit once.
 *
 * The ledger is its own outbox: what is after `published` is told again until the bus has taken it, so that an outage of the bus
 * neither stops the ledger nor loses an event.
 */
import type { DynamoDBClient, TransactWriteItem } from '@aws-sdk/client-dynamodb';
import { GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { parseStream } from '../../domain/event.ts';
import type { Bus, BusEvent, EventStore, LedgerEntry, StoredCommit, StreamNotification } from '../../domain/ports.ts';
import { transact } from './dynamo.ts';
import { entryItem } from './event-store.ts';
import {
  type Checkpoint,
  checkpointItem,
  checkpointKey,
  checkpointOf,
  checkpointsOf,
  cursorName,
  headName,
  publishedName,
  start,
} from './ledger-checkpoints.ts';
import { inParallel, pause } from './parallel.ts';

/** DynamoDB takes 100; the head is one of them, and each stream's cursor another. */
const mostItems = 99;

/** Entries of the ledger that the bus is told in one go. */
const toldAtOnce = 100;

/** What came of an account's wake-ups: the commits that were given a place, or why not all could be. */
export type Sequenced = { account: string; commits: StoredCommit[]; error?: unknown };

/** The bus events of a commit, in order. */
export type ToBusEvents = (commit: StoredCommit) => BusEvent[] | Promise<BusEvent[]>;

export type Relay = {
  /**
   * Brings the ledger up to these wake-ups, filling what lies before them. Never rejects for one account's sake: an account that failed
   * carries its error and is safe to wake again.
   */
  sequence(notifications: StreamNotification[]): Promise<Sequenced[]>;
  /**
   * Tells the bus all of an account's ledger that it has not been told, oldest first; the number of commits told. At least once. `fresh`:
   * commits the caller still holds, which need not be read again.
   */
  publish(account: string, toEvents: ToBusEvents, fresh?: StoredCommit[]): Promise<number>;
};

export function awsRelay(dynamo: () => DynamoDBClient, prefix: string, events: EventStore, bus: Bus): Relay {
  const ledger = `${prefix}ledger`;

  async function checkpoint(name: string): Promise<Checkpoint> {
    const answer = await dynamo().send(
      new GetItemCommand({ TableName: ledger, Key: checkpointKey(name), ConsistentRead: true }),
    );
    return checkpointOf(answer.Item);
  }

  /** One transaction's worth; what it sequenced, and whether there is more to do. Undefined when a rival came first. */
  async function step(
    account: string,
    targets: Map<string, number>,
    held: Held,
  ): Promise<{ commits: StoredCommit[]; more: boolean } | undefined> {
    const checkpoints = await checkpointsOf(dynamo(), ledger, [
      headName(account),
      ...[...targets.keys()].map(cursorName),
    ]);
    const head = checkpoints.get(headName(account)) ?? start;
    const batch = await pendingOf(events, targets, held, (stream) => checkpoints.get(cursorName(stream))?.n ?? 0);
    if (batch.commits.length === 0) return { commits: [], more: false };
    const entries = entriesOf(batch.commits, head);
    const last = { n: head.n + entries.length, at: entries.at(-1)?.at ?? head.at };
    const changes: TransactWriteItem[] = [
      move(ledger, headName(account), head.n, last),
      ...[...batch.reached].map(([stream, { from, to }]) =>
        move(ledger, cursorName(stream), from, { n: to, at: last.at }),
      ),
      ...entries.map((entry) => ({
        Put: { TableName: ledger, Item: entryItem(account, entry), ConditionExpression: 'attribute_not_exists(seq)' },
      })),
    ];
    const outcome = await transact(dynamo(), changes);
    return outcome === 'done' ? batch : undefined;
  }

  async function sequenceAccount(account: string, targets: Map<string, number>): Promise<Sequenced> {
    const commits: StoredCommit[] = [];
    const held: Held = new Map();
    try {
      for (let lost = 0; ; ) {
        const done = await step(account, targets, held);
        if (!done) {
          lost++;
          if (lost === 50) throw new Error('other relays were always quicker');
          await pause(lost);
          continue;
        }
        lost = 0;
        commits.push(...done.commits);
        if (!done.more) return { account, commits };
      }
    } catch (error) {
      return { account, commits, error };
    }
  }

  return {
    async sequence(notifications) {
      const results: Sequenced[] = [];
      await inParallel(8, byAccount(notifications), async ([account, targets]) => {
        results.push(await sequenceAccount(account, targets));
      });
      return results;
    },

    async publish(account, toEvents, fresh = []) {
      const held = new Map(fresh.map((commit) => [`${commit.stream} ${commit.version}`, commit]));
      let told = 0;
      let { n: after } = await checkpoint(publishedName(account));
      for (;;) {
        const entries = await events.ledger(account, { afterSeq: after, order: 'asc', limit: toldAtOnce });
        const last = entries.at(-1);
        if (!last) return told;
        const missing = entries.filter((entry) => !held.has(`${entry.stream} ${entry.version}`));
        for (const commit of await events.getMany(missing)) held.set(`${commit.stream} ${commit.version}`, commit);
        const wire: BusEvent[] = [];
        for (const entry of entries) {
          const commit = held.get(`${entry.stream} ${entry.version}`);
          if (!commit) throw new Error(`the ledger names a commit that is not there: ${entry.stream} ${entry.version}`);
          wire.push(...(await toEvents(commit)));
        }
        await bus.publish(wire);
        await advance(dynamo(), ledger, publishedName(account), { n: last.seq, at: last.at });
        told += entries.length;
        // Whoever enters more tells of it too.
        if (entries.length < toldAtOnce) return told;
        after = last.seq;
      }
    },
  };
}

// ── Moving marks ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Moves a mark if it is still where it was read. */
function move(table: string, name: string, from: number, to: Checkpoint): TransactWriteItem {
  return {
    Put: {
      TableName: table,
      Item: checkpointItem(name, to),
      ...(from === 0
        ? { ConditionExpression: 'attribute_not_exists(n)' }
        : { ConditionExpression: 'n = :from', ExpressionAttributeValues: { ':from': { N: String(from) } } }),
    },
  };
}

/** Moves a mark forward, or leaves it where a rival has moved it further. */
async function advance(dynamo: DynamoDBClient, table: string, name: string, to: Checkpoint): Promise<void> {
  const put = {
    TableName: table,
    Item: checkpointItem(name, to),
    ConditionExpression: 'attribute_not_exists(n) OR n < :to',
    ExpressionAttributeValues: { ':to': { N: String(to.n) } },
  };
  await dynamo.send(new PutItemCommand(put)).catch((error: unknown) => {
    if (!(error instanceof Error && error.name === 'ConditionalCheckFailedException')) throw error;
  });
}

// ── What to sequence ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Each account's streams, and the version each is known to have. */
function byAccount(notifications: StreamNotification[]): Map<string, Map<string, number>> {
  const accounts = new Map<string, Map<string, number>>();
  for (const { stream, version } of notifications) {
    const { account } = parseStream(stream);
    const targets = accounts.get(account) ?? new Map<string, number>();
    accounts.set(account, targets.set(stream, Math.max(version, targets.get(stream) ?? 0)));
  }
  return accounts;
}

type Batch = { commits: StoredCommit[]; reached: Map<string, { from: number; to: number }>; more: boolean };

/** What was loaded of each stream: commits never change, so that a rival who came first costs no second look. */
type Held = Map<string, StoredCommit[]>;

/** Commits past their stream's cursor, in the order of versions, as many as one transaction takes. */
async function pendingOf(
  events: EventStore,
  targets: Map<string, number>,
  held: Held,
  cursor: (stream: string) => number,
): Promise<Batch> {
  const behind = [...targets].filter(([stream, version]) => version > cursor(stream)).map(([stream]) => stream);
  // Two items for each stream's first commit: more streams than this would not fit anyway.
  const considered = behind.slice(0, Math.floor((mostItems - 1) / 2));
  await inParallel(8, considered, async (stream) => {
    const known = targets.get(stream) ?? 0;
    const rest = (held.get(stream) ?? []).filter(({ version }) => version > cursor(stream));
    const reaches = (rest.at(-1)?.version ?? 0) >= known;
    held.set(
      stream,
      reaches ? rest : await events.load(stream, { from: cursor(stream) + 1, limit: mostItems - 2, known }),
    );
  });
  const batch: Batch = { commits: [], reached: new Map(), more: considered.length < behind.length };
  let room = mostItems - 1;
  for (const stream of considered) {
    const from = cursor(stream);
    const commits = held.get(stream) ?? [];
    const hole = commits.findIndex((commit, i) => commit.version !== from + 1 + i);
    if (hole >= 0) throw new Error(`stream ${stream} has no version ${from + 1 + hole} but later ones`);
    const taken = commits.slice(0, Math.max(0, room - 1));
    if (taken.length < commits.length || commits.length === mostItems - 2) batch.more = true;
    if (taken.length === 0) continue;
    batch.commits.push(...taken);
    batch.reached.set(stream, { from, to: from + taken.length });
    room -= taken.length + 1;
  }
  return batch;
}

function entriesOf(commits: StoredCommit[], head: Checkpoint): LedgerEntry[] {
  let before = head;
  return commits.map(({ stream, version, hash, at }) => {
    before = { n: before.n + 1, at: at > before.at ? at : before.at };
    return { seq: before.n, stream, version, hash, at: before.at };
  });
}
