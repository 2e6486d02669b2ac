/** For whom and because of what a command runs, as the request tells it. */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';
import { canonicalJson, keyedHash } from './secret-keys.ts';

/** Nobody's account: where a public route acts before anyone is known. No account has this id. */
export const anonymous = 'anonymous';

/** What a command is told about its cause; on a public route the account and the actor are for the route to find out. */
export type RequestCause = { commandId: string; correlationId: string };

/** The part of a request that decides whether another is a repeat of it. `caller` keeps tenants apart, and people within one. */
export type Intent = {
  caller: { account: string; user: string };
  route: string;
  key: string | undefined;
  input: string;
};

/** What an `Idempotency-Key` is to callers; spaces around a header's value never arrive. */
export const idempotencyKeyPattern = '^[!-~]([ -~]{0,253}[!-~])?$';

/** The intent of a validated request. Throws Problem `invalid-input` for an `Idempotency-Key` that is not 1–255 printable ASCII characters. */
export function intentOf(request: FastifyRequest): Intent {
  const key = request.method === 'POST' ? request.headers['idempotency-key'] : undefined;
  if (key !== undefined && (typeof key !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(key))) {
    const message = 'Send 1 to 255 printable ASCII characters, best a random UUID.';
    throw new Problem('invalid-input', message, { errors: [{ path: 'Idempotency-Key', message }] });
  }
  const caller = { account: request.principal?.account ?? anonymous, user: request.principal?.user ?? anonymous };
  const route = `${request.method} ${request.routeOptions.url} ${canonicalJson(request.params ?? {})}`;
  return { caller, route, key, input: canonicalJson([request.query ?? {}, request.body ?? null]) };
}

/**
 * With an `Idempotency-Key`, the commandId is an HMAC over (caller, route, key, body): the same for each repeat, so that a command cut
 * short by a crash goes on where it was. Keyed, because bodies hold passwords and commandIds are in the log. Without a key it is random.
 */
export async function requestCause(platform: Platform, request: FastifyRequest, intent: Intent): Promise<RequestCause> {
  const id = intent.key === undefined ? platform.random(32) : await keyedHash(platform, 'command-id', intent);
  return { commandId: Buffer.from(id).toString('hex'), correlationId: request.id };
}
