/** The account itself. */
import { reveal } from '../activity/seal.ts';
import type { Machine } from '../domain/ports.ts';
import { accountOf, getItem, homeOfItems, itemKey, type Projection } from './projection.ts';

export const accounts: Projection = {
  name: 'accounts',
  version: 1,
  streams: ['account'],
  home: homeOfItems('accounts', 'account'),
  on: {
    AccountOpened: (event) => [
      {
        op: 'put',
        ...itemKey('accounts', accountOf(event), event.data.accountId),
        data: { id: event.data.accountId, name: event.data.name, ownerId: event.data.ownerId, createdAt: event.at },
      },
    ],
  },
};

export async function getAccount(machine: Machine, account: string): Promise<{ id: string; name: string } | undefined> {
  const row = await getItem(machine, 'accounts', account, account);
  if (!row) return undefined;
  const { id, name } = await reveal(machine, account, row);
  return { id: String(id), name: String(name ?? '') };
}
