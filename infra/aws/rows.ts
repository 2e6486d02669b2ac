/** Read models in DynamoDB: a table each, and one table of cursors that move in the same transaction as the rows. */
import {
  type AttributeValue,
  type DynamoDBClient,
  GetItemCommand,
  QueryCommand,
  TransactionCanceledException,
  type TransactWriteItem,
} from '@aws-sdk/client-dynamodb';
import { compareKeys } from '../../domain/entry.ts';
import type { Page, Row, RowChange, RowQuery, Rows } from '../../domain/ports.ts';
import { checkChanges, checkItem, checkMany, checkTransaction, LimitExceeded } from '../limits.ts';
import { dataOf, fieldName, fieldsOf, type Item, toAttribute } from './attributes.ts';
import {
  checkQueryLimit,
  cursorOf,
  deleteItems,
  distinct,
  getItems,
  pairName,
  placeholders,
  scanItems,
  skOfCursor,
  transact,
} from './dynamo.ts';

export function awsRows(dynamo: () => DynamoDBClient, prefix: string): Rows {
  const cursors = `${prefix}cursors`;

  async function cursor(projection: string, stream: string): Promise<number> {
    const answer = await dynamo().send(
      new GetItemCommand({ TableName: cursors, Key: { pk: { S: stream }, sk: { S: projection } }, ConsistentRead: true }),
    );
    return Number(answer.Item?.v?.N ?? 0);
  }

  return {
    cursor,

    async cursors(projection, streams) {
      checkMany(streams);
      const keys = [...new Set(streams)].map((stream) => ({ pk: { S: stream }, sk: { S: projection } }));
      const items = await getItems(dynamo(), cursors, keys);
      return new Map(items.map((item) => [item.pk?.S ?? '', Number(item.v?.N)]));
    },

    async get({ table, pk, sk }) {
      const answer = await dynamo().send(
        new GetItemCommand({ TableName: `${prefix}${table}`, Key: { pk: { S: pk }, sk: { S: sk } }, ConsistentRead: true }),
      );
      return answer.Item && toRow(answer.Item);
    },

    async getMany(table, keys) {
      checkMany(keys);
      const wanted = distinct(keys, pairName).map(({ pk, sk }) => ({ pk: { S: pk }, sk: { S: sk } }));
      return (await getItems(dynamo(), `${prefix}${table}`, wanted)).map(toRow);
    },

    query: (query) => queryRows(dynamo(), prefix, query),

    async apply(projection, stream, version, changes) {
      checkChanges(
        changes.map((change) => `${change.table} ${pairName(change)}`),
        true,
      );
      checkTransaction(changes.map(sizeOf));
      const advance: TransactWriteItem = {
        Put: {
          TableName: cursors,
          Item: { pk: { S: stream }, sk: { S: projection }, v: { N: String(version) } },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
          ...(version === 1
            ? { ConditionExpression: 'attribute_not_exists(pk)' }
            : { ConditionExpression: 'v = :before', ExpressionAttributeValues: { ':before': { N: String(version - 1) } } }),
        },
      };
      const writes = [advance, ...changes.map((change) => toWrite(prefix, change))];
      const outcome = await transact(dynamo(), writes).catch((error: unknown) => {
        throw isUnfit(error)
          ? new LimitExceeded('a change that DynamoDB takes of no one: too large a row, or an add to what is no number')
          : error;
      });
      if (outcome === 'done') return 'applied';
      const reached = Number(outcome[0]?.Item?.v?.N ?? 0);
      return reached >= version ? 'stale' : 'gap';
    },

    async scan(table, page) {
      const { items, next } = await scanItems(dynamo(), `${prefix}${table}`, page);
      return { items: items.map(toRow), next };
    },

    async remove(table, keys) {
      checkMany(keys);
      const all = distinct(keys, pairName).map(({ pk, sk }) => ({ pk: { S: pk }, sk: { S: sk } }));
      await deleteItems(dynamo(), `${prefix}${table}`, all);
    },

    async forget(projection, streams) {
      checkMany(streams);
      const all = [...new Set(streams)].map((stream) => ({ pk: { S: stream }, sk: { S: projection } }));
      await deleteItems(dynamo(), cursors, all);
    },
  };
}

/** Whether it is what a change would make of a row that was refused; all else about a request is checked before. */
function isUnfit(error: unknown): boolean {
  return error instanceof TransactionCanceledException && (error.CancellationReasons ?? []).some(({ Code }) => Code === 'ValidationError');
}

