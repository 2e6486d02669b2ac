/**
 * A token makes an add idempotent without a transaction, for half the price. The add leaves the token and its sums in
 * the record. A repeat after a lost answer finds the token and returns the sums. A transaction would not return sums.
 *
 * Tokens are attributes beside the data, named `+{time in base 36} {random} {field}`. Later adds remove old ones.
 */
import { randomBytes } from 'node:crypto';
import { type DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { RecordKey, RecordWrite } from '../../domain/ports.ts';
import { fieldName, type Item } from './attributes.ts';
import { placeholders, retryOnConflict } from './dynamo.ts';
import { absentOrAlive, expiry, keyOf, type Update } from './record-writes.ts';

type Add = RecordWrite & { op: 'add' };

/** Longer than all attempts of one call take together. */
const lifetimeMilliseconds = 120_000;
/** Fewer old tokens are not worth a write. */
const minRemoved = 20;

/** `now`: milliseconds since the epoch. */
export function newWriteToken(now: number): string {
  return `+${now.toString(36)} ${randomBytes(6).toString('base64url')} `;
}

/**
 * Adds to a live record or to none, unless the record holds this token. A refusal contains the record. `now`: seconds
 * since the epoch.
 */
export function toTokenUpdate(table: string, { add = {}, expiresAt, ...key }: Add, now: number, token: string): Update {
  const at = placeholders();
  const sets = Object.entries(add).flatMap(([field, by]) => {
    const name = at.name(fieldName(field));
    // DynamoDB evaluates both against the record as it was before the update.
    const sum = `if_not_exists(${name}, ${at.value(0)}) + ${at.value(by)}`;
    return [`${name} = ${sum}`, `${at.name(token + field)} = ${sum}`];
  });
  for (const [name, value] of Object.entries(expiry(expiresAt))) sets.push(`${at.name(name)} = ${at.value(value)}`);
  const isNew = Object.keys(add).map((field) => `attribute_not_exists(${at.name(token + field)})`);
  return {
    TableName: table,
    Key: keyOf(key),
    UpdateExpression: sets.length > 0 ? `SET ${sets.join(', ')}` : undefined,
    ConditionExpression: [`(${absentOrAlive(at, now)})`, ...isNew].join(' AND '),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    ...at.all(),
  };
}

/** The item with the token of an add that creates the record. */
export function withToken(item: Item, token: string, add: { [field: string]: number }): Item {
  return { ...item, ...Object.fromEntries(Object.entries(add).map(([field, by]) => [token + field, by])) };
}

/** The sums of the add with this token. Undefined when the add was not applied. */
export function sumsOf(item: Item, token: string): { [field: string]: number } | undefined {
  const sums = Object.entries(item).filter(([name]) => name.startsWith(token));
  return sums.length > 0
    ? Object.fromEntries(sums.map(([name, sum]) => [name.slice(token.length), Number(sum)]))
    : undefined;
}

/** Removes expired tokens from the record, once there are enough of them. `now`: milliseconds since the epoch. */
export async function removeOldTokens(
  documents: DynamoDBDocumentClient,
  table: string,
  key: RecordKey,
  item: Item,
  now: number,
): Promise<void> {
  const old = Object.keys(item).filter(
    (name) => name.startsWith('+') && Number.parseInt(name.slice(1), 36) < now - lifetimeMilliseconds,
  );
  if (old.length < minRemoved) return;
  const at = placeholders();
  const update = {
    UpdateExpression: `REMOVE ${old.map(at.name).join(', ')}`,
    ConditionExpression: `attribute_exists(${at.name('pk')})`,
  };
  await retryOnConflict(() =>
    documents.send(new UpdateCommand({ TableName: table, Key: keyOf(key), ...update, ...at.all() })),
  ).catch((error: unknown) => {
    if (!(error instanceof Error && error.name === 'ConditionalCheckFailedException')) throw error;
  });
}
