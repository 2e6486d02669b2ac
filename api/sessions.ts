/**
 * Sessions. A session is the family of tokens that one sign-in started: refresh tokens and short-lived access tokens.
 * The record in `Records` decides: without it every token of the family is invalid, even with a valid signature.
 */
import { errors, jwtVerify, SignJWT } from 'jose';
import * as z from 'zod';
import { makeId } from '../crypto/ids.ts';
import { Problem } from '../domain/errors.ts';
import type { Platform, RecordKey } from '../domain/ports.ts';
import { secretKey } from './secret-keys.ts';

export type Principal = { account: string; user: string; role: string; session: string };
export type Tokens = { accessToken: string; refreshToken: string; expiresIn: number; tokenType: 'Bearer' };
/**
 * Called when a session ends: the user signed out, or an old refresh token was used again. Another attempt to end the
 * session calls it again, because a crash may have interrupted the first call.
 */
export type SessionEnded = (end: {
  account: string;
  user: string;
  session: string;
  reason: 'signed-out' | 'reused';
}) => Promise<unknown>;

const minute = 60_000;
const day = 24 * 60 * minute;
const accessLifeMs = 15 * minute;
const idleLifeMs = 30 * day;
const absoluteLifeMs = 90 * day;
/** Tabs of one browser may refresh at the same time with the same token. Reuse within this time is not theft. */
const reuseWindowMs = 10_000;

const issuer = 'listbackup';
const kinds = {
  access: { secret: 'jwt-secret', audience: 'listbackup-api', typ: 'at+jwt' },
  refresh: { secret: 'jwt-refresh-secret', audience: 'listbackup-refresh', typ: 'rt+jwt' },
} as const;

const record = z.object({ generation: z.int(), rotatedAt: z.int(), openedAt: z.int(), role: z.string() });
type Session = z.output<typeof record>;
const accessClaims = z.object({ sub: z.string(), acc: z.string(), sid: z.string() });
const refreshClaims = accessClaims.extend({ gen: z.int() });
type Family = z.output<typeof accessClaims>;

const keyOf = ({ acc, sub, sid }: Family): RecordKey => ({ pk: `session#${acc}#${sub}`, sk: sid });

/** Starts a session and returns its first tokens. Throws if `sessionId` is given and already exists. */
export async function openSession(
  platform: Platform,
  user: { userId: string; accountId: string; role: string; sessionId?: string },
): Promise<Tokens> {
  const family = {
    acc: user.accountId,
    sub: user.userId,
    sid: user.sessionId ?? makeId('session', platform.random(16)),
  };
  const now = platform.now();
  const session: Session = { generation: 1, rotatedAt: now, openedAt: now, role: user.role };
  const written = await platform.records.write([
    { op: 'put', ...keyOf(family), data: session, expiresAt: expiry(session), if: 'absent' },
  ]);
  if (!written) throw new Error('the session id already exists');
  return issue(platform, family, session);
}

/**
 * Exchanges a refresh token for a new pair. The token cannot be used again, with one exception: within 10 s after its
 * use, it gets another pair of the newest generation. Any other reuse ends the session. Throws Problem
 * `invalid-token`.
 */
export async function rotateSession(platform: Platform, refreshToken: string, ended?: SessionEnded): Promise<Tokens> {
  const claims = refreshClaims.parse(await verify(platform, 'refresh', refreshToken));
  const key = keyOf(claims);
  for (;;) {
    const session = await load(platform, key);
    const now = platform.now();
    if (claims.gen === session.generation) {
      const next = { ...session, generation: session.generation + 1, rotatedAt: now };
      const same = { equals: { generation: session.generation } };
      if (await platform.records.write([{ op: 'put', ...key, data: next, expiresAt: expiry(next), if: same }]))
        return issue(platform, claims, next);
    } else if (claims.gen === session.generation - 1 && now - session.rotatedAt <= reuseWindowMs) {
      return issue(platform, claims, session);
    } else {
      await end(platform, claims, 'reused', ended);
      throw new Problem(
        'invalid-token',
        'This refresh token was already used, so the session was ended for safety. Sign in again.',
      );
    }
  }
}

/**
 * Ends the session of a refresh token, which may be expired. Ending it twice is not an error. Throws Problem
 * `invalid-token` if this server did not issue the token.
 */
