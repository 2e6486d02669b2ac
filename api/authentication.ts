/**
 * Authenticates requests. Every route needs a credential unless it declares `public: true`. To support a new kind of
 * credential, add a scheme to `schemes`.
 */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';
import { type Principal, principalOf } from './sessions.ts';

type Scheme = (platform: Platform, headers: FastifyRequest['headers']) => Promise<Principal> | undefined;

const bearer: Scheme = (platform, { authorization }) => {
  if (authorization === undefined) return undefined;
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization)?.[1];
  if (!token)
    throw new Problem(
      'invalid-token',
      'The Authorization header is malformed. Send «Authorization: Bearer <access token>».',
    );
  return principalOf(platform, token);
};

const apiKey: Scheme = (_platform, headers) => {
  if (headers['x-api-key'] === undefined) return undefined;
  throw new Problem(
    'unauthenticated',
    'This version does not support API keys. Sign in and send «Authorization: Bearer <access token>».',
  );
};

const schemes = [apiKey, bearer];

/**
 * Returns the caller that the credential in the headers identifies. Throws Problem `unauthenticated` if there is none,
 * `invalid-token` if it is malformed, expired or revoked.
 */
export async function authenticate(platform: Platform, headers: FastifyRequest['headers']): Promise<Principal> {
  for (const scheme of schemes) {
    const principal = scheme(platform, headers);
    if (principal) return principal;
  }
  throw new Problem(
    'unauthenticated',
    'The request has no credential. Sign in with POST /auth/login and send «Authorization: Bearer <access token>».',
  );
}
