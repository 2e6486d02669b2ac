/** Numbers of an account that are ready when asked for: counters that every event adds to. */
import { nothing, type Totals } from '../domain/line.ts';
import type { Machine, RowChange } from '../domain/ports.ts';
import { currentRows } from './generations.ts';
import { accountOf, type Projection } from './projection.ts';

export type Overview = {
  sources: number;
  jobs: number;
  runs: { total: number; succeeded: number; partial: number; failed: number };
  files: number;
  bytesProtected: number;
  bytesStored: number;
  cost: number;
  lastRunAt: string | null;
};

const key = (account: string) => ({ table: 'analytics-aggregates', pk: account, sk: 'overview' }) as const;

function count(event: { stream: string }, add: { [field: string]: number }): RowChange[] {
  return [{ op: 'update', ...key(accountOf(event)), add }];
}

const growth = (before: Totals, after: Totals) => ({
  files: after.files + after.links - before.files - before.links,
  bytesProtected: after.bytes - before.bytes,
});

export const analyticsAggregates: Projection = {
  name: 'analytics-aggregates',
  version: 1,
  streams: ['source', 'job', 'line', 'run'],
  on: {
    SourceConnected: (event) => count(event, { sources: 1 }),
    SourceDisconnected: (event) => count(event, { sources: -1 }),
    JobCreated: (event) => count(event, { jobs: 1 }),
    JobDeleted: (event) => count(event, { jobs: -1 }),
    RunRequested: (event) => count(event, { runs: 1 }),
    LineSealed: (event) => count(event, growth(event.data.before ?? nothing, event.data.totals)),
    RunFinished: (event) => {
      const { outcome, counts, cost } = event.data;
      const add = { [outcome]: 1, bytesStored: counts.bytesStored, cost: cost.usd };
      return [{ op: 'update', ...key(accountOf(event)), add, set: { lastRunAt: event.at } }];
    },
  },
};

export async function getOverview(machine: Machine, account: string): Promise<Overview> {
  const data = (await currentRows(machine).get(key(account)))?.data ?? {};
  const number = (field: string) => Number(data[field] ?? 0);
  return {
    sources: number('sources'),
    jobs: number('jobs'),
    runs: { total: number('runs'), succeeded: number('succeeded'), partial: number('partial'), failed: number('failed') },
    files: number('files'),
    bytesProtected: number('bytesProtected'),
    bytesStored: number('bytesStored'),
    cost: number('cost'),
    lastRunAt: typeof data.lastRunAt === 'string' ? data.lastRunAt : null,
  };
}
