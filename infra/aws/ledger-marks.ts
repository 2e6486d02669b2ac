/** How far something has come, in table `ledger` beside the entries, under keys that no account has. The relay moves them (relay.ts). */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Item } from './attributes.ts';
import { getItems } from './dynamo.ts';

export type Mark = { n: number; at: string };
export const start: Mark = { n: 0, at: '' };

export const headName = (account: string) => `head#${account}`;
export const cursorName = (stream: string) => `cursor#${stream}`;
export const publishedName = (account: string) => `published#${account}`;

export function markKey(name: string): Item {
  return { account: { S: name }, seq: { N: '0' } };
}

export function markItem(name: string, to: Mark): Item {
  return { ...markKey(name), n: { N: String(to.n) }, t: { S: to.at } };
}

export function markOf(item: Item | undefined): Mark {
  return item ? { n: Number(item.n?.N), at: item.t?.S ?? '' } : start;
}

export async function marksOf(dynamo: DynamoDBClient, table: string, names: string[]): Promise<Map<string, Mark>> {
  const items = await getItems(dynamo, table, names.map(markKey));
  return new Map(items.map((item) => [item.account?.S ?? '', markOf(item)]));
}
