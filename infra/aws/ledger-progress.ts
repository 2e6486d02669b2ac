/** Reads how far the ledger and the bus have come. The reconcile compares this with the activity. */
import { type DynamoDBDocumentClient, QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { Item } from './attributes.ts';
import { distinct } from './dynamo.ts';
import { cursorName, getCheckpoints, headName, publishedName } from './ledger-checkpoints.ts';

/** `head`: the last sequence number of the account's ledger. `published`: the last one that the bus has taken. */
export type AccountProgress = { account: string; head: number; published: number };

export type LedgerProgress = {
  /** The last version of each stream in the ledger. Streams without an entry are left out. Strongly consistent. */
  reached(streams: string[]): Promise<Map<string, number>>;
  /** The progress of each account, once per account. */
  accounts(accounts: string[]): Promise<AccountProgress[]>;
  /**
   * The number of sequence numbers after `checked` up to `head` without an entry. Not 0 only after somebody deleted
   * entries. Costs a read of these entries.
   */
  ledgerGaps(account: string, checked: number, head: number): Promise<number>;
};

export function awsLedgerProgress(documents: () => DynamoDBDocumentClient, prefix: string): LedgerProgress {
  const table = `${prefix}ledger`;
  return {
    async reached(streams) {
      const names = distinct(streams, (stream) => stream);
      const checkpoints = await getCheckpoints(documents(), table, names.map(cursorName));
      return new Map(
        names.flatMap((stream) => {
          const checkpoint = checkpoints.get(cursorName(stream));
          return checkpoint ? [[stream, checkpoint.position] as const] : [];
        }),
      );
    },

    async accounts(accounts) {
      const names = distinct(accounts, (account) => account);
      // In this order `published` is never beyond `head`, because both only grow.
      const published = await getCheckpoints(documents(), table, names.map(publishedName));
      const heads = await getCheckpoints(documents(), table, names.map(headName));
      return names.map((account) => ({
        account,
        head: heads.get(headName(account))?.position ?? 0,
        published: published.get(publishedName(account))?.position ?? 0,
      }));
    },

    async ledgerGaps(account, checked, head) {
      if (head === checked) return 0;
      let count = 0;
      for (let start: Item | undefined; ; ) {
        const page = await documents().send(
          new QueryCommand({
            TableName: table,
            KeyConditionExpression: '#account = :account AND #seq BETWEEN :first AND :last',
            ExpressionAttributeNames: { '#account': 'account', '#seq': 'seq' },
            ExpressionAttributeValues: { ':account': account, ':first': checked + 1, ':last': head },
            Select: 'COUNT',
            ConsistentRead: true,
            ...(start ? { ExclusiveStartKey: start } : {}),
          }),
        );
        count += page.Count ?? 0;
        if (!page.LastEvaluatedKey) return head - checked - count;
        start = page.LastEvaluatedKey;
      }
    },
  };
}
