/** The users of each account. */
import { decryptFields } from '../activity/personal-data.ts';
import type { Platform } from '../domain/ports.ts';
import { accountOf, getItem, itemKey, type Projection } from './engine/projection.ts';

export const users: Projection = {
  name: 'users',
  version: 1,
  streams: ['user'],
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
  platform: Platform,
  account: string,
  user: string,
): Promise<{ id: string; email: string; name: string } | undefined> {
  const row = await getItem(platform, 'users', account, user);
  if (!row) return undefined;
  const { id, email, name } = await decryptFields(platform, account, row);
  return { id: String(id), email: String(email ?? ''), name: String(name ?? '') };
}
