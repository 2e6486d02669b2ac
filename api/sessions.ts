/**
 * Sessions: a family of refresh tokens that began with one sign-in, and the short access tokens made along the way. The record is the
 * truth: once it is gone, every token of the family is dead, whatever its signature says.
 */
import { errors, jwtVerify, SignJWT } from 'jose';
import * as z from 'zod';
import { makeId } from '../crypto/ids.ts';
import { Problem } from '../domain/errors.ts';
import type { Platform, RecordKey } from '../domain/ports.ts';
import { secretKey } from './secret-keys.ts';

export type Principal = { account: string; user: string; role: string; session: string };
export type Tokens = { accessToken: string; refreshToken: string; expiresIn: number; tokenType: 'Bearer' };
/** Told when a family ends: by its owner, or because an old refresh token came back. Whoever ends it again tells it again: the first may have been cut off before. */
export type SessionEnded = (end: {
  account: string;
  user: string;
  session: string;
  reason: 'signed-out' | 'reused';
}) => Promise<unknown>;

const minute = 60_000;
const day = 24 * 60 * minute;
const accessLife = 15 * minute;
const idleLife = 30 * day;
const absoluteLife = 90 * day;
/** Tabs of one browser refresh at the same time with the same token; that is no theft. */
const tabsWindow = 10_000;

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

/** A new family, with its id if the caller needs to know it beforehand; it may not exist yet. */
export async function openSession(
  platform: Platform,
  who: { userId: string; accountId: string; role: string; sessionId?: string },
): Promise<Tokens> {
  const family = { acc: who.accountId, sub: who.userId, sid: who.sessionId ?? makeId('session', platform.random(16)) };
  const now = platform.now();
  const session: Session = { generation: 1, rotatedAt: now, openedAt: now, role: who.role };
  const written = await platform.records.write([
    { op: 'put', ...keyOf(family), data: session, expiresAt: expiry(session), if: 'absent' },
  ]);
  if (!written) throw new Error('a session id was used twice');
  return issue(platform, family, session);
}

/**
 * A new pair for a refresh token, which is used up. The token before the newest one, within 10 s of its use, gets another pair of the
 * newest generation; any older or later reuse ends the family. Throws Problem `invalid-token`.
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
    } else if (claims.gen === session.generation - 1 && now - session.rotatedAt <= tabsWindow) {
      return issue(platform, claims, session);
    } else {
      await end(platform, claims, 'reused', ended);
      throw new Problem(
        'invalid-token',
        'This refresh token was used before, so the session was ended for safety. Sign in again.',
      );
    }
  }
}

/** Ends the family of that refresh token, however old; fine if it has ended. Throws Problem `invalid-token` if it is none of ours. */
export async function endSession(platform: Platform, refreshToken: string, ended?: SessionEnded): Promise<void> {
  await end(
    platform,
    refreshClaims.parse(await verify(platform, 'refresh', refreshToken, { evenExpired: true })),
    'signed-out',
    ended,
  );
}

/** Who presents that access token. The session is looked up each time, so that ending it works at once. Throws Problem `invalid-token`. */
export async function principalOf(platform: Platform, accessToken: string): Promise<Principal> {
  const family = accessClaims.parse(await verify(platform, 'access', accessToken));
  const { role } = await load(platform, keyOf(family));
  return { account: family.acc, user: family.sub, session: family.sid, role };
}

/** Which of those sessions have not ended. */
export async function openSessions(
  platform: Platform,
  some: readonly Pick<Principal, 'account' | 'user' | 'session'>[],
): Promise<Set<string>> {
  const keys = some.map(({ account, user, session }) => keyOf({ acc: account, sub: user, sid: session }));
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

/** Seconds since the epoch after which the session is over unless it is refreshed; never beyond its absolute life. */
function expiry(session: Session): number {
  return Math.floor(Math.min(session.rotatedAt + idleLife, session.openedAt + absoluteLife) / 1000);
}

async function issue(platform: Platform, { acc, sub, sid }: Family, session: Session): Promise<Tokens> {
  const now = Math.floor(platform.now() / 1000);
  const until = expiry(session);
  const expiresIn = Math.min(accessLife / 1000, until - now);
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
  options: { evenExpired?: boolean } = {},
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
    // jose checks signature, issuer and audience before the times, so an expired token is still one of ours
    if (error instanceof errors.JWTExpired) {
      if (options.evenExpired) return error.payload;
      throw new Problem(
        'invalid-token',
        kind === 'access' ? 'The access token has expired. Refresh it.' : 'The session has expired. Sign in again.',
      );
    }
    if (!(error instanceof errors.JOSEError)) throw error;
    throw new Problem('invalid-token', 'The token is not one of ours. Sign in again.');
  }
}
