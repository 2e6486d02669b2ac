/** What the tables' adapters share: many reads and writes at once, transactions among rivals, and keys as cursors. */
import { randomUUID } from 'node:crypto';
import {
  type AttributeValue,
  BatchGetItemCommand,
  BatchWriteItemCommand,
  type CancellationReason,
  type DynamoDBClient,
  ScanCommand,
  TransactionCanceledException,
  TransactionConflictException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  type WriteRequest,
} from '@aws-sdk/client-dynamodb';
import { Problem } from '../../domain/errors.ts';
import { LimitExceeded, maxQueryLimit } from '../limits.ts';
import type { Item } from './attributes.ts';
import { inParallel, pause } from './parallel.ts';

/** Strongly consistent, any number of distinct keys, the existing items in any order. */
export async function getItems(client: DynamoDBClient, table: string, keys: Item[]): Promise<Item[]> {
  const found: Item[] = [];
  await inParallel(8, chunks(keys, 100), async (chunk) => {
    let rest: Item[] = chunk;
    for (let attempt = 0; rest.length > 0; attempt++) {
      if (attempt > 0) await pause(attempt);
      const answer = await client.send(
        new BatchGetItemCommand({ RequestItems: { [table]: { Keys: rest, ConsistentRead: true } } }),
      );
      found.push(...(answer.Responses?.[table] ?? []));
      rest = answer.UnprocessedKeys?.[table]?.Keys ?? [];
    }
  });
  return found;
}

/** Unconditional puts of distinct keys, any number, not atomic together. */
export function putItems(client: DynamoDBClient, table: string, items: Item[]): Promise<void> {
  return writeItems(
    client,
    table,
    items.map((Item) => ({ PutRequest: { Item } })),
  );
}

/** Unconditional deletes of distinct keys, any number, not atomic together; missing ones are fine. */
export function deleteItems(client: DynamoDBClient, table: string, keys: Item[]): Promise<void> {
  return writeItems(
    client,
    table,
    keys.map((Key) => ({ DeleteRequest: { Key } })),
  );
}

async function writeItems(client: DynamoDBClient, table: string, requests: WriteRequest[]): Promise<void> {
  await inParallel(8, chunks(requests, 25), async (chunk) => {
    let rest = chunk;
    for (let attempt = 0; rest.length > 0; attempt++) {
      if (attempt > 0) await pause(attempt);
      const answer = await client.send(new BatchWriteItemCommand({ RequestItems: { [table]: rest } }));
      rest = answer.UnprocessedItems?.[table] ?? [];
    }
  });
}

/**
 * All or none. `done`, or why each item was refused, when some condition did not hold. Waits and tries again while another
 * transaction is at work on one of the items; a repeat, after an answer that was lost, is recognised by its token and not done twice.
 */
export async function transact(
  client: DynamoDBClient,
  items: TransactWriteItem[],
): Promise<'done' | CancellationReason[]> {
  // One for all turns: an answer may be lost, and the asking again refused by a rival.
  const ClientRequestToken = randomUUID();
  return retryOnConflict(async () => {
    try {
      await client.send(new TransactWriteItemsCommand({ TransactItems: items, ClientRequestToken }));
      return 'done';
    } catch (error) {
      if (!(error instanceof TransactionCanceledException)) throw error;
      const reasons = error.CancellationReasons ?? [];
      if (reasons.some((reason) => reason.Code === 'ConditionalCheckFailed')) return reasons;
      throw error;
    }
  });
}

/** Repeats what lost against another transaction, a little later each time. */
export async function retryOnConflict<T>(attempt: () => Promise<T>): Promise<T> {
  for (let turn = 1; ; turn++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isConflict(error) || turn === 40) throw error;
      await pause(turn);
    }
  }
}

const passing = ['None', 'TransactionConflict', 'ThrottlingError', 'ProvisionedThroughputExceeded'];

function isConflict(error: unknown): boolean {
  if (error instanceof TransactionConflictException) return true;
  if (!(error instanceof TransactionCanceledException)) return false;
  const codes = (error.CancellationReasons ?? []).map((reason) => reason.Code ?? 'None');
  return codes.some((code) => code !== 'None') && codes.every((code) => passing.includes(code));
}

/** Names and values of an expression under placeholders, each written once. */
export function placeholders() {
  const names: { [placeholder: string]: string } = {};
  const values: { [placeholder: string]: AttributeValue } = {};
  const known = new Map<string, string>();
  return {
    name(attribute: string): string {
      const placeholder = known.get(attribute) ?? `#${known.size}`;
      known.set(attribute, placeholder);
      names[placeholder] = attribute;
      return placeholder;
    },
    value(value: AttributeValue): string {
      const placeholder = `:${Object.keys(values).length}`;
      values[placeholder] = value;
      return placeholder;
    },
    /** DynamoDB refuses empty maps. */
    all: () => ({
      ...(known.size > 0 ? { ExpressionAttributeNames: names } : {}),
      ...(Object.keys(values).length > 0 ? { ExpressionAttributeValues: values } : {}),
    }),
  };
}

export function chunks<T>(all: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
}

/** The last of a key repeated. */
export function distinct<T>(all: T[], key: (each: T) => string): T[] {
  return [...new Map(all.map((each) => [key(each), each])).values()];
}

export function pairName(key: { pk: string; sk: string }): string {
  return JSON.stringify([key.pk, key.sk]);
}

export function checkQueryLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > maxQueryLimit) {
    throw new LimitExceeded(`a query limit of ${limit}: not 1 to ${maxQueryLimit}`);
  }
}

/** Of how many shares of a table, read side by side, this is which one (from 0). */
export type Share = { index: number; of: number };

/**
 * A page of a whole table, or of a share of it, in the table's own order; `next` is where to go on. Strongly consistent; a share is not, and
 * costs half.
 */
export async function scanItems(
  client: DynamoDBClient,
  table: string,
  page: { limit: number; cursor?: string; share?: Share },
  attributes?: string[],
): Promise<{ items: Item[]; next: string | null }> {
  const answer = await client.send(
    new ScanCommand({
      TableName: table,
      ConsistentRead: page.share === undefined,
      Limit: page.limit,
      ...(page.share ? { Segment: page.share.index, TotalSegments: page.share.of } : {}),
      ...(page.cursor === undefined ? {} : { ExclusiveStartKey: JSON.parse(page.cursor) as Item }),
      ...(attributes
        ? {
            ProjectionExpression: attributes.map((_, i) => `#${i}`).join(', '),
            ExpressionAttributeNames: Object.fromEntries(attributes.map((name, i) => [`#${i}`, name])),
          }
        : {}),
    }),
  );
  // Keys are strings and numbers, both strings in an item, so that JSON keeps them.
  return { items: answer.Items ?? [], next: answer.LastEvaluatedKey ? JSON.stringify(answer.LastEvaluatedKey) : null };
}

export function cursorOf(sk: string): string {
  return Buffer.from(sk, 'utf8').toString('base64url');
}

export function skOfCursor(cursor: string): string {
  const sk = Buffer.from(cursor, 'base64url').toString('utf8');
  if (sk === '' || cursorOf(sk) !== cursor)
    throw new Problem('invalid-cursor', 'Start the list again without a cursor.');
  return sk;
}
