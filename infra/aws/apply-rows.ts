/**
 * Writes the row changes of a commit and the cursor of (projection, stream) in one DynamoDB transaction. The cursor is
 * an item of the table `cursors`: pk is the stream, sk the projection, `v` the version applied last.
 */
import { randomBytes } from 'node:crypto';
import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  type Put,
  PutItemCommand,
  type TransactWriteItem,
} from '@aws-sdk/client-dynamodb';
import type { RowChange } from '../../domain/ports.ts';
import { LimitExceeded } from '../limits.ts';
import { fieldName, fieldsOf, type Item, toAttribute } from './attributes.ts';
import { placeholders, retryOnConflict, transact } from './dynamo.ts';

/** Identifies a cursor: the projection's name (of any generation) and the stream. */
export type CursorKey = { projection: string; stream: string };

export function keyOf({ pk, sk }: { pk: string; sk: string }): Item {
  return { pk: { S: pk }, sk: { S: sk } };
}

export function cursorKeyOf({ projection, stream }: CursorKey): Item {
  return keyOf({ pk: stream, sk: projection });
}

/** The version in a cursor item, 0 without an item. */
export function versionOf(item: Item | undefined): number {
  return Number(item?.v?.N ?? 0);
}

/** `Rows.apply` for changes that are within the limits. Throws LimitExceeded for a change that DynamoDB refuses. */
export async function applyRows(
  dynamo: DynamoDBClient,
  prefix: string,
  cursor: CursorKey,
  version: number,
  changes: RowChange[],
): Promise<'applied' | 'stale' | 'gap'> {
  const put = cursorPut(`${prefix}cursors`, cursor, version);
  if (changes.length === 0) return moveCursor(dynamo, put, version);
  try {
    const outcome = await transact(dynamo, [{ Put: put }, ...changes.map((change) => toWrite(prefix, change))]);
    return outcome === 'done' ? 'applied' : refusal(outcome[0]?.Item, version);
  } catch (error) {
    throw isInvalidChange(error)
      ? new LimitExceeded(
          'DynamoDB refuses a row change: the row is too large, or it adds to a field that is no number',
        )
      : error;
  }
}

/** Puts the version in the cursor item, on condition that the cursor is at the version before. */
function cursorPut(TableName: string, cursor: CursorKey, version: number): Put & { Item: Item } {
  return {
    TableName,
    Item: { ...cursorKeyOf(cursor), v: { N: String(version) } },
    ...(version === 1
      ? { ConditionExpression: 'attribute_not_exists(v)' }
      : { ConditionExpression: 'v = :before', ExpressionAttributeValues: { ':before': { N: String(version - 1) } } }),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  };
}

/**
 * Moves a cursor without a transaction, for half of the write units. The token `w` in the item does the work of a
 * transaction's token: a repeated put, after a lost answer, finds its own token and counts as applied.
 */
async function moveCursor(
  dynamo: DynamoDBClient,
  put: Put & { Item: Item },
  version: number,
): Promise<'applied' | 'stale' | 'gap'> {
  const token = new Uint8Array(randomBytes(6));
  try {
    const command = new PutItemCommand({ ...put, Item: { ...put.Item, w: { B: token } } });
    await retryOnConflict(() => dynamo.send(command));
    return 'applied';
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    const isOwn = error.Item?.w?.B !== undefined && Buffer.compare(error.Item.w.B, token) === 0;
    return isOwn ? 'applied' : refusal(error.Item, version);
  }
}

function refusal(item: Item | undefined, version: number): 'stale' | 'gap' {
  return versionOf(item) >= version ? 'stale' : 'gap';
}

function toWrite(prefix: string, change: RowChange): TransactWriteItem {
  const TableName = `${prefix}${change.table}`;
  const Key = keyOf(change);
  switch (change.op) {
    case 'put':
      return { Put: { TableName, Item: { ...Key, ...fieldsOf(change.data) } } };
    case 'delete':
      return { Delete: { TableName, Key } };
    case 'update': {
      const at = placeholders();
      // Without an expression, DynamoDB refuses an update in a transaction. `r` is not data, so no read returns it.
      const isEmpty = Object.keys({ ...change.set, ...change.add }).length === 0;
      const update = updateOf(at, change, isEmpty ? { r: { BOOL: true } } : {});
      return { Update: { TableName, Key, ...update, ...at.all() } };
    }
  }
}

/** The expression that sets and adds fields. `more` are attributes to set beside the data. */
export function updateOf(
  at: ReturnType<typeof placeholders>,
  { set = {}, add = {} }: Pick<RowChange & { op: 'update' }, 'set' | 'add'>,
  more: Item = {},
): { UpdateExpression: string | undefined } {
  const sets = [
    ...Object.entries(set).map(([field, value]) => [fieldName(field), toAttribute(value)] as const),
    ...Object.entries(more),
  ].map(([name, value]) => `${at.name(name)} = ${at.value(value)}`);
  const adds = Object.entries(add).map(([field, by]) => `${at.name(fieldName(field))} ${at.value({ N: String(by) })}`);
  const parts = [
    ...(sets.length > 0 ? [`SET ${sets.join(', ')}`] : []),
    ...(adds.length > 0 ? [`ADD ${adds.join(', ')}`] : []),
  ];
  return { UpdateExpression: parts.length > 0 ? parts.join(' ') : undefined };
}

/** Whether DynamoDB refuses the row that a change would make. Everything else about a request is checked before. */
function isInvalidChange(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const reasons =
    'CancellationReasons' in error ? (error.CancellationReasons as { Code?: string }[] | undefined) : undefined;
  return error.name === 'ValidationException' || (reasons ?? []).some(({ Code }) => Code === 'ValidationError');
}
