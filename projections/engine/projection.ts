/** Defines a projection: a pure fold of events into row changes. It decides nothing and never decrypts a field. */
import type { AnyEvent } from '../../domain/catalogue.ts';
import { parseStream, type Recorded } from '../../domain/event.ts';
import type { JsonObject, Page, Platform, Row, RowChange, Table } from '../../domain/ports.ts';
import { currentRows } from './generations.ts';

type EventOf<T extends AnyEvent['type']> = Recorded<Extract<AnyEvent, { type: T }>>;
type Handlers<Result> = { [T in AnyEvent['type']]?: (event: EventOf<T>) => Result };

export type Projection = {
  /** Also the name of its table and its cursors, so it never changes. No other projection writes to the table. */
  name: Table;
  /** Raise it when the rows change. Then the engine rebuilds the read model. */
  version: number;
  /** The stream types that the projection reads. */
  streams: string[];
  on: Handlers<RowChange[]>;
  dependsOn?: Dependency;
  /** The projections that `dependsOn` names. `linkDependencies` sets them. */
  dependencies?: Projection[];
};

/**
 * An order between projections. The engine applies a commit here only after `projections` have processed it. A
 * dependency that is parked does not hold up its dependents. It must not have dependencies of its own.
 */
export type Dependency = {
  projections: Table[];
};

/** Sets `dependencies`. Throws if a dependency is missing in the list, or has dependencies of its own. */
export function linkDependencies(projections: Projection[]): Projection[] {
  return projections.map((projection) => {
    if (!projection.dependsOn) return projection;
    const dependencies = projection.dependsOn.projections.map((name) => {
      const found = projections.find((other) => other.name === name);
      if (!found) throw new Error(`${projection.name} depends on ${name}, which is not in the list of projections.`);
      if (found.dependsOn) throw new Error(`${projection.name} depends on ${name}, which has dependencies of its own.`);
      return found;
    });
    return { ...projection, dependencies };
  });
}

export function accountOf(event: { stream: string }): string {
  return parseStream(event.stream).account;
}

/** The key of an account's item by its id. */
export function itemKey<T extends Table>(table: T, account: string, id: string) {
  return { table, pk: account, sk: `id#${id}` };
}

/**
 * Enters an item in a list of its account, by time. The row holds only the id, so a page is one query and one batch
 * get. `list` names a part of the items (`job#…`).
 */
export function listed(table: Table, account: string, at: string, id: string, list = 'all'): RowChange {
  return { op: 'put', ...listKey(table, account, list), sk: `${at}#${id}`, data: { id } };
}

/** The partition of a list. Each of its rows holds the id of an item. */
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

/** A page of an account's items by time. Skips ids of deleted items and still fills the page while items remain. */
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
