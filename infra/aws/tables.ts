/** The tables of a stage and their keys: what the CDK app makes and the adapters read. `expires`: TTL on `expiresAt`, in seconds. */
export type KeyType = 'S' | 'N';
export type TableShape = {
  pk: readonly [name: string, type: KeyType];
  sk: readonly [name: string, type: KeyType];
  expires?: true;
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
  /** pk stream, sk projection: how far each projection has read each stream */
  cursors: pair,
  activity: { pk: ['stream', 'S'], sk: ['version', 'N'], stream: true },
  ledger: { pk: ['account', 'S'], sk: ['seq', 'N'] },
  records: { ...pair, expires: true },
  /** Wrapped keys. No point-in-time recovery: what is destroyed there has to stay destroyed. */
  'subject-keys': pair,
} as const satisfies { [name: string]: TableShape };

export type TableName = keyof typeof tables;
