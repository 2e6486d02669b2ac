/**
 * Rate limits in fixed windows of one minute: 6,000 requests per credential, and 60 per IP address on `/auth`. All
 * processes share a count in `Records`. A process reserves 1/100 of a limit at a time and counts most requests in
 * memory. The limit is never exceeded. With n processes for one credential, up to n/100 of it may stay unused.
 */
import rateLimit, { type FastifyRateLimitStore, normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';
import { keyedHash } from './secret-keys.ts';

const windowMs = 60_000;
const policies = { default: 6_000, auth: 60 } as const;
type Policy = keyof typeof policies;

/**
 * A process's share of a limit in the current window. `left` is the rest of its reservation. At its last reservation
 * it read the count of all processes: `used` is that count, plus its own requests since.
 */
type Share = { left: number; used: number; exhausted: boolean; reserving: Promise<void> | undefined };

type Admit = (request: FastifyRequest, reply: FastifyReply, policy: Policy) => Promise<void>;

/**
 * Returns a function that counts a request against a policy and sets the `RateLimit` headers
 * (draft-ietf-httpapi-ratelimit-headers-10). It throws Problem `rate-limited` when the limit is reached. `scale`
 * multiplies the limits, 0 turns them off.
 */
export async function rateLimits(app: FastifyInstance, platform: Platform, scale: number): Promise<Admit> {
  if (scale === 0) return async () => {};
  await app.register(rateLimit, { global: false, store: countingStore(platform) });
  const limits = { default: limitOf('default', scale), auth: limitOf('auth', scale) };
  const counters = {
    default: app.createRateLimit({
      max: limits.default,
      timeWindow: windowMs,
      keyGenerator: (request) => recordKeyOf(platform, 'default', request),
    }),
    auth: app.createRateLimit({
      max: limits.auth,
      timeWindow: windowMs,
      keyGenerator: (request) => recordKeyOf(platform, 'auth', request),
    }),
  };
  return async (request, reply, policy) => {
    const state = await counters[policy](request);
    if (state.isAllowed) return;
    addMember(reply, 'ratelimit-policy', `"${policy}";q=${limits[policy]};w=${windowMs / 1000}`);
    addMember(reply, 'ratelimit', `"${policy}";r=${state.remaining};t=${state.ttlInSeconds}`);
    if (!state.isExceeded) return;
    const detail = `Wait ${state.ttlInSeconds} s, then send at most ${limits[policy]} requests a minute.`;
    throw new Problem('rate-limited', detail, { extra: { retryAfter: Math.max(1, state.ttlInSeconds) } });
  };
}

function limitOf(policy: Policy, scale: number): number {
  return Math.max(1, Math.round(policies[policy] * scale));
}

/** Adds a member to the structured list in a header. A request that two policies count gets two members. */
function addMember(reply: FastifyReply, header: string, member: string): void {
  const before = reply.getHeader(header);
  reply.header(header, before === undefined ? member : `${before}, ${member}`);
}

/**
 * Returns the key of a caller's count: the HMAC of the session, or of the IP address (for IPv6, its /64 network). An
 * HMAC, because IP addresses are personal data.
 */
async function recordKeyOf(platform: Platform, policy: Policy, request: FastifyRequest): Promise<string> {
  const caller = policy === 'auth' ? normalizeIP(request.ip) : request.principal?.session;
  return `rate#${policy}#${(await keyedHash(platform, 'rate-limit', caller)).toString('base64url')}`;
}

/**
 * The plugin's store, on `Records`. The plugin wants a constructor. Child stores share the counts, because the keys
 * already name the policy.
 */
function countingStore(platform: Platform): new () => FastifyRateLimitStore {
  let currentWindow = 0;
  const shares = new Map<string, Share>();

  async function take(recordKey: string, max: number): Promise<{ current: number; ttl: number }> {
    const window = Math.floor(platform.now() / windowMs);
    if (window !== currentWindow) shares.clear();
    currentWindow = window;
    const share = shares.get(recordKey) ?? { left: 0, used: 0, exhausted: false, reserving: undefined };
    shares.set(recordKey, share);
    while (share.left === 0 && !share.exhausted) {
      share.reserving ??= reserve(share, recordKey, window, max).finally(() => {
        share.reserving = undefined;
      });
      await share.reserving;
    }
    // The window may have ended during the write.
    const ttl = Math.max(1, (window + 1) * windowMs - platform.now());
    if (share.left === 0) return { current: max + 1, ttl };
    share.left -= 1;
    share.used += 1;
    return { current: share.used, ttl };
  }

  async function reserve(share: Share, recordKey: string, window: number, max: number): Promise<void> {
    const block = Math.ceil(max / 100);
    const expiresAt = ((window + 2) * windowMs) / 1000;
    const after = await platform.records
      .add({ pk: recordKey, sk: String(window) }, { used: block }, expiresAt)
      .catch((error) => {
        // The storage is too full for a count. Reads continue, and writes report `storage-full` themselves.
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
