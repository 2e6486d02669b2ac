/** Connected sources, newest last. */
import { reveal } from '../activity/seal.ts';
import type { JsonObject, Machine, Page } from '../domain/ports.ts';
import { accountOf, getItem, homeOfItems, itemKey, listed, listItems, type Projection } from './projection.ts';

export type SourceView = { id: string; type: string; name: string; status: string; config: JsonObject; createdAt: string; version: number };

export const sources: Projection = {
  name: 'sources',
  version: 1,
  streams: ['source'],
  home: homeOfItems('sources', 'source'),
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
      return [{ op: 'update', ...itemKey('sources', accountOf(event), id), set: { name, config, version: event.version } }];
    },
    SourceDisconnected: (event) => [{ op: 'delete', ...itemKey('sources', accountOf(event), event.data.sourceId) }],
  },
};

export async function getSource(machine: Machine, account: string, id: string): Promise<SourceView | undefined> {
  const row = await getItem(machine, 'sources', account, id);
  return row && view(machine, account, row);
}

export async function listSources(machine: Machine, account: string, page: { limit: number; cursor?: string }): Promise<Page<SourceView>> {
  const { items, next } = await listItems(machine, 'sources', account, { ...page, order: 'asc' });
  return { items: await Promise.all(items.map((row) => view(machine, account, row))), next };
}

async function view(machine: Machine, account: string, row: JsonObject): Promise<SourceView> {
  const { id, type, name, status, config, createdAt, version } = await reveal(machine, account, row);
  return { id, type, name: name ?? '', status, config: config ?? {}, createdAt, version } as SourceView;
}
