/**
 * Working state in one DynamoDB table. DynamoDB removes expired items hours or days late. Every read and every
 * condition here therefore treats an item past its `expiresAt` as absent.
 */
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import {
  DeleteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb';
import type { JsonObject, Records, RecordWrite, StoredRecord } from '../../domain/ports.ts';
import { checkChanges, checkItem, checkTransaction } from '../limits.ts';
import { dataOf, type Item, numberIn, stringIn } from './attributes.ts';
import {
  checkQueryLimit,
  cursorOf,
  distinct,
  getItems,
  itemOf,
  pairName,
  placeholders,
  putItems,
  retryOnConflict,
  skOfCursor,
  transact,
} from './dynamo.ts';
import { canRetry, type ExpiredRecords, keyOf, toItem, toPutIf, toReplacement, toWrite } from './record-writes.ts';
import { newWriteToken, removeOldTokens, sumsOf, toTokenUpdate, withToken } from './write-tokens.ts';

/** `now`: milliseconds since the epoch. */
export function awsRecords(documents: () => DynamoDBDocumentClient, prefix: string, now: () => number): Records {
  const table = `${prefix}records`;
  const seconds = () => now() / 1000;
  const isAlive = (item: Item) => item.expiresAt === undefined || numberIn(item, 'expiresAt') > seconds();

  return {
    async get(key) {
      const answer = await documents().send(
        new GetCommand({ TableName: table, Key: keyOf(key), ConsistentRead: true }),
      );
      const item: Item | undefined = answer.Item;
      return item && isAlive(item) ? toRecord(item) : undefined;
    },

    async getMany(keys) {
      const items = await getItems(documents(), table, distinct(keys, pairName).map(keyOf));
      return items.filter(isAlive).map(toRecord);
    },

    async query(pk, { prefix: skPrefix, limit, cursor }) {
      checkQueryLimit(limit);
      const found: StoredRecord[] = [];
      let start: Item | undefined = cursor === undefined ? undefined : keyOf({ pk, sk: skOfCursor(cursor) });
      const at = placeholders();
      const samePk = `${at.name('pk')} = ${at.value(pk)}`;
      const KeyConditionExpression = skPrefix
        ? `${samePk} AND begins_with(${at.name('sk')}, ${at.value(skPrefix)})`
        : samePk;
      do {
        const page = await documents().send(
          new QueryCommand({
            TableName: table,
            KeyConditionExpression,
            ...at.all(),
            ConsistentRead: true,
            Limit: limit + 1 - found.length,
            ExclusiveStartKey: start,
          }),
        );
        found.push(...(page.Items ?? []).filter(isAlive).map(toRecord));
        start = page.LastEvaluatedKey;
      } while (start && found.length <= limit);
      const items = found.slice(0, limit);
      const last = items.at(-1);
      return { items, next: last && found.length > limit ? cursorOf(last.sk) : null };
    },

    async write(writes) {
      checkChanges(writes.map(pairName));
      checkTransaction(writes.map((write) => checkItem({ ...write, data: dataOfWrite(write) })));
      const [only] = writes;
      const written =
        only && writes.length === 1 ? await writeWithoutTransaction(documents(), table, only, seconds()) : undefined;
      if (written !== undefined) return written;
      const expired: ExpiredRecords = new Map();
      for (;;) {
        const outcome = await transact(
          documents(),
          writes.map((write, i) => toWrite(table, write, seconds(), expired.get(i))),
        );
        if (outcome === 'done') return true;
        if (!canRetry(writes, outcome, expired, isAlive)) return false;
      }
    },

    async add(key, add, expiresAt) {
      const write: RecordWrite & { op: 'add' } = {
        op: 'add',
        ...key,
        add,
        ...(expiresAt === undefined ? {} : { expiresAt }),
      };
      const token = newWriteToken(now());
      for (;;) {
        try {
          const update = toTokenUpdate(table, write, seconds(), token);
          const answer = await retryOnConflict(() =>
            documents().send(new UpdateCommand({ ...update, ReturnValues: 'ALL_NEW' })),
          );
          const after: Item = answer.Attributes ?? {};
          await removeOldTokens(documents(), table, key, after, now());
          return dataOf(after);
        } catch (error) {
          if (!(error instanceof ConditionalCheckFailedException)) throw error;
          const item = itemOf(error) ?? {};
          // An earlier attempt was applied, and its answer was lost.
          const sums = sumsOf(item, token);
          if (sums) return { ...dataOf(item), ...sums };
          const put = toReplacement(table, write, Number(item.expiresAt ?? 0));
          const replaced = await succeeds(() =>
            documents().send(new PutCommand({ ...put, Item: withToken(put.Item, token, add) })),
          );
          if (replaced) return { ...add };
        }
      }
    },

    async putMany(records) {
      for (const record of records) checkItem(record);
      await putItems(documents(), table, distinct(records, pairName).map(toItem));
    },
  };
}

function dataOfWrite(write: RecordWrite): JsonObject {
  return write.op === 'put' ? write.data : write.op === 'add' ? { ...write.set, ...write.add } : {};
}

function toRecord(item: Item): StoredRecord {
  const record = { pk: stringIn(item, 'pk'), sk: stringIn(item, 'sk'), data: dataOf(item) };
  return item.expiresAt === undefined ? record : { ...record, expiresAt: numberIn(item, 'expiresAt') };
}

/** False when the condition of the write did not hold. */
async function succeeds(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await retryOnConflict(write);
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return false;
    throw error;
  }
}

/**
 * Writes without a transaction, at half the price, where a repeat is harmless: unconditional puts and deletes, and
 * conditional puts with a token. Returns whether the condition held, or undefined when the write needs a transaction.
 */
async function writeWithoutTransaction(
  documents: DynamoDBDocumentClient,
  table: string,
  write: RecordWrite,
  now: number,
): Promise<boolean | undefined> {
  if (write.op === 'put' && write.if !== undefined) return putIf(documents, toPutIf(table, write, now));
  if (write.if !== undefined) return undefined;
  if (write.op === 'put')
    await retryOnConflict(() => documents.send(new PutCommand({ TableName: table, Item: toItem(write) })));
  else if (write.op === 'delete')
    await retryOnConflict(() => documents.send(new DeleteCommand({ TableName: table, Key: keyOf(write) })));
  else return undefined;
  return true;
}

/**
 * True when the condition held. The token in the record (`w`) tells a repeat that its first attempt succeeded. Also
 * false when the first attempt succeeded, its answer was lost, and another writer replaced the record since.
 */
async function putIf(documents: DynamoDBDocumentClient, { put, token }: ReturnType<typeof toPutIf>): Promise<boolean> {
  try {
    await retryOnConflict(() => documents.send(new PutCommand(put)));
    return true;
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    const found = itemOf(error)?.w;
    return found instanceof Uint8Array && Buffer.compare(found, token) === 0;
  }
}
