/**
 * The activity store in DynamoDB. Table `activity` holds one item a commit, written by one conditional put and never changed;
 * table `ledger` holds the account's order, which the relay writes (see relay.ts) and this only reads.
 */
import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
} from '@aws-sdk/client-dynamodb';
import type {
  EventStore,
  LedgerEntry,
  LedgerQuery,
  Page,
  StoredCommit,
  StreamNotification,
} from '../../domain/ports.ts';
import type { Item } from './attributes.ts';
import { compress, decompress } from './compressed-commit.ts';
import { distinct, getItems, retryOnConflict, type Share, scanItems } from './dynamo.ts';

export function awsEventStore(dynamo: () => DynamoDBClient, prefix: string): EventStore {
  const activity = `${prefix}activity`;
  const ledger = `${prefix}ledger`;

  /** Commits never change, so one that a cheaper read finds is as good; only whether all are there has to be known. */
  async function load(
    stream: string,
    options: { from?: number; limit?: number; known?: number } = {},
  ): Promise<StoredCommit[]> {
    const { from = 1, limit, known } = options;
    const query = {
      TableName: activity,
      KeyConditionExpression: '#stream = :stream AND #version >= :from',
      ExpressionAttributeNames: { '#stream': 'stream', '#version': 'version' },
      ExpressionAttributeValues: { ':stream': { S: stream }, ':from': { N: String(from) } },
    };
    if (known !== undefined) {
      const found = (await queryAll(dynamo(), limit, query, false)).map(toCommit);
      const gapless = found.every(({ version }, i) => version === from + i);
      if (gapless && found.length >= Math.min(known - from + 1, limit ?? Number.POSITIVE_INFINITY)) return found;
    }
    return (await queryAll(dynamo(), limit, query)).map(toCommit);
  }

  async function entries(
    account: string,
    query: { above: number; below: number; order: 'asc' | 'desc'; limit: number },
  ): Promise<LedgerEntry[]> {
    if (query.above + 1 > query.below - 1 || query.limit < 1) return [];
    const items = await queryAll(dynamo(), query.limit, {
      TableName: ledger,
      KeyConditionExpression: '#account = :account AND #seq BETWEEN :first AND :last',
      ExpressionAttributeNames: { '#account': 'account', '#seq': 'seq' },
      ExpressionAttributeValues: {
        ':account': { S: account },
        ':first': { N: String(query.above + 1) },
        ':last': { N: String(query.below - 1) },
      },
      ScanIndexForward: query.order === 'asc',
    });
    return items.map(toEntry);
  }

  /** The last sequence number before that time. Times never go back along the sequence, so it is found by halving. */
  async function lastBefore(account: string, time: string): Promise<number> {
    const [newest] = await entries(account, { above: 0, below: Number.MAX_SAFE_INTEGER, order: 'desc', limit: 1 });
    if (!newest) return 0;
    if (newest.at < time) return newest.seq;
    let before = 0;
    let notBefore = newest.seq;
    while (before + 1 < notBefore) {
      const middle = Math.floor((before + notBefore) / 2);
      const answer = await dynamo().send(
        new GetItemCommand({
          TableName: ledger,
          Key: { account: { S: account }, seq: { N: String(middle) } },
          ConsistentRead: true,
        }),
      );
      if (!answer.Item) throw new Error(`the ledger has a hole at ${middle}`);
      if (toEntry(answer.Item).at < time) before = middle;
      else notBefore = middle;
    }
    return before;
  }

  return {
    load,
    append: (commit) => append(dynamo(), activity, commit),

    async last(stream) {
      const answer = await dynamo().send(
        new QueryCommand({
          TableName: activity,
          KeyConditionExpression: '#stream = :stream',
          ExpressionAttributeNames: { '#stream': 'stream' },
          ExpressionAttributeValues: { ':stream': { S: stream } },
          ScanIndexForward: false,
          ConsistentRead: true,
          Limit: 1,
        }),
      );
      return answer.Items?.map(toCommit)[0];
    },

    async getMany(keys) {
      const wanted = distinct(keys, (key) => `${key.stream} ${key.version}`);
      const items = await getItems(
        dynamo(),
        activity,
        wanted.map(({ stream, version }) => ({ stream: { S: stream }, version: { N: String(version) } })),
      );
      return items.map(toCommit);
    },

    async ledger(account: string, query: LedgerQuery) {
      const after = query.afterSeq ?? 0;
      const above = query.fromTime === undefined ? after : Math.max(after, await lastBefore(account, query.fromTime));
      return entries(account, {
        above,
        below: query.beforeSeq ?? Number.MAX_SAFE_INTEGER,
        order: query.order,
        limit: query.limit,
      });
    },

    streams: (page) => pageOfStreams(dynamo(), activity, page),
  };
}

