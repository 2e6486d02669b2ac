/** Shared by the adapters of the tables: large batches, transactions with retries, expressions, scans and cursors. */
import { randomUUID } from 'node:crypto';
import {
  type ConditionalCheckFailedException,
  TransactionCanceledException,
  TransactionConflictException,
} from '@aws-sdk/client-dynamodb';
import {
  BatchGetCommand,
  BatchWriteCommand,
  type BatchWriteCommandInput,
  type DynamoDBDocumentClient,
  ScanCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from '@aws-sdk/lib-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { Problem } from '../../domain/errors.ts';
import { inParallel } from '../../domain/parallel.ts';
import type { JsonObject } from '../../domain/ports.ts';
import { LimitExceeded, maxQueryLimit } from '../limits.ts';
import { type Attribute, fieldName, type Item, toAttribute } from './attributes.ts';
import { pause } from './pauses.ts';

export type TransactItem = NonNullable<TransactWriteCommandInput['TransactItems']>[number];
type WriteRequest = NonNullable<BatchWriteCommandInput['RequestItems']>[string][number];

/** Why DynamoDB refused one item of a transaction. `Item`: the stored item, when the write asked for it. */
export type Refusal = { Code?: string | undefined; Item?: Item | undefined };

// ── Batches ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Reads any number of distinct keys, strongly consistent. Returns the existing items in any order. */
export async function getItems(client: DynamoDBDocumentClient, table: string, keys: Item[]): Promise<Item[]> {
  const found: Item[] = [];
  await inParallel(8, chunks(keys, 100), async (chunk) => {
    let rest: Item[] = chunk;
    for (let attempt = 0; rest.length > 0; attempt++) {
      if (attempt > 0) await pause(attempt);
      const answer = await client.send(
        new BatchGetCommand({ RequestItems: { [table]: { Keys: rest, ConsistentRead: true } } }),
      );
      found.push(...(answer.Responses?.[table] ?? []));
      rest = answer.UnprocessedKeys?.[table]?.Keys ?? [];
    }
  });
  return found;
}

/** Puts any number of items with distinct keys, without conditions. Not atomic. */
export function putItems(client: DynamoDBDocumentClient, table: string, items: Item[]): Promise<void> {
  return writeItems(
    client,
    table,
    items.map((Item) => ({ PutRequest: { Item } })),
  );
}

/** Deletes any number of distinct keys, without conditions. Not atomic. Missing items are no error. */
export function deleteItems(client: DynamoDBDocumentClient, table: string, keys: Item[]): Promise<void> {
  return writeItems(
    client,
    table,
    keys.map((Key) => ({ DeleteRequest: { Key } })),
  );
}

async function writeItems(client: DynamoDBDocumentClient, table: string, requests: WriteRequest[]): Promise<void> {
  await inParallel(8, chunks(requests, 25), async (chunk) => {
    let rest = chunk;
    for (let attempt = 0; rest.length > 0; attempt++) {
      if (attempt > 0) await pause(attempt);
      const answer = await client.send(new BatchWriteCommand({ RequestItems: { [table]: rest } }));
      rest = answer.UnprocessedItems?.[table] ?? [];
    }
  });
}

// ── Transactions and conditions ─────────────────────────────────────────────────────────────────────────────────────────

/**
 * Writes all items or none. Returns the reason for each item when a condition did not hold. Retries while another
 * transaction works on one of the items. A repeat after a lost answer is not applied twice.
 */
export async function transact(client: DynamoDBDocumentClient, items: TransactItem[]): Promise<'done' | Refusal[]> {
  // One token for all attempts: the first may have succeeded although its answer was lost.
  const ClientRequestToken = randomUUID();
  return retryOnConflict(async () => {
    try {
      await client.send(new TransactWriteCommand({ TransactItems: items, ClientRequestToken }));
      return 'done';
    } catch (error) {
      if (!(error instanceof TransactionCanceledException)) throw error;
      const reasons = error.CancellationReasons ?? [];
      if (!reasons.some((reason) => reason.Code === 'ConditionalCheckFailed')) throw error;
      return reasons.map(({ Code, Item }) => ({ Code, Item: Item && toNative(Item) }));
    }
  });
}

/** The item that a refused write met. The document client leaves the items in errors unconverted. */
export function itemOf(error: ConditionalCheckFailedException): Item | undefined {
  return error.Item && toNative(error.Item);
}

function toNative(item: NonNullable<ConditionalCheckFailedException['Item']>): Item {
  return unmarshall(item, { wrapNumbers: Number });
}

/** Repeats an attempt that lost against another transaction, up to 40 times, with growing pauses. */
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

const passingCodes = ['None', 'TransactionConflict', 'ThrottlingError', 'ProvisionedThroughputExceeded'];

function isConflict(error: unknown): boolean {
  if (error instanceof TransactionConflictException) return true;
  if (!(error instanceof TransactionCanceledException)) return false;
  const codes = (error.CancellationReasons ?? []).map((reason) => reason.Code ?? 'None');
  return codes.some((code) => code !== 'None') && codes.every((code) => passingCodes.includes(code));
}

// ── Expressions ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export type Placeholders = ReturnType<typeof placeholders>;

/** Collects the names and values of an expression under placeholders. */
export function placeholders() {
  const names: { [placeholder: string]: string } = {};
  const values: { [placeholder: string]: Attribute } = {};
  const known = new Map<string, string>();
  return {
    name(attribute: string): string {
      const placeholder = known.get(attribute) ?? `#${known.size}`;
      known.set(attribute, placeholder);
      names[placeholder] = attribute;
      return placeholder;
    },
    value(value: Attribute): string {
      const placeholder = `:${Object.keys(values).length}`;
      values[placeholder] = value;
      return placeholder;
    },
    /** The two maps of a request. An empty map is left out, because DynamoDB refuses it. */
    all: () => ({
      ...(known.size > 0 ? { ExpressionAttributeNames: names } : {}),
      ...(Object.keys(values).length > 0 ? { ExpressionAttributeValues: values } : {}),
    }),
  };
}

/**
 * The expression that sets fields, adds to fields, and sets the attributes in `more`. Undefined when there is nothing
 * to change: an update without expression still creates the item.
 */
export function updateExpression(
  at: Placeholders,
  { set = {}, add = {} }: { set?: JsonObject; add?: { [field: string]: number } },
  more: Item = {},
): { UpdateExpression: string | undefined } {
  const sets = [
    // JSON leaves out undefined fields, so the self-hosted deployment does too.
    ...Object.entries(set)
      .filter(([, value]) => value !== undefined)
      .map(([field, value]) => [fieldName(field), toAttribute(value)] as const),
    ...Object.entries(more),
  ].map(([name, value]) => `${at.name(name)} = ${at.value(value)}`);
  const adds = Object.entries(add).map(([field, by]) => `${at.name(fieldName(field))} ${at.value(by)}`);
  const parts = [
    ...(sets.length > 0 ? [`SET ${sets.join(', ')}`] : []),
    ...(adds.length > 0 ? [`ADD ${adds.join(', ')}`] : []),
  ];
  return { UpdateExpression: parts.length > 0 ? parts.join(' ') : undefined };
}

// ── Pages and keys ──────────────────────────────────────────────────────────────────────────────────────────────────────

export function chunks<T>(all: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
}

/** One element per key: the last. */
export function distinct<T>(all: T[], key: (element: T) => string): T[] {
  return [...new Map(all.map((element) => [key(element), element])).values()];
}

export function pairName(key: { pk: string; sk: string }): string {
  return JSON.stringify([key.pk, key.sk]);
}

export function checkQueryLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > maxQueryLimit) {
    throw new LimitExceeded(`A query has the limit ${limit}. Use 1 to ${maxQueryLimit}.`);
  }
}

/** One of `of` equal parts of a table that are scanned in parallel. `index` counts from 0. */
export type Share = { index: number; of: number };

/**
 * A page of a table, or of one share of it, in the table's own order. `next` is the cursor of the next page. A scan
 * without share is strongly consistent. A scan of a share is eventually consistent and costs half.
 */
export async function scanItems(
  client: DynamoDBDocumentClient,
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
