/**
 * Rate limits in fixed windows of a minute: 6,000 requests per credential, 60 per address on `/auth`. The count of all processes is in
 * `Records`; a process reserves a hundredth of a limit at a time, so that most requests count in memory. It never lets more through
 * than the limit; with n processes serving one credential up to n hundredths may go unused.
 */
import rateLimit, { type FastifyRateLimitStore, normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';
import { keyedHash } from './secret-keys.ts';

const window = 60_000;
const policies = { default: 6_000, auth: 60 } as const;
type Policy = keyof typeof policies;

/** What a process may still use of a limit in this window, and how much of it was used by all when it last looked. */
type Share = { left: number; used: number; exhausted: boolean; reserving: Promise<void> | undefined };

type Admit = (request: FastifyRequest, reply: FastifyReply, policy: Policy) => Promise<void>;

/**
 * A function that counts a request against a policy, sets the `RateLimit` headers (draft-ietf-httpapi-ratelimit-headers-10) and throws
 * Problem `rate-limited` when there is nothing left. `scale` multiplies the limits; 0 turns them off.
 */
export async function rateLimits(app: FastifyInstance, platform: Platform, scale: number): Promise<Admit> {
  if (scale === 0) return async () => {};
  await app.register(rateLimit, { global: false, store: countingStore(platform) });
  const limits = { default: limitOf('default', scale), auth: limitOf('auth', scale) };
  const counters = {
    default: app.createRateLimit({
      max: limits.default,
      timeWindow: window,
      keyGenerator: (request) => recordKeyOf(platform, 'default', request),
    }),
    auth: app.createRateLimit({
      max: limits.auth,
      timeWindow: window,
      keyGenerator: (request) => recordKeyOf(platform, 'auth', request),
    }),
  };
  return async (request, reply, policy) => {
    const state = await counters[policy](request);
    if (state.isAllowed) return;
    addMember(reply, 'ratelimit-policy', `"${policy}";q=${limits[policy]};w=${window / 1000}`);
    addMember(reply, 'ratelimit', `"${policy}";r=${state.remaining};t=${state.ttlInSeconds}`);
    if (!state.isExceeded) return;
    const detail = `Wait ${state.ttlInSeconds} s, then go on with at most ${limits[policy]} requests a minute.`;
    throw new Problem('rate-limited', detail, { extra: { retryAfter: Math.max(1, state.ttlInSeconds) } });
  };
}

function limitOf(policy: Policy, scale: number): number {
  return Math.max(1, Math.round(policies[policy] * scale));
}

/** Several policies on one request are members of one structured list. */
function addMember(reply: FastifyReply, header: string, member: string): void {
  const before = reply.getHeader(header);
  reply.header(header, before === undefined ? member : `${before}, ${member}`);
}

/** Where a caller is counted: the session, or the address (IPv6 by its /64) as a keyed hash, since addresses are personal data. */
async function recordKeyOf(platform: Platform, policy: Policy, request: FastifyRequest): Promise<string> {
  const caller = policy === 'auth' ? normalizeIP(request.ip) : request.principal?.session;
  return `rate#${policy}#${(await keyedHash(platform, 'rate-limit', caller)).toString('base64url')}`;
}

/** The plugin's store over `Records`. It is handed to the plugin as a constructor; children share the counts, keys tell policies apart. */
function countingStore(platform: Platform): new () => FastifyRateLimitStore {
  let current = 0;
  const shares = new Map<string, Share>();

  async function take(recordKey: string, max: number): Promise<{ current: number; ttl: number }> {
    const number = Math.floor(platform.now() / window);
    if (number !== current) shares.clear();
    current = number;
    const share = shares.get(recordKey) ?? { left: 0, used: 0, exhausted: false, reserving: undefined };
    shares.set(recordKey, share);
    while (share.left === 0 && !share.exhausted) {
      share.reserving ??= reserve(share, recordKey, number, max).finally(() => {
        share.reserving = undefined;
      });
      await share.reserving;
    }
    // the window may have ended while this was counted
    const ttl = Math.max(1, (number + 1) * window - platform.now());
    if (share.left === 0) return { current: max + 1, ttl };
    share.left -= 1;
    share.used += 1;
    return { current: share.used, ttl };
  }

  async function reserve(share: Share, recordKey: string, number: number, max: number): Promise<void> {
    const block = Math.ceil(max / 100);
    const expiresAt = ((number + 2) * window) / 1000;
    const after = await platform.records
      .add({ pk: recordKey, sk: String(number) }, { used: block }, expiresAt)
      .catch((error) => {
        // With no room for a count, what only reads goes on; whoever wants to write hears of it there.
        if (error instanceof Problem && error.code === 'storage-full') return { used: share.used + block };
        throw error;
      });
    share.used = Number(after.used) - block;
    share.left = Math.max(0, Math.min(block, max - share.used));
    share.exhausted = share.left === 0;
  }

  return class CountingStore implements FastifyRateLimitStore {
    incr(
      recordKey: string,
      callback: (error: Error | null, result?: { current: number; ttl: number }) => void,
      _window?: number,
      max = 0,
    ): void {
      take(recordKey, max).then(
        (result) => callback(null, result),
        (error: Error) => callback(error),
      );
    }

    child(): FastifyRateLimitStore {
      return this;
    }
  };
}
