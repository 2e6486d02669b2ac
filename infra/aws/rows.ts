/** Read models in DynamoDB: a table each, and one of cursors for streams that no row belongs to. */
import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { compareKeys } from '../../domain/entry.ts';
import type { Page, Row, RowChange, RowQuery, Rows } from '../../domain/ports.ts';
import type { RowHome } from '../../projections/engine/projection.ts';
import { checkChanges, checkItem, checkMany, checkTransaction, LimitExceeded } from '../limits.ts';
import { applyRows, type CursorPlace, cursorIn, isRow, keyOf } from './apply-rows.ts';
import { dataOf, type Item } from './attributes.ts';
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
import { inParallel } from './parallel.ts';

/** The row that belongs to a stream, where a projection has such rows (projections/homes.ts). */
export type HomeOf = (projection: string, stream: string) => RowHome | undefined;

/** Where a cursor is, or the trail on which it is. */
type Place = CursorPlace & { home: RowHome | undefined };

/** Whoever shares the tables has to name the same homes: a cursor is looked for there. */
export function awsRows(dynamo: () => DynamoDBClient, prefix: string, homeOf: HomeOf = () => undefined): Rows {
  function placeOf(projection: string, stream: string): Place {
    const home = homeOf(projection, stream);
    if (home) return { table: `${prefix}${home.table}`, key: keyOf(home), home };
    return { table: `${prefix}cursors`, key: keyOf({ pk: stream, sk: projection }), home };
  }

  /** The items of those that have a cursor, by the stream. */
  async function cursorItems(
    projection: string,
    streams: string[],
  ): Promise<Map<string, { item: Item; place: Place }>> {
    checkMany(streams);
    const places = [...new Set(streams)].map((stream) => ({ stream, place: placeOf(projection, stream) }));
    const found = new Map<string, { item: Item; place: Place }>();
    const fixed = places.filter(({ place }) => !place.home?.trail);
    for (const [table, here] of Map.groupBy(fixed, ({ place }) => place.table)) {
      const keys = here.map(({ place }) => place.key);
      const items = new Map((await getItems(dynamo(), table, keys)).map((item) => [itemName(item), item]));
      for (const { stream, place } of here) {
        const item = items.get(itemName(place.key));
        if (item?.v) found.set(stream, { item, place });
      }
    }
    const trails = places.filter(({ place }) => place.home?.trail);
    await inParallel(32, trails, async ({ stream, place }) => {
      const item = await newestOn(dynamo(), place);
      if (item) found.set(stream, { item, place });
    });
    return found;
  }

  return {
    async cursor(projection, stream) {
      const place = placeOf(projection, stream);
      if (place.home?.trail) return cursorIn(await newestOn(dynamo(), place));
      const { table: TableName, key: Key } = place;
      const answer = await dynamo().send(new GetItemCommand({ TableName, Key, ConsistentRead: true }));
      return cursorIn(answer.Item);
    },

    async cursors(projection, streams) {
      const found = await cursorItems(projection, streams);
      return new Map([...found].map(([stream, { item }]) => [stream, cursorIn(item)]));
    },

    async get({ table, pk, sk }) {
      const answer = await dynamo().send(
        new GetItemCommand({ TableName: `${prefix}${table}`, Key: keyOf({ pk, sk }), ConsistentRead: true }),
      );
      return answer.Item && isRow(answer.Item) ? toRow(answer.Item) : undefined;
    },

    async getMany(table, keys) {
      checkMany(keys);
      const wanted = distinct(keys, pairName).map(keyOf);
      return (await getItems(dynamo(), `${prefix}${table}`, wanted)).filter(isRow).map(toRow);
    },

    query: (query) => queryRows(dynamo(), prefix, query),

    async apply(projection, stream, version, changes) {
      checkChanges(
        changes.map((change) => `${change.table} ${pairName(change)}`),
        true,
      );
      checkTransaction(changes.map(sizeOf));
      const place = placeOf(projection, stream);
      if (!place.home?.trail) return applyRows(dynamo(), prefix, place, version, changes);
      const newest = await newestOn(dynamo(), place);
      const on = { ...place, ...(newest && { key: keyIn(newest) }), trail: { cursor: cursorIn(newest) } };
      return applyRows(dynamo(), prefix, on, version, changes);
    },

    async scan(table, page) {
      const { items, next } = await scanItems(dynamo(), `${prefix}${table}`, page);
      return { items: items.filter(isRow).map(toRow), next };
    },

    async remove(table, keys) {
      checkMany(keys);
      const all = distinct(keys, pairName).map(keyOf);
      await deleteItems(dynamo(), `${prefix}${table}`, all);
    },

    async forget(projection, streams) {
      const found = [...(await cursorItems(projection, streams)).values()];
      const apart = found.filter(({ place }) => !place.home).map(({ place }) => place.key);
      await deleteItems(dynamo(), `${prefix}cursors`, apart);
      await inParallel(
        8,
        found.filter(({ place }) => place.home),
        async ({ item, place }) => {
          if (!place.home?.trail) return forgetIn(dynamo(), place.table, item);
          for await (const each of onTrail(dynamo(), place)) await forgetIn(dynamo(), place.table, each);
        },
      );
    },
  };
}

