/**
 * Working state in one DynamoDB table. DynamoDB removes an expired item hours or days late, so every read and every condition here
 * takes what is past its `expiresAt` for absent.
 */
import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { JsonObject, Records, RecordWrite, StoredRecord } from '../../domain/ports.ts';
import { checkChanges, checkItem, checkTransaction } from '../limits.ts';
import { dataOf, type Item } from './attributes.ts';
import {
  checkQueryLimit,
  cursorOf,
  distinct,
  getItems,
  pairName,
  placeholders,
  putItems,
  retryOnConflict,
  skOfCursor,
  transact,
} from './dynamo.ts';
import { type DeadRecords, keyOf, mayGoOn, toItem, toPutIf, toReplacement, toWrite } from './record-writes.ts';
import { newWriteToken, removeOldTokens, sumsOf, toTokenUpdate, withToken } from './write-tokens.ts';

/** `now`: milliseconds since the epoch. */
export function awsRecords(dynamo: () => DynamoDBClient, prefix: string, now: () => number): Records {
  const table = `${prefix}records`;
  const seconds = () => now() / 1000;
  const lives = (item: Item) => item.expiresAt?.N === undefined || Number(item.expiresAt.N) > seconds();

  return {
    async get(key) {
      const answer = await dynamo().send(
        new GetItemCommand({ TableName: table, Key: keyOf(key), ConsistentRead: true }),
      );
      return answer.Item && lives(answer.Item) ? toRecord(answer.Item) : undefined;
    },

    async getMany(keys) {
      const items = await getItems(dynamo(), table, distinct(keys, pairName).map(keyOf));
      return items.filter(lives).map(toRecord);
    },

    async query(pk, { prefix: begin, limit, cursor }) {
      checkQueryLimit(limit);
      const found: StoredRecord[] = [];
      let start: Item | undefined = cursor === undefined ? undefined : keyOf({ pk, sk: skOfCursor(cursor) });
      const at = placeholders();
      const own = `${at.name('pk')} = ${at.value({ S: pk })}`;
      const KeyConditionExpression = begin
        ? `${own} AND begins_with(${at.name('sk')}, ${at.value({ S: begin })})`
        : own;
      do {
        const page = await dynamo().send(
          new QueryCommand({
            TableName: table,
            KeyConditionExpression,
            ...at.all(),
            ConsistentRead: true,
            Limit: limit + 1 - found.length,
            ExclusiveStartKey: start,
          }),
        );
        found.push(...(page.Items ?? []).filter(lives).map(toRecord));
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
      const alone = only && writes.length === 1 ? await writeAlone(dynamo(), table, only, seconds()) : undefined;
      if (alone !== undefined) return alone;
      const dead: DeadRecords = new Map();
      for (;;) {
        const outcome = await transact(
          dynamo(),
          writes.map((write, i) => toWrite(table, write, seconds(), dead.get(i))),
        );
        if (outcome === 'done') return true;
        if (!mayGoOn(writes, outcome, dead, lives)) return false;
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
          const Update = toTokenUpdate(table, write, seconds(), token);
          const answer = await retryOnConflict(() =>
            dynamo().send(new UpdateItemCommand({ ...Update, ReturnValues: 'ALL_NEW' })),
          );
          const { Attributes: after = {} } = answer;
          await removeOldTokens(dynamo(), table, key, after, now());
          return dataOf(after);
        } catch (error) {
          if (!(error instanceof ConditionalCheckFailedException)) throw error;
          // Done before: the answer to that was lost.
          const sums = error.Item && sumsOf(error.Item, token);
          if (sums) return { ...dataOf(error.Item ?? {}), ...sums };
          const { Put } = toReplacement(table, write, error.Item?.expiresAt?.N ?? '0');
          const replaced = await conditionally(() =>
            dynamo().send(new PutItemCommand({ ...Put, Item: withToken(Put.Item, token, add) })),
          );
          if (replaced) return { ...add };
        }
      }
    },

    async putMany(records) {
      for (const record of records) checkItem(record);
      await putItems(dynamo(), table, distinct(records, pairName).map(toItem));
    },
  };
}

function dataOfWrite(write: RecordWrite): JsonObject {
  return write.op === 'put' ? write.data : write.op === 'add' ? { ...write.set, ...write.add } : {};
}

function toRecord(item: Item): StoredRecord {
  const record = { pk: item.pk?.S ?? '', sk: item.sk?.S ?? '', data: dataOf(item) };
  return item.expiresAt?.N === undefined ? record : { ...record, expiresAt: Number(item.expiresAt.N) };
}

/** False when the condition did not hold. */
async function conditionally(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await retryOnConflict(write);
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return false;
    throw error;
  }
}

/**
 * What costs half without a transaction: puts and deletes that give the same however often they are done, and conditional puts, which leave
 * a token (`w`) that tells who asks again after a lost answer that it was done. Undefined: not one of these.
 */
async function writeAlone(
  dynamo: DynamoDBClient,
  table: string,
  write: RecordWrite,
  seconds: number,
): Promise<boolean | undefined> {
  if (write.op === 'put' && write.if !== undefined) return putIf(dynamo, toPutIf(table, write, seconds));
  if (write.if !== undefined) return undefined;
  if (write.op === 'put')
    await retryOnConflict(() => dynamo.send(new PutItemCommand({ TableName: table, Item: toItem(write) })));
  else if (write.op === 'delete')
    await retryOnConflict(() => dynamo.send(new DeleteItemCommand({ TableName: table, Key: keyOf(write) })));
  else return undefined;
  return true;
}

/** False also where it was done, the answer lost, and somebody else has put another record since. */
async function putIf(dynamo: DynamoDBClient, { put, token }: ReturnType<typeof toPutIf>): Promise<boolean> {
  try {
    await retryOnConflict(() => dynamo.send(new PutItemCommand(put)));
    return true;
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    return error.Item?.w?.B !== undefined && Buffer.compare(error.Item.w.B, token) === 0;
  }
}
