/** Writes of records as DynamoDB requests. Their conditions treat expired records as absent. */
import { randomBytes } from 'node:crypto';
import type { PutCommandInput, UpdateCommandInput } from '@aws-sdk/lib-dynamodb';
import type { RecordCondition, RecordKey, RecordWrite, StoredRecord } from '../../domain/ports.ts';
import { fieldName, fieldsOf, type Item, toAttribute } from './attributes.ts';
import { type Placeholders, placeholders, type Refusal, type TransactItem, updateExpression } from './dynamo.ts';

export type Put = PutCommandInput & { Item: Item };
export type Update = UpdateCommandInput & { Key: Item; UpdateExpression: string | undefined };
type Add = RecordWrite & { op: 'add' };

/**
 * By index of a write: the expiry of the expired record that it met. The next attempt replaces that record instead of
 * adding to it.
 */
export type ExpiredRecords = Map<number, number>;

export function keyOf({ pk, sk }: RecordKey): { pk: string; sk: string } {
  return { pk, sk };
}

export function toItem(record: StoredRecord): Item {
  return { ...keyOf(record), ...fieldsOf(record.data), ...expiry(record.expiresAt) };
}

/** `now`: seconds since the epoch. `expired`: the expiry of the record that an add has to replace. */
export function toWrite(table: string, write: RecordWrite, now: number, expired: number | undefined): TransactItem {
  if (write.op === 'add')
    return expired === undefined
      ? { Update: toUpdate(table, write, now) }
      : { Put: toReplacement(table, write, expired) };
  const at = placeholders();
  const ConditionExpression = write.if === undefined ? undefined : conditionOf(at, write.if, now);
  const target = { TableName: table, ConditionExpression };
  switch (write.op) {
    case 'put':
      return { Put: { ...target, Item: toItem(write), ...at.all() } };
    case 'delete':
      return { Delete: { ...target, Key: keyOf(write), ...at.all() } };
    case 'check':
      return {
        ConditionCheck: { TableName: table, ConditionExpression, Key: keyOf(write), ...at.all() },
      };
  }
}

/** A conditional put outside of a transaction, and the token that it leaves in the record. */
export function toPutIf(
  table: string,
  write: RecordWrite & { op: 'put' },
  now: number,
): { put: Put; token: Uint8Array } {
  const token = new Uint8Array(randomBytes(6));
  const at = placeholders();
  const ConditionExpression = write.if === undefined ? undefined : conditionOf(at, write.if, now);
  const Item = { ...toItem(write), w: token };
  return {
    put: { TableName: table, Item, ConditionExpression, ReturnValuesOnConditionCheckFailure: 'ALL_OLD', ...at.all() },
    token,
  };
}

/** Adds to a live record or to none. The refusal for an expired record contains that record. */
function toUpdate(table: string, write: Add, now: number): Update {
  const at = placeholders();
  const update = updateExpression(at, write, expiry(write.expiresAt));
  const condition =
    write.if === undefined
      ? absentOrAlive(at, now)
      : write.if === 'absent'
        ? `attribute_not_exists(${at.name('pk')})`
        : conditionOf(at, write.if, now);
  return {
    TableName: table,
    Key: keyOf(write),
    ...update,
    ConditionExpression: condition,
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    ...at.all(),
  };
}

/** The add as a put that replaces the expired record with this expiry. */
export function toReplacement(table: string, write: Add, expired: number): Put {
  return {
    TableName: table,
    Item: toItem({ ...write, data: { ...write.set, ...write.add } }),
    ConditionExpression: 'expiresAt = :expired',
    ExpressionAttributeValues: { ':expired': expired },
  };
}

/**
 * After a refused transaction: true when a next attempt can succeed. That is so when every refusal comes from an
 * expired record, or from one that disappeared since the last attempt. Updates `expired` for the next attempt.
 */
export function canRetry(
  writes: RecordWrite[],
  refusals: Refusal[],
  expired: ExpiredRecords,
  isAlive: (item: Item) => boolean,
): boolean {
  return writes.every((write, i) => {
    const refusal = refusals[i];
    if (refusal?.Code !== 'ConditionalCheckFailed') return true;
    if (write.op !== 'add' || (write.if !== undefined && write.if !== 'absent')) return false;
    if (expired.delete(i)) return true;
    const expiresAt = refusal.Item?.expiresAt;
    if (!refusal.Item || typeof expiresAt !== 'number' || isAlive(refusal.Item)) return false;
    expired.set(i, expiresAt);
    return true;
  });
}

function conditionOf(at: Placeholders, condition: RecordCondition, now: number): string {
  if (condition === 'absent')
    return `attribute_not_exists(${at.name('pk')}) OR ${at.name('expiresAt')} <= ${at.value(now)}`;
  const parts = [`attribute_exists(${at.name('pk')})`, `(${alive(at, now)})`];
  if (condition !== 'present') {
    for (const [field, value] of Object.entries(condition.equals))
      parts.push(`${at.name(fieldName(field))} = ${at.value(toAttribute(value))}`);
  }
  return parts.join(' AND ');
}

export function absentOrAlive(at: Placeholders, now: number): string {
  return `attribute_not_exists(${at.name('pk')}) OR ${alive(at, now)}`;
}

function alive(at: Placeholders, now: number): string {
  return `attribute_not_exists(${at.name('expiresAt')}) OR ${at.name('expiresAt')} > ${at.value(now)}`;
}

export function expiry(expiresAt: number | undefined): Item {
  return expiresAt === undefined ? {} : { expiresAt };
}
