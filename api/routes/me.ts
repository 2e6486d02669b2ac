/** The signed-in user and account. */
import * as z from 'zod';
import { accounts, getAccount } from '../../projections/accounts.ts';
import { getUser, users } from '../../projections/users.ts';
import { ok, type RouteModule, route } from '../route.ts';
import { accountView, found, userView } from '../shapes.ts';

export const me: RouteModule = [
  route({
    method: 'GET',
    url: '/me',
    summary: 'Get the signed-in user',
    description: 'Returns the user and the account of the access token.',
    tags: ['account'],
    reads: [users.name, accounts.name],
    answers: {
      200: z.object({ user: userView, account: accountView }).meta({ id: 'Me', description: 'The caller.' }),
    },
    handler: async ({ platform, principal }) => {
      const [user, account] = await Promise.all([
        getUser(platform, principal.account, principal.user),
        getAccount(platform, principal.account),
      ]);
      const notYet = 'The new account is not available yet. Retry in a second.';
      return ok({ user: found(user, notYet), account: { ...found(account, notYet), role: principal.role } });
    },
  }),
];
