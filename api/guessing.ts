/**
 * Limits password guessing (OWASP ASVS 5.0, 6.1.1 and 6.3.1). `Records` counts the failed sign-ins of each e-mail
 * address in windows of 15 minutes. One IP address gets 10 failures per e-mail. All IP addresses together get 50. The
 * second limit does not apply to IP addresses that this e-mail signed in from before. So a botnet gets no more than
 * 50 guesses, and strangers cannot lock a user out of the networks that the user signs in from.
 */
import { normalizeIP } from '@fastify/rate-limit';
import { Problem } from '../domain/errors.ts';
import type { Platform, RecordKey, SignedIn } from '../domain/ports.ts';
import { keyedHash } from './secret-keys.ts';

const windowMs = 15 * 60_000;
const limitPerAddress = 10;
const limitOfAllAddresses = 50;
/** How long an IP address counts as known after a sign-in. */
const knownMilliseconds = 90 * 24 * 60 * 60_000;

type Guess = { email: string; address: string; scale: number };

/**
 * Runs `attempt` and returns its result. The attempt is counted before it starts, so that concurrent guesses count
 * too. The count is reverted unless the password was refused. Unknown e-mail addresses are counted in the same way.
 * Throws Problem `rate-limited` if a limit is exceeded. `scale` multiplies both limits, 0 turns them off.
 */
export async function limitGuesses(
  platform: Platform,
  guess: Guess,
  attempt: () => Promise<SignedIn>,
): Promise<SignedIn> {
  const { scale } = guess;
  if (scale === 0) return attempt();
  const email = guess.email.normalize('NFC').toLowerCase();
  const window = Math.floor(platform.now() / windowMs);
  const [addressKey, emailKey] = await Promise.all([
    recordKeyOf(platform, { email, address: normalizeIP(guess.address) }),
    recordKeyOf(platform, { email }),
  ]);
  const known = { pk: addressKey, sk: 'known' };
  const counted = [{ pk: addressKey, sk: String(window) }];
  await count(platform, { pk: addressKey, sk: String(window) }, limitPerAddress * scale, window);
  if ((await platform.records.get(known)) === undefined) {
    const ofAll = { pk: emailKey, sk: String(window) };
    counted.push(ofAll);
    await count(platform, ofAll, limitOfAllAddresses * scale, window);
  }
  const revert = () => Promise.all(counted.map((key) => platform.records.add(key, { failed: -1 }, expiryOf(window))));
  const result = await attempt().catch(async (error: unknown) => {
    // The identity provider failed before it checked the password.
    await revert();
    throw error;
  });
  if (result.outcome !== 'refused') await revert();
  if (result.outcome === 'signed-in') {
    await platform.records.putMany([
      { ...known, data: {}, expiresAt: Math.floor((platform.now() + knownMilliseconds) / 1000) },
    ]);
  }
  return result;
}

/** E-mail and IP address are personal data, so the key holds their HMAC. */
async function recordKeyOf(platform: Platform, subject: { email: string; address?: string }): Promise<string> {
  return `guess#${(await keyedHash(platform, 'guess', subject)).toString('base64url')}`;
}

async function count(platform: Platform, key: RecordKey, limit: number, window: number): Promise<void> {
  const { failed } = await platform.records.add(key, { failed: 1 }, expiryOf(window));
  if (Number(failed) <= Math.max(1, Math.round(limit))) return;
  // The window may have ended during the write.
  const retryAfter = Math.max(1, Math.ceil(((window + 1) * windowMs - platform.now()) / 1000));
  throw new Problem('rate-limited', `Too many sign-ins with a wrong password. Wait ${retryAfter} s, then try again.`, {
    extra: { retryAfter },
  });
}

/** Seconds since the epoch. A count outlives its window, so that a late decrement finds it. */
function expiryOf(window: number): number {
  return ((window + 2) * windowMs) / 1000;
}
