/** The tables of a stage and their keys, for the CDK app and the adapters. */
export type KeyType = 'S' | 'N';
export type TableShape = {
  pk: readonly [name: string, type: KeyType];
  sk: readonly [name: string, type: KeyType];
  /** The table has a TTL on `expiresAt`, in seconds since the epoch. */
  expires?: true;
  /** The table has a DynamoDB stream. */
  stream?: true;
};

const pair = { pk: ['pk', 'S'], sk: ['sk', 'S'] } as const;

export const tables = {
  users: pair,
  accounts: pair,
  sources: pair,
  jobs: pair,
  runs: pair,
  files: pair,
  'analytics-aggregates': pair,
  /** pk is the stream, sk the projection, `v` the version applied last. */
  cursors: pair,
  activity: { pk: ['stream', 'S'], sk: ['version', 'N'], stream: true },
  ledger: { pk: ['account', 'S'], sk: ['seq', 'N'] },
  records: { ...pair, expires: true },
  /** Wrapped keys. No point-in-time recovery, because a destroyed key must stay destroyed. The bucket repairs it. */
  'subject-keys': pair,
} as const satisfies { [name: string]: TableShape };

export type TableName = keyof typeof tables;
