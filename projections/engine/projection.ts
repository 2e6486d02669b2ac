/** What a read model is: a fold of events into changes of rows. It decides nothing, opens no sealed field and has no effects. */
import type { AnyEvent } from '../../domain/catalogue.ts';
import { parseStream, type Recorded, type StreamParts } from '../../domain/event.ts';
import type { JsonObject, Page, Platform, Row, RowChange, RowKey, Table } from '../../domain/ports.ts';
import { currentRows } from './generations.ts';

/**
 * The row that belongs to a stream. As a `trail` it is a row after another: each version may put one whose sk begins with this one, and they sort
 * in the order of versions. Nobody else puts any, none is deleted, and the events that put them change nothing that a repeat would change again.
 */
export type RowHome = RowKey & { trail?: true };

type EventOf<T extends AnyEvent['type']> = Recorded<Extract<AnyEvent, { type: T }>>;
type Handlers = { [T in AnyEvent['type']]?: (event: EventOf<T>) => RowChange[] };

export type Projection = {
  /** Also the name of its table, which nobody else writes to, and of its cursors: stays for ever. */
  name: Table;
  /** Raised when the rows it writes change; a rebuild is due then. */
  version: number;
  /** The stream types it follows. */
  streams: string[];
  on: Handlers;
  /**
   * For streams that a row belongs to: how far the stream was read can be noted in it, so that both are one write. Events of other
   * streams may update it, but neither put nor delete it.
   */
  home?: (stream: StreamParts) => RowHome | undefined;
  /** Applied after the others: who sees here that something is done sees it done everywhere. */
  last?: true;
  /** With `last`: the other stream that the others are brought to the end of, as it is, before such an event shows here. */
  behind?: { [T in AnyEvent['type']]?: (event: EventOf<T>) => string | undefined };
};

export function accountOf(event: { stream: string }): string {
  return parseStream(event.stream).account;
}

/** For streams of one type whose id is that of the thing. */
export function homeOfItems(table: Table, type: string): NonNullable<Projection['home']> {
  return ({ account, type: of, id }) => (of === type ? itemKey(table, account, id) : undefined);
}

/** A thing of an account by its id. */
export function itemKey<T extends Table>(table: T, account: string, id: string) {
  return { table, pk: account, sk: `id#${id}` };
}

/**
 * Its place in a list by time: only the id, so that a list is one query and one bulk get. `list` narrows it (`job#…`). It never changes, and
 * before the thing itself is there it is not listed: so it may come first.
 */
export function listed(table: Table, account: string, at: string, id: string, list = 'all'): RowChange {
  return { op: 'put', ...listKey(table, account, list), sk: `${at}#${id}`, data: { id }, ahead: true };
}

/** Where a list of an account is, each row of it with an id. */
export function listKey<T extends Table>(table: T, account: string, list: string) {
  return { table, pk: `${account}#${list}` };
}

export async function getItem(
  platform: Platform,
  table: Table,
  account: string,
  id: string,
): Promise<JsonObject | undefined> {
  return (await currentRows(platform).get(itemKey(table, account, id)))?.data;
}

/** A page of an account's things by time, full as long as there are any. An id whose row is gone is left out. */
export async function listItems(
  platform: Platform,
  table: Table,
  account: string,
  page: { limit: number; cursor?: string | undefined; order: 'asc' | 'desc'; list?: string },
): Promise<Page<JsonObject>> {
  const items: JsonObject[] = [];
  let next: string | null = page.cursor ?? null;
  do {
    const ids = await currentRows(platform).query({
      ...listKey(table, account, page.list ?? 'all'),
      order: page.order,
      limit: page.limit - items.length,
      ...(next ? { cursor: next } : {}),
    });
    items.push(...(await getItems(platform, table, account, ids.items)));
    next = ids.next;
  } while (next && items.length < page.limit);
  return { items, next };
}

async function getItems(platform: Platform, table: Table, account: string, ids: Row[]): Promise<JsonObject[]> {
  const keys = ids.map((row) => ({ pk: account, sk: `id#${row.data.id}` }));
  const rows = new Map((await currentRows(platform).getMany(table, keys)).map((row) => [row.sk, row.data]));
  return keys.flatMap(({ sk }) => {
    const data = rows.get(sk);
    return data ? [data] : [];
  });
}