/** The items of a trail that hold a cursor, the newest first. */
async function* onTrail(dynamo: DynamoDBClient, { table: TableName, home }: Place): AsyncGenerator<Item> {
  if (!home) return;
  const range = rangeOf({ pk: home.pk, prefix: home.sk });
  // The first is all that is ever needed, unless cursors were taken out.
  for (let Limit = 1, next: Item | undefined; ; Limit = 100) {
    const answer = await dynamo.send(
      new QueryCommand({
        TableName,
        ConsistentRead: true,
        ScanIndexForward: false,
        Limit,
        ...range,
        ...(next && { ExclusiveStartKey: next }),
      }),
    );
    for (const item of answer.Items ?? []) if (item.v) yield item;
    next = answer.LastEvaluatedKey;
    if (!next) return;
  }
}

async function newestOn(dynamo: DynamoDBClient, place: Place): Promise<Item | undefined> {
  for await (const item of onTrail(dynamo, place)) return item;
  return undefined;
}

/** Takes the cursor out of a row, or away with the item where it is all there is, unless it has moved since. */
async function forgetIn(dynamo: DynamoDBClient, TableName: string, item: Item): Promise<void> {
  const Key = keyIn(item);
  const still = { ConditionExpression: 'v = :v', ExpressionAttributeValues: { ':v': { N: String(cursorIn(item)) } } };
  try {
    if (isRow(item))
      await dynamo.send(new UpdateItemCommand({ TableName, Key, UpdateExpression: 'REMOVE v', ...still }));
    else await dynamo.send(new DeleteItemCommand({ TableName, Key, ...still }));
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  }
}

function keyIn({ pk, sk }: Item): Item {
  return keyOf({ pk: pk?.S ?? '', sk: sk?.S ?? '' });
}

function itemName({ pk, sk }: Item): string {
  return pairName({ pk: pk?.S ?? '', sk: sk?.S ?? '' });
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
      ...(query.cursor === undefined
        ? {}
        : { ExclusiveStartKey: { pk: { S: query.pk }, sk: { S: skOfCursor(query.cursor) } } }),
    }),
  );
  const found = (answer.Items ?? []).filter((item) => item.sk?.S !== query.to);
  const page = found.slice(0, query.limit);
  const last = page.at(-1)?.sk?.S;
  const cutShort = answer.LastEvaluatedKey !== undefined && answer.LastEvaluatedKey.sk?.S !== query.to;
  const more = last !== undefined && (found.length > page.length || cutShort);
  return { items: page.filter(isRow).map(toRow), next: more ? cursorOf(last) : null };
}

/** undefined when no sk can be in the range. */
function rangeOf({ pk, prefix, from, to }: Pick<RowQuery, 'pk' | 'prefix' | 'from' | 'to'>) {
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
