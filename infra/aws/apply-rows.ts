/**
 * How changes of rows and the cursor of (projection, stream) are written together, for as little as it takes. Transactions cost twice,
 * so there is one only where rows that others change too have to change at the same moment. Otherwise: what may show early is put
 * first, then one conditional write moves the cursor, which rests in the row that belongs to the stream (its home) where it has one.
 *
 * A home has two attributes of ours: `v`, the cursor, and `r`, that there is a row. With `v` alone it is a cursor without a row: one
 * that was deleted, or has not come to be. What is written without a cursor has no `v`, and is a row with or without `r`. `w` says which
 * write it was that moved the cursor, as the token of a transaction would: so that asking again, after an answer that was lost, finds it done.
 *
 * A home that is a trail goes on to its next row with the commits that put one. No write can compare the row before it: what a late one does
 * again is what was there already, and the condition on its own row keeps it from taking the cursor back.
 */
import { randomBytes } from 'node:crypto';
import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  PutItemCommand,
  type TransactWriteItem,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { RowChange, RowKey } from '../../domain/ports.ts';
import { LimitExceeded } from '../limits.ts';
import { fieldName, fieldsOf, type Item, toAttribute } from './attributes.ts';
import { placeholders, retryOnConflict, transact } from './dynamo.ts';
import { inParallel } from './parallel.ts';

/** An item that holds a cursor: the stream's home, or one of the table of cursors. Of a trail it is the newest row, which holds `cursor`. */
export type CursorPlace = { table: string; key: Item; home: RowKey | undefined; trail?: { cursor: number } };

type Write =
  | { Put: NonNullable<TransactWriteItem['Put']> & { Item: Item } }
  | { Update: NonNullable<TransactWriteItem['Update']> & { UpdateExpression: string | undefined } }
  | { Delete: NonNullable<TransactWriteItem['Delete']> };

export function keyOf({ pk, sk }: { pk: string; sk: string }): Item {
  return { pk: { S: pk }, sk: { S: sk } };
}

/** Whether the item is a row, and not a mere cursor. */
export function isRow(item: Item): boolean {
  return item.v === undefined || item.r !== undefined;
}

export function cursorIn(item: Item | undefined): number {
  return Number(item?.v?.N ?? 0);
}

/** Throws LimitExceeded for a change that no row takes. */
export async function applyRows(
  dynamo: DynamoDBClient,
  prefix: string,
  place: CursorPlace,
  version: number,
  changes: RowChange[],
): Promise<'applied' | 'stale' | 'gap'> {
  const own = changes.find((change) => isOwn(place, change));
  const others = changes.filter((change) => change !== own);
  const ahead = others.filter((change) => mayComeFirst(change));
  const together = others.filter((change) => !ahead.includes(change));
  if (place.trail && place.trail.cursor !== version - 1) return place.trail.cursor < version ? 'gap' : 'stale';
  const advance = place.trail && own ? nextOn(place, version, own) : advanceTo(place, version, own);
  try {
    await inParallel(8, ahead, (change) => send(dynamo, toWrite(prefix, change)));
    if (together.length === 0) {
      return await move(dynamo, advance, version);
    }
    const outcome = await transact(dynamo, [advance.write, ...together.map((change) => toWrite(prefix, change))]);
    return outcome === 'done' ? 'applied' : refusal(outcome[0]?.Item, version);
  } catch (error) {
    throw isUnfit(error)
      ? new LimitExceeded('a change that DynamoDB takes of no one: too large a row, or an add to what is no number')
      : error;
  }
}

function mayComeFirst(change: RowChange): boolean {
  return change.op !== 'delete' && change.ahead === true && !(change.op === 'update' && change.add);
}

async function move(
  dynamo: DynamoDBClient,
  { write, token }: Advance,
  version: number,
): Promise<'applied' | 'stale' | 'gap'> {
  try {
    await send(dynamo, write);
    return 'applied';
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    const done = error.Item?.w?.B && Buffer.compare(error.Item.w.B, token) === 0;
    return done ? 'applied' : refusal(error.Item, version);
  }
}

function refusal(item: Item | undefined, version: number): 'stale' | 'gap' {
  return cursorIn(item) >= version ? 'stale' : 'gap';
}

function isOwn({ home, trail }: CursorPlace, change: RowChange): boolean {
  if (change.table !== home?.table || change.pk !== home.pk) return false;
  return trail ? change.op === 'put' && change.sk.startsWith(home.sk) : change.sk === home.sk;
}

type Advance = { write: Write; token: Uint8Array };

/** Moves the cursor to the row that comes next on the trail. */
function nextOn({ table: TableName }: CursorPlace, version: number, own: RowChange): Advance {
  const at = placeholders();
  const token = new Uint8Array(randomBytes(6));
  const Item = {
    ...keyOf(own),
    ...(own.op === 'put' && fieldsOf(own.data)),
    ...exists,
    v: { N: String(version) },
    w: { B: token },
  };
  const isNext = {
    ConditionExpression: `attribute_not_exists(${at.name('v')})`,
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
  };
  return { token, write: { Put: { TableName, Item, ...isNext, ...at.all() } } };
}

/** Moves the cursor by one, and changes the row it is in. */
function advanceTo(
  { table: TableName, key: Key, home }: CursorPlace,
  version: number,
  own: RowChange | undefined,
): Advance {
  const at = placeholders();
  const token = new Uint8Array(randomBytes(6));
  const cursor: Item = { v: { N: String(version) }, w: { B: token } };
  const isNext = () => ({
    ConditionExpression:
      version === 1
        ? `attribute_not_exists(${at.name('v')})`
        : `${at.name('v')} = ${at.value({ N: String(version - 1) })}`,
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
  });
  // A home may have been made by someone else, and then keeps what it has.
  if (home && (!own || own.op === 'update')) {
    const update = updateOf(at, own ?? {}, { ...cursor, ...(own && exists) });
    const next = isNext();
    return { token, write: { Update: { TableName, Key, ...update, ...next, ...at.all() } } };
  }
  const next = isNext();
  const data = own?.op === 'put' ? { ...fieldsOf(own.data), ...exists } : {};
  return { token, write: { Put: { TableName, Item: { ...Key, ...data, ...cursor }, ...next, ...at.all() } } };
}

const exists: Item = { r: { BOOL: true } };

function toWrite(prefix: string, change: RowChange): Write {
  const TableName = `${prefix}${change.table}`;
  const Key = keyOf(change);
  switch (change.op) {
    case 'put':
      return { Put: { TableName, Item: { ...Key, ...fieldsOf(change.data) } } };
    case 'delete':
      return { Delete: { TableName, Key } };
    case 'update': {
      const at = placeholders();
      return { Update: { TableName, Key, ...updateOf(at, change, exists), ...at.all() } };
    }
  }
}

async function send(dynamo: DynamoDBClient, write: Write): Promise<void> {
  await retryOnConflict(async () => {
    if ('Put' in write) await dynamo.send(new PutItemCommand(write.Put));
    else if ('Update' in write) await dynamo.send(new UpdateItemCommand(write.Update));
    else await dynamo.send(new DeleteItemCommand(write.Delete));
  });
}

/** The expression that sets and adds; an update with neither still makes the item. */
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

/** Whether it is what a change would make of a row that was refused; all else about a request is checked before. */
function isUnfit(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const reasons =
    'CancellationReasons' in error ? (error.CancellationReasons as { Code?: string }[] | undefined) : undefined;
  return error.name === 'ValidationException' || (reasons ?? []).some(({ Code }) => Code === 'ValidationError');
}
