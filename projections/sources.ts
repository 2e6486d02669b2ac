/** Connected sources, oldest first. */
import { decryptFields } from '../activity/personal-data.ts';
import type { JsonObject, Page, Platform } from '../domain/ports.ts';
import { accountOf, getItem, itemKey, listed, listItems, type Projection } from './engine/projection.ts';

export type SourceView = {
  id: string;
  type: string;
  name: string;
  status: string;
  config: JsonObject;
  createdAt: string;
  version: number;
};

export const sources: Projection = {
  name: 'sources',
  version: 1,
  streams: ['source'],
  on: {
    SourceConnected: (event) => {
      const { sourceId: id, kind, name, config } = event.data;
      return [
        {
          op: 'put',
          ...itemKey('sources', accountOf(event), id),
          data: { id, type: kind, name, config, status: 'connected', createdAt: event.at, version: event.version },
        },
        listed('sources', accountOf(event), event.at, id),
      ];
    },
    SourceChanged: (event) => {
      const { sourceId: id, name, config } = event.data;
      return [
        { op: 'update', ...itemKey('sources', accountOf(event), id), set: { name, config, version: event.version } },
      ];
    },
    SourceDisconnected: (event) => [{ op: 'delete', ...itemKey('sources', accountOf(event), event.data.sourceId) }],
  },
};

export async function getSource(platform: Platform, account: string, id: string): Promise<SourceView | undefined> {
  const row = await getItem(platform, 'sources', account, id);
  return row && view(platform, account, row);
}

export async function listSources(
  platform: Platform,
  account: string,
  page: { limit: number; cursor?: string },
): Promise<Page<SourceView>> {
  const { items, next } = await listItems(platform, 'sources', account, { ...page, order: 'asc' });
  return { items: await Promise.all(items.map((row) => view(platform, account, row))), next };
}

async function view(platform: Platform, account: string, row: JsonObject): Promise<SourceView> {
  const { id, type, name, status, config, createdAt, version } = await decryptFields(platform, account, row);
  return { id, type, name: name ?? '', status, config: config ?? {}, createdAt, version } as SourceView;
}
