/** Who is signed in. */
import * as z from 'zod';
import { accounts, getAccount } from '../../projections/accounts.ts';
import { getUser, users } from '../../projections/users.ts';
import { ok, type RouteModule, route } from '../route.ts';
import { found } from '../shapes.ts';

export const me: RouteModule = [
  route({
    method: 'GET',
    url: '/me',
    summary: 'Who is signed in',
    tags: ['account'],
    reads: [users.name, accounts.name],
    answers: {
      200: z
        .object({
          user: z.object({ id: z.string(), email: z.string(), name: z.string() }),
          account: z.object({ id: z.string(), name: z.string(), role: z.string() }),
        })
        .meta({ id: 'Me' }),
    },
    handler: async ({ platform, principal }) => {
      const [user, account] = await Promise.all([
        getUser(platform, principal.account, principal.user),
        getAccount(platform, principal.account),
      ]);
      const late = 'It is not to be seen yet. Ask again in a second.';
      return ok({ user: found(user, late), account: { ...found(account, late), role: principal.role } });
    },
  }),
];