export async function endSession(platform: Platform, refreshToken: string, ended?: SessionEnded): Promise<void> {
  await end(
    platform,
    refreshClaims.parse(await verify(platform, 'refresh', refreshToken, { acceptExpired: true })),
    'signed-out',
    ended,
  );
}

/**
 * Returns the caller that an access token identifies. Each call reads the session, so its end takes effect at once.
 * Throws Problem `invalid-token`.
 */
export async function principalOf(platform: Platform, accessToken: string): Promise<Principal> {
  const family = accessClaims.parse(await verify(platform, 'access', accessToken));
  const { role } = await load(platform, keyOf(family));
  return { account: family.acc, user: family.sub, session: family.sid, role };
}

/** Returns the ids of those sessions that have not ended. */
export async function openSessions(
  platform: Platform,
  sessions: readonly Pick<Principal, 'account' | 'user' | 'session'>[],
): Promise<Set<string>> {
  const keys = sessions.map(({ account, user, session }) => keyOf({ acc: account, sub: user, sid: session }));
  return new Set((await platform.records.getMany(keys)).map(({ sk }) => sk));
}

async function load(platform: Platform, key: RecordKey): Promise<Session> {
  const found = await platform.records.get(key);
  if (!found) throw new Problem('invalid-token', 'The session has ended. Sign in again.');
  return record.parse(found.data);
}

async function end(
  platform: Platform,
  family: Family,
  reason: 'signed-out' | 'reused',
  ended?: SessionEnded,
): Promise<void> {
  await platform.records.write([{ op: 'delete', ...keyOf(family) }]);
  await ended?.({ account: family.acc, user: family.sub, session: family.sid, reason });
}

/**
 * Returns when the session expires unless it is refreshed, in seconds since the epoch. The absolute lifetime caps it.
 */
function expiry(session: Session): number {
  return Math.floor(Math.min(session.rotatedAt + idleLifeMs, session.openedAt + absoluteLifeMs) / 1000);
}

async function issue(platform: Platform, { acc, sub, sid }: Family, session: Session): Promise<Tokens> {
  const now = Math.floor(platform.now() / 1000);
  const until = expiry(session);
  const expiresIn = Math.min(accessLifeMs / 1000, until - now);
  const jti = Buffer.from(platform.random(12)).toString('base64url');
  const [accessToken, refreshToken] = await Promise.all([
    sign(platform, 'access', { sub, acc, sid, role: session.role }, now, now + expiresIn),
    sign(platform, 'refresh', { sub, acc, sid, gen: session.generation, jti }, now, until),
  ]);
  return { accessToken, refreshToken, expiresIn, tokenType: 'Bearer' };
}

async function sign(
  platform: Platform,
  kind: keyof typeof kinds,
  claims: { [claim: string]: string | number },
  from: number,
  until: number,
): Promise<string> {
  const { secret, audience, typ } = kinds[kind];
  const token = new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ }).setIssuer(issuer).setAudience(audience);
  return token
    .setIssuedAt(from)
    .setExpirationTime(until)
    .sign(await secretKey(platform, secret));
}

async function verify(
  platform: Platform,
  kind: keyof typeof kinds,
  token: string,
  options: { acceptExpired?: boolean } = {},
): Promise<unknown> {
  const { secret, audience, typ } = kinds[kind];
  const key = await secretKey(platform, secret);
  const currentDate = new Date(platform.now());
  try {
    const required = ['sub', 'iat', 'exp'];
    return (
      await jwtVerify(token, key, {
        algorithms: ['HS256'],
        issuer,
        audience,
        typ,
        currentDate,
        requiredClaims: required,
      })
    ).payload;
  } catch (error) {
    // jose checks signature, issuer and audience before the times. So this server issued the expired token.
    if (error instanceof errors.JWTExpired) {
      if (options.acceptExpired) return error.payload;
      throw new Problem(
        'invalid-token',
        kind === 'access'
          ? 'The access token has expired. Get a new one with POST /auth/refresh.'
          : 'The session has expired. Sign in again.',
      );
    }
    if (!(error instanceof errors.JOSEError)) throw error;
    throw new Problem('invalid-token', 'This server did not issue the token. Sign in again.');
  }
}
