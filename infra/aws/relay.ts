/**
 * The relay enters each commit in its account's ledger and then publishes it on the bus.
 *
 * Table `ledger` also holds the relay's checkpoints.
 * - `head#{account}`: the last sequence number and its time.
 * - `cursor#{stream}`: the last version of that stream in the ledger.
 * - `published#{account}`: the last sequence number that the bus has taken.
 *
 * One transaction writes entries, cursors and head, on condition that no other relay moved them. Any number of relays
 * may therefore run at once, on repeated, shuffled or missing notifications. The ledger stays gapless and has each
 * commit once.
 *
 * The ledger is its own outbox: the relay publishes entries after `published` until the bus takes them. An outage of
 * the bus neither stops the ledger nor loses an event.
 */
import { type DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { parseStream } from '../../domain/event.ts';
import { inParallel } from '../../domain/parallel.ts';
import type { Bus, BusEvent, EventStore, LedgerEntry, StoredCommit, StreamNotification } from '../../domain/ports.ts';
import { type TransactItem, transact } from './dynamo.ts';
import { entryItem } from './event-store.ts';
import {
  type Checkpoint,
  checkpointItem,
  checkpointKey,
  checkpointOf,
  cursorName,
  getCheckpoints,
  headName,
  publishedName,
  startCheckpoint,
} from './ledger-checkpoints.ts';
import { pause } from './pauses.ts';

/** DynamoDB takes 100 items in a transaction. One is the head, and each stream's cursor is another. */
const maxItems = 99;

/** Ledger entries that one call of the bus publishes. */
const publishBatch = 100;

/** The outcome for one account: the commits entered in the ledger, and the error that stopped it, if any. */
export type Sequenced = { account: string; commits: StoredCommit[]; error?: unknown };

/** The bus events of a commit, in order. */
export type ToBusEvents = (commit: StoredCommit) => BusEvent[] | Promise<BusEvent[]>;

export type Relay = {
  /**
   * Brings the ledger up to these notifications and fills gaps before them. An account that fails carries its error,
   * does not stop the others, and can be repeated.
   */
  sequence(notifications: StreamNotification[]): Promise<Sequenced[]>;
  /**
   * Publishes the entries of an account's ledger that the bus has not taken, oldest first, at least once. Returns the
   * number of commits. `fresh`: commits that the caller holds, which saves reading them again.
   */
  publish(account: string, toEvents: ToBusEvents, fresh?: StoredCommit[]): Promise<number>;
};

export function awsRelay(documents: () => DynamoDBDocumentClient, prefix: string, events: EventStore, bus: Bus): Relay {
  const ledger = `${prefix}ledger`;

  async function getCheckpoint(name: string): Promise<Checkpoint> {
    const answer = await documents().send(
      new GetCommand({ TableName: ledger, Key: checkpointKey(name), ConsistentRead: true }),
    );
    return checkpointOf(answer.Item);
  }

  /** Enters as many commits as fit in one transaction. Undefined when a concurrent relay was first. */
  async function sequenceBatch(
    account: string,
    targets: Map<string, number>,
    loaded: LoadedCommits,
  ): Promise<{ commits: StoredCommit[]; more: boolean } | undefined> {
    const checkpoints = await getCheckpoints(documents(), ledger, [
      headName(account),
      ...[...targets.keys()].map(cursorName),
    ]);
    const head = checkpoints.get(headName(account)) ?? startCheckpoint;
    const cursor = (stream: string) => checkpoints.get(cursorName(stream))?.position ?? 0;
    const batch = await pendingCommits(events, targets, loaded, cursor);
    if (batch.commits.length === 0) return { commits: [], more: false };
    const entries = entriesOf(batch.commits, head);
    const newHead = { position: head.position + entries.length, at: entries.at(-1)?.at ?? head.at };
    const writes: TransactItem[] = [
      moveCheckpoint(ledger, headName(account), head.position, newHead),
      ...[...batch.reached].map(([stream, { from, to }]) =>
        moveCheckpoint(ledger, cursorName(stream), from, { position: to, at: newHead.at }),
      ),
      ...entries.map((entry) => ({
        Put: { TableName: ledger, Item: entryItem(account, entry), ConditionExpression: 'attribute_not_exists(seq)' },
      })),
    ];
    const outcome = await transact(documents(), writes);
    return outcome === 'done' ? batch : undefined;
  }

  async function sequenceAccount(account: string, targets: Map<string, number>): Promise<Sequenced> {
    const commits: StoredCommit[] = [];
    const loaded: LoadedCommits = new Map();
    try {
      for (let lostAttempts = 0; ; ) {
        const batch = await sequenceBatch(account, targets, loaded);
        if (!batch) {
          lostAttempts++;
          if (lostAttempts === 50)
            throw new Error(`Concurrent relays moved the ledger of ${account} 50 times in a row. Try again.`);
          await pause(lostAttempts);
          continue;
        }
        lostAttempts = 0;
        commits.push(...batch.commits);
        if (!batch.more) return { account, commits };
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
      const commits = new Map(fresh.map((commit) => [nameOf(commit), commit]));
      let published = 0;
      let { position: after } = await getCheckpoint(publishedName(account));
      for (;;) {
        const entries = await events.ledger(account, { afterSeq: after, order: 'asc', limit: publishBatch });
        const last = entries.at(-1);
        if (!last) return published;
        const missing = entries.filter((entry) => !commits.has(nameOf(entry)));
        for (const commit of await events.getMany(missing)) commits.set(nameOf(commit), commit);
        const busEvents: BusEvent[] = [];
        for (const entry of entries) {
          const commit = commits.get(nameOf(entry));
          if (!commit)
            throw new Error(
              `The ledger names commit ${nameOf(entry)}, which the activity does not have. Run the doctor.`,
            );
          busEvents.push(...(await toEvents(commit)));
        }
        await bus.publish(busEvents);
        await advanceCheckpoint(documents(), ledger, publishedName(account), { position: last.seq, at: last.at });
        published += entries.length;
        // A relay that enters more commits publishes them too.
        if (entries.length < publishBatch) return published;
        after = last.seq;
      }
    },
  };
}

function nameOf({ stream, version }: StreamNotification): string {
  return `${stream} ${version}`;
}

// ── Checkpoints ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Moves a checkpoint on condition that it is still at `from`. */
function moveCheckpoint(table: string, name: string, from: number, to: Checkpoint): TransactItem {
  return {
    Put: {
      TableName: table,
      Item: checkpointItem(name, to),
      ...(from === 0
        ? { ConditionExpression: 'attribute_not_exists(n)' }
        : { ConditionExpression: 'n = :from', ExpressionAttributeValues: { ':from': from } }),
    },
  };
}

/** Moves a checkpoint forward, unless a concurrent relay moved it further. */
async function advanceCheckpoint(
  documents: DynamoDBDocumentClient,
  table: string,
  name: string,
  to: Checkpoint,
): Promise<void> {
  const put = {
    TableName: table,
    Item: checkpointItem(name, to),
    ConditionExpression: 'attribute_not_exists(n) OR n < :to',
    ExpressionAttributeValues: { ':to': to.position },
  };
  await documents.send(new PutCommand(put)).catch((error: unknown) => {
    if (!(error instanceof Error && error.name === 'ConditionalCheckFailedException')) throw error;
  });
}

// ── The commits of a transaction ────────────────────────────────────────────────────────────────────────────────────────

/** The streams of each account, with the newest version in the notifications. */
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

/** Commits loaded so far, by stream. Commits never change, so a lost attempt does not read them again. */
type LoadedCommits = Map<string, StoredCommit[]>;

/** As many commits after their stream's cursor as one transaction takes, each stream's in order of version. */
async function pendingCommits(
  events: EventStore,
  targets: Map<string, number>,
  loaded: LoadedCommits,
  cursor: (stream: string) => number,
): Promise<Batch> {
  const behind = [...targets].filter(([stream, version]) => version > cursor(stream)).map(([stream]) => stream);
  // Each stream takes at least two items, a cursor and an entry.
  const considered = behind.slice(0, Math.floor((maxItems - 1) / 2));
  await inParallel(8, considered, async (stream) => {
    const known = targets.get(stream) ?? 0;
    const rest = (loaded.get(stream) ?? []).filter(({ version }) => version > cursor(stream));
    const isComplete = (rest.at(-1)?.version ?? 0) >= known;
    loaded.set(
      stream,
      isComplete ? rest : await events.load(stream, { from: cursor(stream) + 1, limit: maxItems - 2, known }),
    );
  });
  const batch: Batch = { commits: [], reached: new Map(), more: considered.length < behind.length };
  let room = maxItems - 1;
  for (const stream of considered) {
    const from = cursor(stream);
    const commits = loaded.get(stream) ?? [];
    const gap = commits.findIndex((commit, i) => commit.version !== from + 1 + i);
    if (gap >= 0)
      throw new Error(`Stream ${stream} lacks version ${from + 1 + gap} but has later ones. Run the doctor.`);
    const taken = commits.slice(0, Math.max(0, room - 1));
    if (taken.length < commits.length || commits.length === maxItems - 2) batch.more = true;
    if (taken.length === 0) continue;
    batch.commits.push(...taken);
    batch.reached.set(stream, { from, to: from + taken.length });
    room -= taken.length + 1;
  }
  return batch;
}

/** Continues the sequence numbers after the head. Times never decrease along the sequence. */
function entriesOf(commits: StoredCommit[], head: Checkpoint): LedgerEntry[] {
  let previous = head;
  return commits.map(({ stream, version, hash, at }) => {
    previous = { position: previous.position + 1, at: at > previous.at ? at : previous.at };
    return { seq: previous.position, stream, version, hash, at: previous.at };
  });
}
