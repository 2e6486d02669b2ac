/** Writes of records as items of a transaction, under conditions that take expired records for absent. */
import { randomBytes } from 'node:crypto';
import type { CancellationReason, Put, TransactWriteItem, Update } from '@aws-sdk/client-dynamodb';
import type { RecordCondition, RecordKey, RecordWrite, StoredRecord } from '../../domain/ports.ts';
import { updateOf } from './apply-rows.ts';
import { fieldName, fieldsOf, type Item, toAttribute } from './attributes.ts';
import { placeholders } from './dynamo.ts';

type Add = RecordWrite & { op: 'add' };

/** Which writes have met an expired record that they must replace rather than add to, and when that record expired. */
export type DeadRecords = Map<number, string>;

export function keyOf({ pk, sk }: RecordKey): Item {
  return { pk: { S: pk }, sk: { S: sk } };
}

export function toItem(record: StoredRecord): Item {
  return { ...keyOf(record), ...fieldsOf(record.data), ...expiry(record.expiresAt) };
}

/** `seconds`: now, since the epoch. `dead`: when the record expired that an add has to replace. */
export function toWrite(
  table: string,
  write: RecordWrite,
  seconds: number,
  dead: string | undefined,
): TransactWriteItem {
  if (write.op === 'add')
    return dead === undefined ? toUpdate(table, write, seconds) : toReplacement(table, write, dead);
  const at = placeholders();
  const ConditionExpression = write.if === undefined ? undefined : conditionOf(at, write.if, seconds);
  switch (write.op) {
    case 'put':
      return { Put: { TableName: table, Item: toItem(write), ConditionExpression, ...at.all() } };
    case 'delete':
      return { Delete: { TableName: table, Key: keyOf(write), ConditionExpression, ...at.all() } };
    case 'check':
      return { ConditionCheck: { TableName: table, Key: keyOf(write), ConditionExpression, ...at.all() } };
  }
}

/** A conditional put of its own, and the token that it leaves in the record. */
export function toPutIf(
  table: string,
  write: RecordWrite & { op: 'put' },
  seconds: number,
): { put: Put & { Item: Item }; token: Uint8Array } {
  const token = new Uint8Array(randomBytes(6));
  const at = placeholders();
  const ConditionExpression = write.if === undefined ? undefined : conditionOf(at, write.if, seconds);
  const Item = { ...toItem(write), w: { B: token } };
  return {
    put: { TableName: table, Item, ConditionExpression, ReturnValuesOnConditionCheckFailure: 'ALL_OLD', ...at.all() },
    token,
  };
}

/** Adds to a record that lives or was never there; a dead one is refused and shown. */
function toUpdate(
  table: string,
  write: Add,
  seconds: number,
): { Update: Update & { UpdateExpression: string | undefined } } {
  const at = placeholders();
  const update = updateOf(at, write, expiry(write.expiresAt));
  const fits =
    write.if === undefined
      ? `attribute_not_exists(${at.name('pk')}) OR ${alive(at, seconds)}`
      : write.if === 'absent'
        ? `attribute_not_exists(${at.name('pk')})`
        : conditionOf(at, write.if, seconds);
  return {
    Update: {
      TableName: table,
      Key: keyOf(write),
      ...update,
      ConditionExpression: fits,
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      ...at.all(),
    },
  };
}

/** The add as a put in place of the record that expired then. */
export function toReplacement(table: string, write: Add, dead: string): { Put: Put & { Item: Item } } {
  return {
    Put: {
      TableName: table,
      Item: toItem({ ...write, data: { ...write.set, ...write.add } }),
      ConditionExpression: 'expiresAt = :dead',
      ExpressionAttributeValues: { ':dead': { N: dead } },
    },
  };
}

/** After a refusal: whether it was only for expired records, or for one that was not there any more. Notes what to do next in `dead`. */
export function mayGoOn(
  writes: RecordWrite[],
  reasons: CancellationReason[],
  dead: DeadRecords,
  lives: (item: Item) => boolean,
): boolean {
  return writes.every((write, i) => {
    const reason = reasons[i];
    if (reason?.Code !== 'ConditionalCheckFailed') return true;
    if (write.op !== 'add' || (write.if !== undefined && write.if !== 'absent')) return false;
    if (dead.delete(i)) return true;
    const expiresAt = reason.Item?.expiresAt?.N;
    if (!reason.Item || expiresAt === undefined || lives(reason.Item)) return false;
    dead.set(i, expiresAt);
    return true;
  });
}

function conditionOf(at: ReturnType<typeof placeholders>, condition: RecordCondition, seconds: number): string {
  if (condition === 'absent')
    return `attribute_not_exists(${at.name('pk')}) OR ${at.name('expiresAt')} <= ${at.value({ N: String(seconds) })}`;
  const parts = [`attribute_exists(${at.name('pk')})`, `(${alive(at, seconds)})`];
  if (condition !== 'present') {
    for (const [field, value] of Object.entries(condition.equals))
      parts.push(`${at.name(fieldName(field))} = ${at.value(toAttribute(value))}`);
  }
  return parts.join(' AND ');
}

export function alive(at: ReturnType<typeof placeholders>, seconds: number): string {
  return `attribute_not_exists(${at.name('expiresAt')}) OR ${at.name('expiresAt')} > ${at.value({ N: String(seconds) })}`;
}

export function expiry(expiresAt: number | undefined): Item {
  return expiresAt === undefined ? {} : { expiresAt: { N: String(expiresAt) } };
}
