/** The port `Rows` over DynamoDB: a table for each read model, and the table `cursors` for all of them. */
import { type DynamoDBDocumentClient, GetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { compareKeys } from '../../domain/entry.ts';
import type { Page, Row, RowChange, RowQuery, Rows } from '../../domain/ports.ts';
import { checkChanges, checkItem, checkMany, checkTransaction, LimitExceeded } from '../limits.ts';
import { applyRows, cursorKeyOf, keyOf, versionOf } from './apply-rows.ts';
import { dataOf, type Item, stringIn } from './attributes.ts';
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
} from './dynamo.ts';

/** `prefix` begins the name of every table of the stage. */
export function awsRows(documents: () => DynamoDBDocumentClient, prefix: string): Rows {
  const cursorTable = `${prefix}cursors`;

  async function getItem(TableName: string, Key: Item): Promise<Item | undefined> {
    return (await documents().send(new GetCommand({ TableName, Key, ConsistentRead: true }))).Item;
  }

  function cursorKeys(projection: string, streams: string[]): Item[] {
    checkMany(streams);
    return [...new Set(streams)].map((stream) => cursorKeyOf({ projection, stream }));
  }

  return {
    async cursor(projection, stream) {
      return versionOf(await getItem(cursorTable, cursorKeyOf({ projection, stream })));
    },

    async cursors(projection, streams) {
      const items = await getItems(documents(), cursorTable, cursorKeys(projection, streams));
      return new Map(items.map((item) => [stringIn(item, 'pk'), versionOf(item)]));
    },

    async get({ table, pk, sk }) {
      const item = await getItem(`${prefix}${table}`, keyOf({ pk, sk }));
      return item && toRow(item);
    },

    async getMany(table, keys) {
      checkMany(keys);
      return (await getItems(documents(), `${prefix}${table}`, distinct(keys, pairName).map(keyOf))).map(toRow);
    },

    query: (query) => queryRows(documents(), prefix, query),

    async apply(projection, stream, version, changes) {
      checkChanges(
        changes.map((change) => `${change.table} ${pairName(change)}`),
        true,
      );
      checkTransaction(changes.map(sizeOf));
      return applyRows(documents(), prefix, { projection, stream }, version, changes);
    },

    async scan(table, page) {
      const { items, next } = await scanItems(documents(), `${prefix}${table}`, page);
      return { items: items.map(toRow), next };
    },

    async remove(table, keys) {
      checkMany(keys);
      await deleteItems(documents(), `${prefix}${table}`, distinct(keys, pairName).map(keyOf));
    },

    async forget(projection, streams) {
      await deleteItems(documents(), cursorTable, cursorKeys(projection, streams));
    },
  };
}

/** A lower bound, in bytes: the fields that an update leaves unchanged count too. DynamoDB checks the whole row. */
function sizeOf(change: RowChange): number {
  return checkItem({
    pk: change.pk,
    sk: change.sk,
    data: change.op === 'put' ? change.data : change.op === 'update' ? (change.set ?? {}) : {},
  });
}

function toRow(item: Item): Row {
  return { pk: stringIn(item, 'pk'), sk: stringIn(item, 'sk'), data: dataOf(item) };
}

async function queryRows(documents: DynamoDBDocumentClient, prefix: string, query: RowQuery): Promise<Page<Row>> {
  checkQueryLimit(query.limit);
  const range = rangeOf(query);
  if (!range) return { items: [], next: null };
  // An extra row shows whether there is a next page. `to` is exclusive and BETWEEN is inclusive, so that takes another.
  const spare = query.to === undefined ? 1 : 2;
  const answer = await documents.send(
    new QueryCommand({
      TableName: `${prefix}${query.table}`,
      ConsistentRead: true,
      ScanIndexForward: query.order !== 'desc',
      Limit: query.limit + spare,
      ...range,
      ...(query.cursor === undefined ? {} : { ExclusiveStartKey: { pk: query.pk, sk: skOfCursor(query.cursor) } }),
    }),
  );
  const items: Item[] = answer.Items ?? [];
  const found = items.filter((item) => item.sk !== query.to);
  const page = found.slice(0, query.limit);
  const lastItem = page.at(-1);
  const last = lastItem && stringIn(lastItem, 'sk');
  const cutShort = answer.LastEvaluatedKey !== undefined && answer.LastEvaluatedKey.sk !== query.to;
  const more = last !== undefined && (found.length > page.length || cutShort);
  return { items: page.map(toRow), next: more ? cursorOf(last) : null };
}

/** The key condition of a query, undefined when the range is empty. */
function rangeOf({ pk, prefix, from, to }: Pick<RowQuery, 'pk' | 'prefix' | 'from' | 'to'>) {
  if (prefix && (from !== undefined || to !== undefined))
    throw new LimitExceeded('A query has a prefix or bounds, not both. Leave one of them out.');
  const at = placeholders();
  const parts = [`${at.name('pk')} = ${at.value(pk)}`];
  if (prefix) parts.push(`begins_with(${at.name('sk')}, ${at.value(prefix)})`);
  else if (from !== undefined && to !== undefined) {
    if (compareKeys(from, to) >= 0) return undefined;
    parts.push(`${at.name('sk')} BETWEEN ${at.value(from)} AND ${at.value(to)}`);
  } else if (from !== undefined) parts.push(`${at.name('sk')} >= ${at.value(from)}`);
  else if (to !== undefined) parts.push(`${at.name('sk')} < ${at.value(to)}`);
  return { KeyConditionExpression: parts.join(' AND '), ...at.all() };
}
