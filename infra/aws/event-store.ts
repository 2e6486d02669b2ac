/**
 * The activity store in DynamoDB. Table `activity` holds one item per commit. One conditional put writes it, and
 * nothing changes it. Table `ledger` holds the entries of each account in order. The relay writes them (relay.ts), and
 * this file only reads them.
 */
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import {
  type DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  type QueryCommandInput,
} from '@aws-sdk/lib-dynamodb';
import type {
  EventStore,
  LedgerEntry,
  LedgerQuery,
  Page,
  StoredCommit,
  StreamNotification,
} from '../../domain/ports.ts';
import { bytesIn, type Item, numberIn, stringIn } from './attributes.ts';
import { compress, decompress } from './compressed-commit.ts';
import { distinct, getItems, itemOf, retryOnConflict, type Share, scanItems } from './dynamo.ts';

export function awsEventStore(documents: () => DynamoDBDocumentClient, prefix: string): EventStore {
  const activity = `${prefix}activity`;
  const ledger = `${prefix}ledger`;

  /**
   * Strongly consistent. With a `known` version it first tries an eventually consistent read, at half the price.
   * Commits never change, so that read is enough if it has all of them.
   */
  async function load(
    stream: string,
    options: { from?: number; limit?: number; known?: number } = {},
  ): Promise<StoredCommit[]> {
    const { from = 1, limit, known } = options;
    const query = {
      TableName: activity,
      KeyConditionExpression: '#stream = :stream AND #version >= :from',
      ExpressionAttributeNames: { '#stream': 'stream', '#version': 'version' },
      ExpressionAttributeValues: { ':stream': stream, ':from': from },
    };
    if (known !== undefined) {
      const found = (await queryAll(documents(), limit, query, false)).map(toCommit);
      const gapless = found.every(({ version }, i) => version === from + i);
      if (gapless && found.length >= Math.min(known - from + 1, limit ?? Number.POSITIVE_INFINITY)) return found;
    }
    return (await queryAll(documents(), limit, query)).map(toCommit);
  }

  async function entries(
    account: string,
    query: { above: number; below: number; order: 'asc' | 'desc'; limit: number },
  ): Promise<LedgerEntry[]> {
    if (query.above + 1 > query.below - 1 || query.limit < 1) return [];
    const items = await queryAll(documents(), query.limit, {
      TableName: ledger,
      KeyConditionExpression: '#account = :account AND #seq BETWEEN :first AND :last',
      ExpressionAttributeNames: { '#account': 'account', '#seq': 'seq' },
      ExpressionAttributeValues: { ':account': account, ':first': query.above + 1, ':last': query.below - 1 },
      ScanIndexForward: query.order === 'asc',
    });
    return items.map(toEntry);
  }

  /** The last sequence number before that time, by binary search: times never decrease along the sequence. */
  async function lastBefore(account: string, time: string): Promise<number> {
    const [newest] = await entries(account, { above: 0, below: Number.MAX_SAFE_INTEGER, order: 'desc', limit: 1 });
    if (!newest) return 0;
    if (newest.at < time) return newest.seq;
    let before = 0;
    let notBefore = newest.seq;
    while (before + 1 < notBefore) {
      const middle = Math.floor((before + notBefore) / 2);
      const answer = await documents().send(
        new GetCommand({ TableName: ledger, Key: { account, seq: middle }, ConsistentRead: true }),
      );
      if (!answer.Item)
        throw new Error(`The ledger of ${account} has no entry ${middle}. Restore table ${ledger} from its backup.`);
      if (toEntry(answer.Item).at < time) before = middle;
      else notBefore = middle;
    }
    return before;
  }

  return {
    load,
    append: (commit) => append(documents(), activity, commit),

    async last(stream) {
      const answer = await documents().send(
        new QueryCommand({
          TableName: activity,
          KeyConditionExpression: '#stream = :stream',
          ExpressionAttributeNames: { '#stream': 'stream' },
          ExpressionAttributeValues: { ':stream': stream },
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
        documents(),
        activity,
        wanted.map(({ stream, version }) => ({ stream, version })),
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

    streams: (page) => pageOfStreams(documents(), activity, page),
  };
}

/** A page of the streams in one share of the activity. Commits of the last seconds may be missing. */
export type StreamShares = (page: {
  limit: number;
  cursor?: string;
  share: Share;
}) => Promise<Page<StreamNotification>>;

export function awsStreamShares(documents: () => DynamoDBDocumentClient, prefix: string): StreamShares {
  return (page) => pageOfStreams(documents(), `${prefix}activity`, page);
}

async function pageOfStreams(
  documents: DynamoDBDocumentClient,
  activity: string,
  page: Parameters<typeof scanItems>[2],
): Promise<Page<StreamNotification>> {
  const { items, next } = await scanItems(documents, activity, page, ['stream', 'version']);
  const heads = new Map<string, number>();
  for (const item of items) {
    const stream = stringIn(item, 'stream');
    heads.set(stream, Math.max(numberIn(item, 'version'), heads.get(stream) ?? 0));
  }
  return { items: [...heads].map(([stream, version]) => ({ stream, version })), next };
}

async function append(
  documents: DynamoDBDocumentClient,
  table: string,
  commit: StoredCommit,
): Promise<'appended' | 'conflict'> {
  let attempts = 0;
  try {
    await retryOnConflict(() => {
      attempts++;
      return documents.send(
        new PutCommand({
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
    // A repeat may meet the commit that its own first attempt wrote, when that answer was lost.
    const repeated = attempts > 1 || (error.$metadata.attempts ?? 1) > 1;
    const stored = itemOf(error);
    return repeated && stored && hexIn(stored, 'h') === commit.hash ? 'appended' : 'conflict';
  }
}

/** Reads all pages up to the limit. */
async function queryAll(
  documents: DynamoDBDocumentClient,
  limit: number | undefined,
  query: QueryCommandInput,
  ConsistentRead = true,
): Promise<Item[]> {
  const found: Item[] = [];
  let start: Item | undefined;
  do {
    const rest = limit === undefined ? {} : { Limit: limit - found.length };
    const page = await documents.send(
      new QueryCommand({ ...query, ...rest, ConsistentRead, ExclusiveStartKey: start }),
    );
    found.push(...(page.Items ?? []));
    start = page.LastEvaluatedKey;
  } while (start && (limit === undefined || found.length < limit));
  return found;
}

/**
 * Attribute names are short because every item pays for them: `t` time, `p` previous hash, `h` hash. The body is `z`
 * compressed bytes, or `b` plain bytes, or `k` blob key with `x` hash of the blob.
 */
function toItem(commit: StoredCommit): Item {
  const compressed = 'bytes' in commit.body ? compress(commit.body.bytes, commit) : undefined;
  const body: Item =
    'bytes' in commit.body
      ? compressed
        ? { z: compressed }
        : { b: commit.body.bytes }
      : { k: commit.body.blob, x: Buffer.from(commit.body.bytesHash, 'hex') };
  return {
    stream: commit.stream,
    version: commit.version,
    t: commit.at,
    p: Buffer.from(commit.prevHash, 'hex'),
    h: Buffer.from(commit.hash, 'hex'),
    ...body,
  };
}

function toCommit(item: Item): StoredCommit {
  const commitRef = { stream: stringIn(item, 'stream'), at: stringIn(item, 't') };
  return {
    ...commitRef,
    version: numberIn(item, 'version'),
    prevHash: hexIn(item, 'p'),
    hash: hexIn(item, 'h'),
    body: item.k
      ? { blob: stringIn(item, 'k'), bytesHash: hexIn(item, 'x') }
      : { bytes: item.z ? decompress(bytesIn(item, 'z'), commitRef) : bytesIn(item, 'b') },
  };
}

/** A ledger entry as an item: `s` stream, `v` version, `h` hash, `t` time. */
export function entryItem(account: string, entry: LedgerEntry): Item {
  return {
    account,
    seq: entry.seq,
    s: entry.stream,
    v: entry.version,
    h: Buffer.from(entry.hash, 'hex'),
    t: entry.at,
  };
}

function toEntry(item: Item): LedgerEntry {
  return {
    seq: numberIn(item, 'seq'),
    stream: stringIn(item, 's'),
    version: numberIn(item, 'v'),
    hash: hexIn(item, 'h'),
    at: stringIn(item, 't'),
  };
}

function hexIn(item: Item, name: string): string {
  return Buffer.from(bytesIn(item, name)).toString('hex');
}
