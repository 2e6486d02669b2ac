/** Registration and sessions. The identity provider checks passwords. The API issues both tokens. */
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
import { accountView, name, userView } from '../shapes.ts';

const tokens = z
  .object({
    accessToken: z.string().meta({ description: 'Send it as `Authorization: Bearer …`.' }),
    refreshToken: z.string().meta({ description: 'Exchange it once for a new pair with POST /auth/refresh.' }),
    expiresIn: z.int().meta({ description: 'Seconds until the access token expires.', examples: [900] }),
    tokenType: z.literal('Bearer').meta({ description: 'Always `Bearer`.' }),
  })
  .meta({ id: 'Tokens', description: 'A pair of tokens.' });

const refreshToken = z
  .strictObject({
    refreshToken: z.string().min(1).max(4096).meta({ description: 'The newest refresh token of the session.' }),
  })
  .meta({ examples: [{ refreshToken: 'the-refresh-token-from-the-login' }] });

const withRefreshToken = (['POST /auth/refresh', 'POST /auth/logout'] as const).map((to) => ({
  to,
  body: { refreshToken: '$response.body#/refreshToken' as const },
}));

/** Appends the end of a session to the event store. */
function recordEnd(platform: Platform, cause: RequestCause): SessionEnded {
  return ({ account, user, session, reason }) =>
    recordSessionEnd(platform, { ...cause, account, actor: { type: 'user', id: user } }, session, reason);
}

export const auth: RouteModule = [
  route({
    method: 'POST',
    url: '/auth/register',
    summary: 'Register',
    description:
      'Creates an account and its first user. The answer is a 202 where the e-mail address must be confirmed first: open the link ' +
      'in the e-mail, then sign in.',
    tags: ['auth'],
    public: true,
    body: z
      .strictObject({
        email: z.email('Give an e-mail address.').max(254).meta({ description: 'The e-mail address to sign in with.' }),
        // The identity provider rejects shorter ones: 422 `weak-password`.
        password: z.string().min(1).max(1024).meta({ description: 'At least 12 characters.', minLength: 12 }),
        name: name.meta({ description: 'The name of the user. The account gets it too.' }),
      })
      .meta({ examples: [{ email: 'ada@example.org', password: 'correct horse battery', name: 'Ada' }] }),
    answers: {
      201: z
        .object({ user: userView, account: accountView })
        .meta({ id: 'Registration', description: 'The new user and account.' }),
      202: z.object({}),
    },
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
    description:
      'Starts a session and returns its tokens. After 10 wrong passwords from one IP address within 15 minutes, the answer is a ' +
      '429 with `Retry-After`.',
    tags: ['auth'],
    public: true,
    credentials: true,
    body: z
      .strictObject({
        email: z.string().min(1).max(320).meta({ description: 'The e-mail address of the user.' }),
        password: z.string().min(1).max(1024).meta({ description: 'The password of the user.' }),
      })
      .meta({ examples: [{ email: 'ada@example.org', password: 'correct horse battery' }] }),
    answers: { 200: tokens },
    problems: ['invalid-credentials', 'email-unconfirmed'],
    leadsTo: { 200: withRefreshToken },
    handler: async ({ platform, body, command, address, context: { rateScale: scale } }) => {
      const { email, password } = body;
      const result = await limitGuesses(platform, { email, address, scale }, () =>
        platform.identity.signIn(email, password),
      );
      if (result.outcome === 'refused') throw new Problem('invalid-credentials', 'Check both and try again.');
      if (result.outcome === 'unconfirmed')
        throw new Problem('email-unconfirmed', 'Open the link in the e-mail from ListBackup, then sign in.');
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
    summary: 'Refresh the tokens',
    description:
      'Exchanges a refresh token for a new pair. Each refresh token works once. Within 10 s, a repeat gets ' +
      'another pair. After that, reuse ends the session.',
    tags: ['auth'],
    public: true,
    credentials: true,
    body: refreshToken,
    answers: { 200: tokens },
    problems: ['invalid-token'],
    leadsTo: { 200: withRefreshToken },
    handler: async ({ platform, body, command }) =>
      ok(await rotateSession(platform, body.refreshToken, recordEnd(platform, command))),
  }),
  route({
    method: 'POST',
    url: '/auth/logout',
    summary: 'Sign out',
    description: 'Ends the session of the refresh token. All its tokens become invalid at once.',
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