/** A page of the streams in a share of the activity. What was appended in the last seconds may be missing. */
export type StreamShares = (page: {
  limit: number;
  cursor?: string;
  share: Share;
}) => Promise<Page<StreamNotification>>;

export function awsStreamShares(dynamo: () => DynamoDBClient, prefix: string): StreamShares {
  return (page) => pageOfStreams(dynamo(), `${prefix}activity`, page);
}

async function pageOfStreams(
  dynamo: DynamoDBClient,
  activity: string,
  page: Parameters<typeof scanItems>[2],
): Promise<Page<StreamNotification>> {
  const { items, next } = await scanItems(dynamo, activity, page, ['stream', 'version']);
  const heads = new Map<string, number>();
  for (const item of items) {
    const stream = string(item, 'stream');
    heads.set(stream, Math.max(number(item, 'version'), heads.get(stream) ?? 0));
  }
  return { items: [...heads].map(([stream, version]) => ({ stream, version })), next };
}

async function append(dynamo: DynamoDBClient, table: string, commit: StoredCommit): Promise<'appended' | 'conflict'> {
  let turns = 0;
  try {
    await retryOnConflict(() => {
      turns++;
      return dynamo.send(
        new PutItemCommand({
          TableName: table,
          Item: toItem(commit),
          ConditionExpression: 'attribute_not_exists(#stream)',
          ExpressionAttributeNames: { '#stream': 'stream' },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        }),
      );
    });
    return 'appended';
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    // It was asked again, after an answer that was lost: what is there may be what the first asking wrote.
    const repeated = turns > 1 || (error.$metadata.attempts ?? 1) > 1;
    return repeated && error.Item && toCommit(error.Item).hash === commit.hash ? 'appended' : 'conflict';
  }
}

/** Every page until the limit. */
async function queryAll(
  dynamo: DynamoDBClient,
  limit: number | undefined,
  query: QueryCommandInput,
  ConsistentRead = true,
): Promise<Item[]> {
  const found: Item[] = [];
  let start: Item | undefined;
  do {
    const rest = limit === undefined ? {} : { Limit: limit - found.length };
    const page = await dynamo.send(new QueryCommand({ ...query, ...rest, ConsistentRead, ExclusiveStartKey: start }));
    found.push(...(page.Items ?? []));
    start = page.LastEvaluatedKey;
  } while (start && (limit === undefined || found.length < limit));
  return found;
}

/**
 * Names are short because each is paid for with every item: time, previous hash, hash, and squeezed bytes, the bytes as they are, or a blob
 * and its hash.
 */
function toItem(commit: StoredCommit): Item {
  const compressed = 'bytes' in commit.body ? compress(commit.body.bytes, commit) : undefined;
  const body: Item =
    'bytes' in commit.body
      ? compressed
        ? { z: { B: compressed } }
        : { b: { B: commit.body.bytes } }
      : { k: { S: commit.body.blob }, x: { B: Buffer.from(commit.body.bytesHash, 'hex') } };
  return {
    stream: { S: commit.stream },
    version: { N: String(commit.version) },
    t: { S: commit.at },
    p: { B: Buffer.from(commit.prevHash, 'hex') },
    h: { B: Buffer.from(commit.hash, 'hex') },
    ...body,
  };
}

function toCommit(item: Item): StoredCommit {
  const commitRef = { stream: string(item, 'stream'), at: string(item, 't') };
  return {
    ...commitRef,
    version: number(item, 'version'),
    prevHash: hex(item, 'p'),
    hash: hex(item, 'h'),
    body: item.k
      ? { blob: string(item, 'k'), bytesHash: hex(item, 'x') }
      : { bytes: item.z ? decompress(binary(item, 'z'), commitRef) : binary(item, 'b') },
  };
}

/** An entry of the ledger as an item: stream, version, hash, time. */
export function entryItem(account: string, entry: LedgerEntry): Item {
  return {
    account: { S: account },
    seq: { N: String(entry.seq) },
    s: { S: entry.stream },
    v: { N: String(entry.version) },
    h: { B: Buffer.from(entry.hash, 'hex') },
    t: { S: entry.at },
  };
}

function toEntry(item: Item): LedgerEntry {
  return {
    seq: number(item, 'seq'),
    stream: string(item, 's'),
    version: number(item, 'v'),
    hash: hex(item, 'h'),
    at: string(item, 't'),
  };
}

function string(item: Item, name: string): string {
  const value = item[name]?.S;
  if (value === undefined) throw new Error(`an item lacks ${name}`);
  return value;
}

function number(item: Item, name: string): number {
  const value = item[name]?.N;
  if (value === undefined) throw new Error(`an item lacks ${name}`);
  return Number(value);
}

function binary(item: Item, name: string): Uint8Array {
  const value = item[name]?.B;
  if (value === undefined) throw new Error(`an item lacks ${name}`);
  return value;
}

function hex(item: Item, name: string): string {
  return Buffer.from(binary(item, name)).toString('hex');
}
