/** Job definitions, oldest first. */
import { decryptFields } from '../activity/personal-data.ts';
import type { JsonObject, Page, Platform } from '../domain/ports.ts';
import { accountOf, getItem, itemKey, listed, listItems, type Projection } from './engine/projection.ts';

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
      {
        op: 'update',
        ...itemKey('jobs', accountOf(event), event.data.jobId),
        set: { name: event.data.name, version: event.version },
      },
    ],
    JobDeleted: (event) => [{ op: 'delete', ...itemKey('jobs', accountOf(event), event.data.jobId) }],
  },
};

export async function getJob(platform: Platform, account: string, id: string): Promise<JobView | undefined> {
  const row = await getItem(platform, 'jobs', account, id);
  return row && view(platform, account, row);
}

export async function listJobs(
  platform: Platform,
  account: string,
  page: { limit: number; cursor?: string },
): Promise<Page<JobView>> {
  const { items, next } = await listItems(platform, 'jobs', account, { ...page, order: 'asc' });
  return { items: await Promise.all(items.map((row) => view(platform, account, row))), next };
}

async function view(platform: Platform, account: string, row: JsonObject): Promise<JobView> {
  const { id, name, sourceId, status, createdAt, version } = await decryptFields(platform, account, row);
  return { id, name: name ?? '', sourceId, schedule: null, retention: null, status, createdAt, version } as JobView;
}
