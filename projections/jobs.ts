/** Job definitions, newest last. */
import { reveal } from '../activity/seal.ts';
import type { JsonObject, Machine, Page } from '../domain/ports.ts';
import { accountOf, getItem, homeOfItems, itemKey, listed, listItems, type Projection } from './projection.ts';

export type JobView = {
  id: string;
  name: string;
  sourceId: string;
  schedule: null;
  retention: null;
  status: string;
  createdAt: string;
  version: number;
};

export const jobs: Projection = {
  name: 'jobs',
  version: 1,
  streams: ['job'],
  home: homeOfItems('jobs', 'job'),
  on: {
    JobCreated: (event) => {
      const { jobId: id, sourceId, name } = event.data;
      return [
        {
          op: 'put',
          ...itemKey('jobs', accountOf(event), id),
          data: { id, sourceId, name, status: 'active', createdAt: event.at, version: event.version },
        },
        listed('jobs', accountOf(event), event.at, id),
      ];
    },
    JobRenamed: (event) => [
      { op: 'update', ...itemKey('jobs', accountOf(event), event.data.jobId), set: { name: event.data.name, version: event.version } },
    ],
    JobDeleted: (event) => [{ op: 'delete', ...itemKey('jobs', accountOf(event), event.data.jobId) }],
  },
};

export async function getJob(machine: Machine, account: string, id: string): Promise<JobView | undefined> {
  const row = await getItem(machine, 'jobs', account, id);
  return row && view(machine, account, row);
}

export async function listJobs(machine: Machine, account: string, page: { limit: number; cursor?: string }): Promise<Page<JobView>> {
  const { items, next } = await listItems(machine, 'jobs', account, { ...page, order: 'asc' });
  return { items: await Promise.all(items.map((row) => view(machine, account, row))), next };
}

async function view(machine: Machine, account: string, row: JsonObject): Promise<JobView> {
  const { id, name, sourceId, status, createdAt, version } = await reveal(machine, account, row);
  return { id, name: name ?? '', sourceId, schedule: null, retention: null, status, createdAt, version } as JobView;
}
