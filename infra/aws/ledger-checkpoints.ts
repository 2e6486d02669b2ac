/**
 * The relay's checkpoints, in table `ledger` beside the entries. Their partition keys are no account ids, so that they
 * cannot meet an entry. relay.ts describes the three kinds.
 */
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { type Item, numberIn, stringIn } from './attributes.ts';
import { getItems } from './dynamo.ts';

/** `position`: a sequence number or a version. `at`: the time of the ledger entry that set it. */
export type Checkpoint = { position: number; at: string };
export const startCheckpoint: Checkpoint = { position: 0, at: '' };

export const headName = (account: string) => `head#${account}`;
export const cursorName = (stream: string) => `cursor#${stream}`;
export const publishedName = (account: string) => `published#${account}`;

export function checkpointKey(name: string): Item {
  return { account: name, seq: 0 };
}

export function checkpointItem(name: string, { position, at }: Checkpoint): Item {
  return { ...checkpointKey(name), n: position, t: at };
}

export function checkpointOf(item: Item | undefined): Checkpoint {
  return item ? { position: numberIn(item, 'n'), at: stringIn(item, 't') } : startCheckpoint;
}

/** The checkpoints with these names that exist. Strongly consistent. */
export async function getCheckpoints(
  documents: DynamoDBDocumentClient,
  table: string,
  names: string[],
): Promise<Map<string, Checkpoint>> {
  const items = await getItems(documents, table, names.map(checkpointKey));
  return new Map(items.map((item) => [stringIn(item, 'account'), checkpointOf(item)]));
}