/** At least that much: what an update leaves as it is counts too, and DynamoDB looks after it. */
function sizeOf(change: RowChange): number {
  return checkItem({
    pk: change.pk,
    sk: change.sk,
    data: change.op === 'put' ? change.data : change.op === 'update' ? (change.set ?? {}) : {},
  });
}

function toRow(item: Item): Row {
  return { pk: item.pk?.S ?? '', sk: item.sk?.S ?? '', data: dataOf(item) };
}

function toWrite(prefix: string, change: RowChange): TransactWriteItem {
  const TableName = `${prefix}${change.table}`;
  const Key = { pk: { S: change.pk }, sk: { S: change.sk } };
  switch (change.op) {
    case 'put':
      return { Put: { TableName, Item: { ...Key, ...fieldsOf(change.data) } } };
    case 'delete':
      return { Delete: { TableName, Key } };
    case 'update': {
      const at = placeholders();
      return { Update: { TableName, Key, ...updateOf(at, change), ...at.all() } };
    }
  }
}

/** The expression that sets and adds; an update with neither still makes the item. */
export function updateOf(
  at: ReturnType<typeof placeholders>,
  { set = {}, add = {} }: Pick<RowChange & { op: 'update' }, 'set' | 'add'>,
  more: { [attribute: string]: AttributeValue } = {},
): { UpdateExpression: string | undefined } {
  const sets = [
    ...Object.entries(set).map(([field, value]) => [fieldName(field), toAttribute(value)] as const),
    ...Object.entries(more),
  ].map(([name, value]) => `${at.name(name)} = ${at.value(value)}`);
  const adds = Object.entries(add).map(([field, by]) => `${at.name(fieldName(field))} ${at.value({ N: String(by) })}`);
  const parts = [...(sets.length > 0 ? [`SET ${sets.join(', ')}`] : []), ...(adds.length > 0 ? [`ADD ${adds.join(', ')}`] : [])];
  return { UpdateExpression: parts.length > 0 ? parts.join(' ') : undefined };
}

async function queryRows(dynamo: DynamoDBClient, prefix: string, query: RowQuery): Promise<Page<Row>> {
  checkQueryLimit(query.limit);
  const range = rangeOf(query);
  if (!range) return { items: [], next: null };
  // One more than asked for tells whether there is a next page; another, because BETWEEN includes its end and `to` does not.
  const spare = query.to === undefined ? 1 : 2;
  const answer = await dynamo.send(
    new QueryCommand({
      TableName: `${prefix}${query.table}`,
      ConsistentRead: true,
      ScanIndexForward: query.order !== 'desc',
      Limit: query.limit + spare,
      ...range,
      ...(query.cursor === undefined ? {} : { ExclusiveStartKey: { pk: { S: query.pk }, sk: { S: skOfCursor(query.cursor) } } }),
    }),
  );
  const rows = (answer.Items ?? []).map(toRow).filter((row) => row.sk !== query.to);
  const items = rows.slice(0, query.limit);
  const last = items.at(-1);
  const cutShort = answer.LastEvaluatedKey !== undefined && answer.LastEvaluatedKey.sk?.S !== query.to;
  return { items, next: last && (rows.length > items.length || cutShort) ? cursorOf(last.sk) : null };
}

/** undefined when no sk can be in the range. */
function rangeOf({ pk, prefix, from, to }: RowQuery) {
  if (prefix && (from !== undefined || to !== undefined))
    throw new LimitExceeded('a query by prefix and bounds: DynamoDB takes one of them');
  const at = placeholders();
  const parts = [`${at.name('pk')} = ${at.value({ S: pk })}`];
  if (prefix) parts.push(`begins_with(${at.name('sk')}, ${at.value({ S: prefix })})`);
  else if (from !== undefined && to !== undefined) {
    if (compareKeys(from, to) >= 0) return undefined;
    parts.push(`${at.name('sk')} BETWEEN ${at.value({ S: from })} AND ${at.value({ S: to })}`);
  } else if (from !== undefined) parts.push(`${at.name('sk')} >= ${at.value({ S: from })}`);
  else if (to !== undefined) parts.push(`${at.name('sk')} < ${at.value({ S: to })}`);
  return { KeyConditionExpression: parts.join(' AND '), ...at.all() };
}
