/** How far something has come, in table `ledger` beside the entries, under keys that no account has. The relay moves them (relay.ts). */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Item } from './attributes.ts';
import { getItems } from './dynamo.ts';

export type Checkpoint = { n: number; at: string };
export const start: Checkpoint = { n: 0, at: '' };

export const headName = (account: string) => `head#${account}`;
export const cursorName = (stream: string) => `cursor#${stream}`;
export const publishedName = (account: string) => `published#${account}`;

export function checkpointKey(name: string): Item {
  return { account: { S: name }, seq: { N: '0' } };
}

export function checkpointItem(name: string, to: Checkpoint): Item {
  return { ...checkpointKey(name), n: { N: String(to.n) }, t: { S: to.at } };
}

export function checkpointOf(item: Item | undefined): Checkpoint {
  return item ? { n: Number(item.n?.N), at: item.t?.S ?? '' } : start;
}

export async function checkpointsOf(
  dynamo: DynamoDBClient,
  table: string,
  names: string[],
): Promise<Map<string, Checkpoint>> {
  const items = await getItems(dynamo, table, names.map(checkpointKey));
  return new Map(items.map((item) => [item.account?.S ?? '', checkpointOf(item)]));
}
