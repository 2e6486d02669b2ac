/** People of an account. */
import { reveal } from '../activity/seal.ts';
import type { Machine } from '../domain/ports.ts';
import { accountOf, getItem, homeOfItems, itemKey, type Projection } from './projection.ts';

export const users: Projection = {
  name: 'users',
  version: 1,
  streams: ['user'],
  home: homeOfItems('users', 'user'),
  on: {
    UserRegistered: (event) => [
      {
        op: 'put',
        ...itemKey('users', accountOf(event), event.data.userId),
        data: { id: event.data.userId, email: event.data.email, name: event.data.name, createdAt: event.at },
      },
    ],
  },
};

export async function getUser(
  machine: Machine,
  account: string,
  user: string,
): Promise<{ id: string; email: string; name: string } | undefined> {
  const row = await getItem(machine, 'users', account, user);
  if (!row) return undefined;
  const { id, email, name } = await reveal(machine, account, row);
  return { id: String(id), email: String(email ?? ''), name: String(name ?? '') };
}
