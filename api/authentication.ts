/** Who is calling. Routes are closed unless they say `public: true`; a new kind of credential is a further line in `schemes`. */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';
import { type Principal, principalOf } from './sessions.ts';

type Scheme = (platform: Platform, headers: FastifyRequest['headers']) => Promise<Principal> | undefined;

const bearer: Scheme = (platform, { authorization }) => {
  if (authorization === undefined) return undefined;
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization)?.[1];
  if (!token) throw new Problem('invalid-token', 'Send the access token as «Authorization: Bearer <token>».');
  return principalOf(platform, token);
};

const apiKey: Scheme = (_platform, headers) => {
  if (headers['x-api-key'] === undefined) return undefined;
  throw new Problem(
    'unauthenticated',
    'There are no API keys yet. Sign in and send the access token as «Authorization: Bearer <token>».',
  );
};

const schemes = [apiKey, bearer];

/** The caller by the credential in the headers. Throws Problem `unauthenticated` without one, `invalid-token` with one that is not good. */
export async function authenticate(platform: Platform, headers: FastifyRequest['headers']): Promise<Principal> {
  for (const scheme of schemes) {
    const principal = scheme(platform, headers);
    if (principal) return principal;
  }
  throw new Problem(
    'unauthenticated',
    'Sign in with POST /auth/login and send the access token as «Authorization: Bearer <token>».',
  );
}
