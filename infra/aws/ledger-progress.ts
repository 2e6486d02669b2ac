/** How the ledger stands, for whoever compares it with the activity and may not write it. */
import { type DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb';
import type { Item } from './attributes.ts';
import { distinct } from './dynamo.ts';
import { checkpointsOf, cursorName, headName, publishedName } from './ledger-checkpoints.ts';

/** Up to which sequence number an account's ledger goes, and up to which the bus was told. */
export type AccountProgress = { account: string; head: number; published: number };

export type LedgerProgress = {
  /** Up to which version each of these streams is in the ledger; those that are not at all are left out. Strongly consistent. */
  reached(streams: string[]): Promise<Map<string, number>>;
  /** The accounts, each once. */
  accounts(accounts: string[]): Promise<AccountProgress[]>;
  /** How many of the numbers 1 to `head` an account's ledger lacks: 0, unless somebody took entries away. Costs a read of all of them. */
  lacking(account: string, head: number): Promise<number>;
};

export function awsLedgerProgress(dynamo: () => DynamoDBClient, prefix: string): LedgerProgress {
  const table = `${prefix}ledger`;
  return {
    async reached(streams) {
      const all = distinct(streams, (stream) => stream);
      const checkpoints = await checkpointsOf(dynamo(), table, all.map(cursorName));
      return new Map(
        all.flatMap((stream) => {
          const checkpoint = checkpoints.get(cursorName(stream));
          return checkpoint ? [[stream, checkpoint.n] as const] : [];
        }),
      );
    },

    async accounts(accounts) {
      const all = distinct(accounts, (account) => account);
      // Published first: it never passes the head as that stood before.
      const published = await checkpointsOf(dynamo(), table, all.map(publishedName));
      const heads = await checkpointsOf(dynamo(), table, all.map(headName));
      return all.map((account) => ({
        account,
        head: heads.get(headName(account))?.n ?? 0,
        published: published.get(publishedName(account))?.n ?? 0,
      }));
    },

    async lacking(account, head) {
      let found = 0;
      for (let start: Item | undefined; ; ) {
        const page = await dynamo().send(
          new QueryCommand({
            TableName: table,
            KeyConditionExpression: '#account = :account AND #seq BETWEEN :first AND :last',
            ExpressionAttributeNames: { '#account': 'account', '#seq': 'seq' },
            ExpressionAttributeValues: {
              ':account': { S: account },
              ':first': { N: '1' },
              ':last': { N: String(head) },
            },
            Select: 'COUNT',
            ConsistentRead: true,
            ...(start ? { ExclusiveStartKey: start } : {}),
          }),
        );
        found += page.Count ?? 0;
        if (!page.LastEvaluatedKey) return head - found;
        start = page.LastEvaluatedKey;
      }
    },
  };
}
