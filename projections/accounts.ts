/** The name and owner of each account. */
import { decryptFields } from '../activity/personal-data.ts';
import type { Platform } from '../domain/ports.ts';
import { accountOf, getItem, itemKey, type Projection } from './engine/projection.ts';

export const accounts: Projection = {
  name: 'accounts',
  version: 1,
  streams: ['account'],
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

export async function getAccount(
  platform: Platform,
  account: string,
): Promise<{ id: string; name: string } | undefined> {
  const row = await getItem(platform, 'accounts', account, account);
  if (!row) return undefined;
  const { id, name } = await decryptFields(platform, account, row);
  return { id: String(id), name: String(name ?? '') };
}
