/** The baseline: conditional puts of a small item on the emulator, with the same client. */
import { type DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { inParallel } from '../../domain/parallel.ts';
import { type Spent, spent } from './meter.ts';

export type Puts = Spent & { atOnce: number; puts: number };

/** Writes to the ledger's table, under keys that no account has. */
export async function measurePuts(dynamo: DynamoDBClient, prefix: string, count: number): Promise<Puts[]> {
  const measured: Puts[] = [];
  for (const atOnce of [1, 64]) {
    const took = await spent(() =>
      inParallel(
        atOnce,
        Array.from({ length: count }, (_, i) => i + 1),
        async (seq) => {
          const Item = {
            account: { S: `put#${atOnce}` },
            seq: { N: String(seq) },
            s: { S: 'x'.repeat(80) },
            h: { B: new Uint8Array(32) },
          };
          await dynamo.send(
            new PutItemCommand({
              TableName: `${prefix}ledger`,
              Item,
              ConditionExpression: 'attribute_not_exists(seq)',
            }),
          );
        },
      ),
    );
    measured.push({ ...took, atOnce, puts: count });
  }
  return measured;
}
