/** Signing in and out. The identity checks passwords; both tokens are ours. */
import * as z from 'zod';
import { endSession as recordSessionEnd } from '../../commands/end-session.ts';
import { registerUser } from '../../commands/register-user.ts';
import { signIn } from '../../commands/sign-in.ts';
import { makeId } from '../../crypto/ids.ts';
import { Problem } from '../../domain/errors.ts';
import type { Platform } from '../../domain/ports.ts';
import type { RequestCause } from '../command-context.ts';
import { limitGuesses } from '../guessing.ts';
import { accepted, noContent, ok, type RouteModule, route } from '../route.ts';
import { endSession, openSession, rotateSession, type SessionEnded } from '../sessions.ts';
import { name } from '../shapes.ts';

const tokens = z
  .object({
    accessToken: z.string(),
    refreshToken: z.string(),
    expiresIn: z.int().meta({ description: 'Seconds until the access token expires.' }),
    tokenType: z.literal('Bearer'),
  })
  .meta({ id: 'Tokens' });

const refreshToken = z.strictObject({ refreshToken: z.string().min(1).max(4096) });

const withItsToken = (['POST /auth/refresh', 'POST /auth/logout'] as const).map((to) => ({
  to,
  body: { refreshToken: '$response.body#/refreshToken' as const },
}));

const person = z.object({ id: z.string(), email: z.string(), name: z.string() });
const account = z.object({ id: z.string(), name: z.string(), role: z.string() });

/** Writes the end of a session to the log, whatever ended it. */
function recordEnd(platform: Platform, cause: RequestCause): SessionEnded {
  return ({ account, user, session, reason }) =>
    recordSessionEnd(platform, { ...cause, account, actor: { type: 'user', id: user } }, session, reason);
}

export const auth: RouteModule = [
  route({
    method: 'POST',
    url: '/auth/register',
    summary: 'Sign up',
    description: 'Opens an account with its first user. 202 where an e-mail must be confirmed first.',
    tags: ['auth'],
    public: true,
    body: z.strictObject({
      email: z.email('Give an e-mail address.').max(254),
      // shorter is 422 `weak-password`, from whoever keeps the password
      password: z.string().min(1).max(1024).meta({ description: 'At least 12 characters.', minLength: 12 }),
      name,
    }),
    answers: { 201: z.object({ user: person, account }).meta({ id: 'Registration' }), 202: z.object({}) },
    problems: ['email-taken', 'weak-password'],
    handler: async ({ platform, body, command }) => {
      const result = await registerUser(platform, command, body);
      if (result.outcome === 'confirm') return accepted({});
      const { user, account, written } = result;
      return { status: 201 as const, body: { user, account }, written };
    },
  }),
  route({
    method: 'POST',
    url: '/auth/login',
    summary: 'Sign in',
    description: 'After ten wrong passwords within a quarter of an hour from one address: 429 until it is over.',
    tags: ['auth'],
    public: true,
    credentials: true,
    body: z.strictObject({ email: z.string().min(1).max(320), password: z.string().min(1).max(1024) }),
    answers: { 200: tokens },
    problems: ['invalid-credentials', 'email-unconfirmed'],
    leadsTo: { 200: withItsToken },
    handler: async ({ platform, body, command, address, context: { rateScale: scale } }) => {
      const { email, password } = body;
      const result = await limitGuesses(platform, { email, address, scale }, () =>
        platform.identity.signIn(email, password),
      );
      if (result.outcome === 'refused') throw new Problem('invalid-credentials', 'Check both and try again.');
      if (result.outcome === 'unconfirmed')
        throw new Problem('email-unconfirmed', 'Open the link in the e-mail we sent, then sign in.');
      const { userId, accountId } = result;
      const sessionId = makeId('session', platform.random(16));
      const context = { ...command, account: accountId, actor: { type: 'user' as const, id: userId } };
      const { role, written } = await signIn(platform, context, result, sessionId);
      return ok(await openSession(platform, { userId, accountId, role, sessionId }), { written });
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
    leadsTo: { 200: withItsToken },
    handler: async ({ platform, body, command }) =>
      ok(await rotateSession(platform, body.refreshToken, recordEnd(platform, command))),
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
    handler: async ({ platform, body, command }) => {
      await endSession(platform, body.refreshToken, recordEnd(platform, command));
      return noContent();
    },
  }),
];
