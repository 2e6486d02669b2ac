/**
 * Totals of an account. Each source, job and backup chain counts in a row of its own, so that concurrent events do not
 * contend for one row.
 */
import { nothing, type Totals } from '../domain/backup-chain.ts';
import { parseStream } from '../domain/event.ts';
import { allOf } from '../domain/pages.ts';
import type { JsonObject, Platform, RowChange } from '../domain/ports.ts';
import type { Cost, Counts, RunOutcome } from '../domain/run.ts';
import { currentRows } from './engine/generations.ts';
import type { Projection } from './engine/projection.ts';

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

function count(event: { stream: string }, add: { [field: string]: number }, set?: { lastRunAt: string }): RowChange[] {
  const { account, type, id } = parseStream(event.stream);
  const key = { table: 'analytics-aggregates', pk: account, sk: `${type}#${id}` } as const;
  return [{ op: 'update', ...key, add, ...(set && { set }) }];
}

const growth = (before: Totals, after: Totals) => ({
  files: after.files + after.links - before.files - before.links,
  bytesProtected: after.bytes - before.bytes,
});

export const analyticsAggregates: Projection = {
  name: 'analytics-aggregates',
  version: 4,
  streams: ['source', 'job', 'backup-chain'],
  on: {
    SourceConnected: (event) => count(event, { sources: 1 }),
    SourceDisconnected: (event) => count(event, { sources: -1 }),
    JobCreated: (event) => count(event, { jobs: 1 }),
    JobDeleted: (event) => count(event, { jobs: -1 }),
    RunRequested: (event) => count(event, { runs: 1 }),
    RestorePointCreated: (event) => {
      const { before, totals } = event.data;
      return count(event, { ...growth(before ?? nothing, totals), ...result(event.data) }, { lastRunAt: event.at });
    },
    RunEnded: (event) => count(event, result(event.data), { lastRunAt: event.at }),
  },
};

function result({ outcome, counts, cost }: { outcome: RunOutcome; counts: Counts; cost: Cost }) {
  return { [outcome]: 1, bytesStored: counts.bytesStored, cost: cost.usd };
}

export async function getOverview(platform: Platform, account: string): Promise<Overview> {
  const sum: { [field: string]: number } = {};
  let lastRunAt: string | null = null;
  for await (const data of rowsOf(platform, account)) {
    for (const [field, value] of Object.entries(data))
      if (typeof value === 'number') sum[field] = (sum[field] ?? 0) + value;
    if (typeof data.lastRunAt === 'string' && (lastRunAt === null || data.lastRunAt > lastRunAt))
      lastRunAt = data.lastRunAt;
  }
  const number = (field: string) => sum[field] ?? 0;
  return {
    sources: number('sources'),
    jobs: number('jobs'),
    runs: {
      total: number('runs'),
      succeeded: number('succeeded'),
      partial: number('partial'),
      failed: number('failed'),
    },
    files: number('files'),
    bytesProtected: number('bytesProtected'),
    bytesStored: number('bytesStored'),
    cost: number('cost'),
    lastRunAt,
  };
}

async function* rowsOf(platform: Platform, account: string): AsyncGenerator<JsonObject> {
  const rows = { table: 'analytics-aggregates', pk: account } as const;
  for await (const { data } of allOf((page) => currentRows(platform).query({ ...rows, ...page }))) yield data;
}
