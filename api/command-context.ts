/** Derives the context of a command (caller, command id, correlation id) from the request. */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';
import { canonicalJson, keyedHash } from './secret-keys.ts';

/** Stands for the account on public routes, which run before a caller is authenticated. No account has this id. */
export const anonymous = 'anonymous';

/** The part of a command's context that every request has. A public route adds the account and the actor itself. */
export type RequestCause = { commandId: string; correlationId: string };

/**
 * Two requests with equal intents are repeats of each other. `caller` separates tenants, and the users of one tenant.
 */
export type Intent = {
  caller: { account: string; user: string };
  route: string;
  key: string | undefined;
  input: string;
};

/** The pattern in the OpenAPI document. HTTP strips spaces around a header value, so a key has none at its ends. */
export const idempotencyKeyPattern = '^[!-~]([ -~]{0,253}[!-~])?$';

/**
 * Returns the intent of a validated request. Throws Problem `invalid-input` unless the `Idempotency-Key` has 1 to 255
 * printable ASCII characters.
 */
export function intentOf(request: FastifyRequest): Intent {
  const key = request.method === 'POST' ? request.headers['idempotency-key'] : undefined;
  if (key !== undefined && (typeof key !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(key))) {
    const message = 'Send 1 to 255 printable ASCII characters, for example a random UUID.';
    throw new Problem('invalid-input', message, { errors: [{ path: 'Idempotency-Key', message }] });
  }
  const caller = { account: request.principal?.account ?? anonymous, user: request.principal?.user ?? anonymous };
  const route = `${request.method} ${request.routeOptions.url} ${canonicalJson(request.params ?? {})}`;
  return { caller, route, key, input: canonicalJson([request.query ?? {}, request.body ?? null]) };
}

/**
 * With an `Idempotency-Key`, the command id is an HMAC over (caller, route, key, input). A repeat gets the same id,
 * so it continues a command that a crash interrupted. A plain hash would not do: bodies hold passwords and the event
 * store keeps command ids. Without a key, the command id is random.
 */
export async function requestCause(platform: Platform, request: FastifyRequest, intent: Intent): Promise<RequestCause> {
  const id = intent.key === undefined ? platform.random(32) : await keyedHash(platform, 'command-id', intent);
  return { commandId: Buffer.from(id).toString('hex'), correlationId: request.id };
}
