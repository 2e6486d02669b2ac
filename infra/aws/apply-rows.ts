/**
 * Writes the row changes of a commit and the cursor of (projection, stream) in one DynamoDB transaction. The cursor is
 * an item of the table `cursors`: pk is the stream, sk the projection, `v` the version applied last.
 */
import { randomBytes } from 'node:crypto';
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { type DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { RowChange } from '../../domain/ports.ts';
import { LimitExceeded } from '../limits.ts';
import { fieldsOf, type Item, numberIn } from './attributes.ts';
import { itemOf, placeholders, retryOnConflict, type TransactItem, transact, updateExpression } from './dynamo.ts';
import type { Put } from './record-writes.ts';

/** Identifies a cursor: the projection's name (of any generation) and the stream. */
export type CursorKey = { projection: string; stream: string };

export function keyOf({ pk, sk }: { pk: string; sk: string }): { pk: string; sk: string } {
  return { pk, sk };
}

export function cursorKeyOf({ projection, stream }: CursorKey): Item {
  return keyOf({ pk: stream, sk: projection });
}

/** The version in a cursor item, 0 without an item. */
export function versionOf(item: Item | undefined): number {
  return item ? numberIn(item, 'v') : 0;
}

/** `Rows.apply` for changes that are within the limits. Throws LimitExceeded for a change that DynamoDB refuses. */
export async function applyRows(
  documents: DynamoDBDocumentClient,
  prefix: string,
  cursor: CursorKey,
  version: number,
  changes: RowChange[],
): Promise<'applied' | 'stale' | 'gap'> {
  const put = cursorPut(`${prefix}cursors`, cursor, version);
  if (changes.length === 0) return moveCursor(documents, put, version);
  try {
    const outcome = await transact(documents, [{ Put: put }, ...changes.map((change) => toWrite(prefix, change))]);
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
function cursorPut(TableName: string, cursor: CursorKey, version: number): Put {
  return {
    TableName,
    Item: { ...cursorKeyOf(cursor), v: version },
    ...(version === 1
      ? { ConditionExpression: 'attribute_not_exists(v)' }
      : { ConditionExpression: 'v = :before', ExpressionAttributeValues: { ':before': version - 1 } }),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  };
}

/**
 * Moves a cursor without a transaction, for half of the write units. The put leaves a token `w` in the item. A repeat
 * after a lost answer finds its own token there, and counts as applied.
 */
async function moveCursor(
  documents: DynamoDBDocumentClient,
  put: Put,
  version: number,
): Promise<'applied' | 'stale' | 'gap'> {
  const token = new Uint8Array(randomBytes(6));
  try {
    const command = new PutCommand({ ...put, Item: { ...put.Item, w: token } });
    await retryOnConflict(() => documents.send(command));
    return 'applied';
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    const stored = itemOf(error);
    const isOwn = stored?.w instanceof Uint8Array && Buffer.compare(stored.w, token) === 0;
    return isOwn ? 'applied' : refusal(stored, version);
  }
}

function refusal(item: Item | undefined, version: number): 'stale' | 'gap' {
  return versionOf(item) >= version ? 'stale' : 'gap';
}

function toWrite(prefix: string, change: RowChange): TransactItem {
  const TableName = `${prefix}${change.table}`;
  const Key = keyOf(change);
  switch (change.op) {
    case 'put':
      return { Put: { TableName, Item: { ...Key, ...fieldsOf(change.data) } } };
    case 'delete':
      return { Delete: { TableName, Key } };
    case 'update': {
      const at = placeholders();
      // Sets the attribute `r`, which no read returns, because DynamoDB refuses an update without an expression.
      const isEmpty = Object.keys({ ...change.set, ...change.add }).length === 0;
      const update = updateExpression(at, change, isEmpty ? { r: true } : {});
      return { Update: { TableName, Key, ...update, ...at.all() } };
    }
  }
}

/** Whether DynamoDB refuses the row that a change would make. Everything else about a request is checked before. */
function isInvalidChange(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const reasons =
    'CancellationReasons' in error ? (error.CancellationReasons as { Code?: string }[] | undefined) : undefined;
  return error.name === 'ValidationException' || (reasons ?? []).some(({ Code }) => Code === 'ValidationError');
}
