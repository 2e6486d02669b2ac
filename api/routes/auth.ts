/** Signing in and out. The identity checks passwords; both tokens are ours. */
import * as z from 'zod';
import { Problem } from '../../domain/errors.ts';
import { makeId } from '../../domain/ids.ts';
import type { Machine, SignedIn } from '../../domain/ports.ts';
import type { CommandContext } from '../command-context.ts';
import { noContent, ok, type RouteModule, route } from '../route.ts';
import { endSession, openSession, rotateSession } from '../sessions.ts';

const tokens = z
  .object({
    accessToken: z.string(),
    refreshToken: z.string(),
    expiresIn: z.int().meta({ description: 'Seconds until the access token expires.' }),
    tokenType: z.literal('Bearer'),
  })
  .meta({ id: 'Tokens' });

const refreshToken = z.strictObject({ refreshToken: z.string().min(1).max(4096) });

type Person = Extract<SignedIn, { outcome: 'signed-in' }>;

/** What has to be recorded of a sign-in before tokens go out; the role in the account. */
async function signedIn(_machine: Machine, _context: CommandContext, _identity: Person, _sessionId: string): Promise<{ role: string }> {
  return { role: 'owner' };
}

export const auth: RouteModule = [
  route({
    method: 'POST',
    url: '/auth/login',
    summary: 'Sign in',
    tags: ['auth'],
    public: true,
    credentials: true,
    body: z.strictObject({ email: z.string().min(1).max(320), password: z.string().min(1).max(1024) }),
    answers: { 200: tokens },
    problems: ['invalid-credentials', 'email-unconfirmed'],
    handler: async ({ machine, body, command }) => {
      const result = await machine.identity.signIn(body.email, body.password);
      if (result.outcome === 'refused') throw new Problem('invalid-credentials', 'Check both and try again.');
      if (result.outcome === 'unconfirmed') throw new Problem('email-unconfirmed', 'Open the link in the e-mail we sent, then sign in.');
      const { userId, accountId } = result;
      const sessionId = makeId('session', machine.random(16));
      const context = { ...command, account: accountId, actor: { type: 'user' as const, id: userId } };
      const { role } = await signedIn(machine, context, result, sessionId);
      return ok(await openSession(machine, { userId, accountId, role, sessionId }));
    },
  }),
  route({
    method: 'POST',
    url: '/auth/refresh',
    summary: 'Exchange a refresh token for a new pair',
    description: 'A refresh token is used up by this. If an old one comes back the session ends.',
    tags: ['auth'],
    public: true,
    credentials: true,
    body: refreshToken,
    answers: { 200: tokens },
    problems: ['invalid-token'],
    handler: async ({ machine, body }) => ok(await rotateSession(machine, body.refreshToken)),
  }),
  route({
    method: 'POST',
    url: '/auth/logout',
    summary: 'End a session, all of its tokens included',
    tags: ['auth'],
    public: true,
    credentials: true,
    body: refreshToken,
    answers: { 204: z.undefined() },
    problems: ['invalid-token'],
    handler: async ({ machine, body }) => {
      await endSession(machine, body.refreshToken);
      return noContent();
    },
  }),
];
