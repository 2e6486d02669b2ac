/**
 * An add of its own leaves a mark in the record, with what it added up to, so that asking again after an answer that was lost finds it done
 * and what it came to. A transaction's token would do as much for twice the price, and tell no sum. Marks are attributes beside the data,
 * named `+`, the time, something random and the field; they go when nobody can still be asking again.
 */
import { randomBytes } from 'node:crypto';
import { type DynamoDBClient, type Update, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import type { RecordKey, RecordWrite } from '../../domain/ports.ts';
import { fieldName, type Item } from './attributes.ts';
import { placeholders, retryOnConflict } from './dynamo.ts';
import { alive, expiry, keyOf } from './record-writes.ts';

type Add = RecordWrite & { op: 'add' };

/** Longer than all attempts of a call take. */
const tokenMilliseconds = 120_000;
/** Only so many are worth the write that takes them away. */
const enoughTokens = 20;

/** `now`: milliseconds since the epoch. */
export function newWriteToken(now: number): string {
  return `+${now.toString(36)} ${randomBytes(6).toString('base64url')} `;
}

/** Adds to a record that lives or was never there, unless that was done under this mark before; else it is refused, and the record shown. */
export function toTokenUpdate(
  table: string,
  { add = {}, expiresAt, ...key }: Add,
  seconds: number,
  token: string,
): Update & { UpdateExpression: string | undefined } {
  const at = placeholders();
  const sets = Object.entries(add).flatMap(([field, by]) => {
    const name = at.name(fieldName(field));
    // Both see the record as it was before.
    const sum = `if_not_exists(${name}, ${at.value({ N: '0' })}) + ${at.value({ N: String(by) })}`;
    return [`${name} = ${sum}`, `${at.name(token + field)} = ${sum}`];
  });
  for (const [name, value] of Object.entries(expiry(expiresAt))) sets.push(`${at.name(name)} = ${at.value(value)}`);
  const isNew = Object.keys(add).map((field) => `attribute_not_exists(${at.name(token + field)})`);
  const lives = `(attribute_not_exists(${at.name('pk')}) OR ${alive(at, seconds)})`;
  return {
    TableName: table,
    Key: keyOf(key),
    UpdateExpression: sets.length > 0 ? `SET ${sets.join(', ')}` : undefined,
    ConditionExpression: [lives, ...isNew].join(' AND '),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    ...at.all(),
  };
}

/** The item with that mark, where the add is all that the record holds. */
export function withToken(item: Item, token: string, add: { [field: string]: number }): Item {
  return {
    ...item,
    ...Object.fromEntries(Object.entries(add).map(([field, by]) => [token + field, { N: String(by) }])),
  };
}

/** What the add under that mark came to; undefined when it has not been done. */
export function sumsOf(item: Item, token: string): { [field: string]: number } | undefined {
  const sums = Object.entries(item).filter(([name]) => name.startsWith(token));
  return sums.length > 0
    ? Object.fromEntries(sums.map(([name, sum]) => [name.slice(token.length), Number(sum.N)]))
    : undefined;
}

/** Takes marks away that nobody asks for any more, once there are some. */
export async function removeOldTokens(
  dynamo: DynamoDBClient,
  table: string,
  key: RecordKey,
  item: Item,
  now: number,
): Promise<void> {
  const old = Object.keys(item).filter(
    (name) => name.startsWith('+') && Number.parseInt(name.slice(1), 36) < now - tokenMilliseconds,
  );
  if (old.length < enoughTokens) return;
  const at = placeholders();
  const update = {
    UpdateExpression: `REMOVE ${old.map(at.name).join(', ')}`,
    ConditionExpression: `attribute_exists(${at.name('pk')})`,
  };
  await retryOnConflict(() =>
    dynamo.send(new UpdateItemCommand({ TableName: table, Key: keyOf(key), ...update, ...at.all() })),
  ).catch((error: unknown) => {
    if (!(error instanceof Error && error.name === 'ConditionalCheckFailedException')) throw error;
  });
}
