/**
 * Guessing a password (OWASP ASVS 5.0, 6.1.1 and 6.3.1): failures are counted per e-mail in `Records`, by windows of a quarter of an hour. From one
 * address an e-mail gets 10 of them; from all addresses together 50, which only those addresses are held to that it never signed in
 * from. So many machines guessing together get no further than one, and nobody is locked out of where they sign in from by strangers.
 */
import { normalizeIP } from '@fastify/rate-limit';
import { Problem } from '../domain/errors.ts';
import type { Platform, RecordKey, SignedIn } from '../domain/ports.ts';
import { keyedHash } from './secret-keys.ts';

const window = 15 * 60_000;
const fromOneAddress = 10;
const fromAll = 50;
/** How long an address is remembered after a sign-in from there. */
const knownMilliseconds = 90 * 24 * 60 * 60_000;

type Guess = { email: string; address: string; scale: number };

/**
 * What `attempt` gives. It is counted before it begins, so that guesses made at once count too, and taken back unless it is refused; whether
 * the e-mail is known makes no difference. Throws Problem `rate-limited` when there were too many. `scale` multiplies both limits, 0: none.
 */
export async function limitGuesses(
  platform: Platform,
  guess: Guess,
  attempt: () => Promise<SignedIn>,
): Promise<SignedIn> {
  const { scale } = guess;
  if (scale === 0) return attempt();
  const email = guess.email.normalize('NFC').toLowerCase();
  const number = Math.floor(platform.now() / window);
  const [here, anywhere] = await Promise.all([
    recordKeyOf(platform, { email, address: normalizeIP(guess.address) }),
    recordKeyOf(platform, { email }),
  ]);
  const known = { pk: here, sk: 'known' };
  const counted = [{ pk: here, sk: String(number) }];
  await count(platform, { pk: here, sk: String(number) }, fromOneAddress * scale, number);
  if ((await platform.records.get(known)) === undefined) {
    const all = { pk: anywhere, sk: String(number) };
    counted.push(all);
    await count(platform, all, fromAll * scale, number);
  }
  const takeBack = () => Promise.all(counted.map((key) => platform.records.add(key, { failed: -1 }, expiryOf(number))));
  const result = await attempt().catch(async (error: unknown) => {
    // Nobody has looked at the password: whoever keeps them was away.
    await takeBack();
    throw error;
  });
  if (result.outcome !== 'refused') await takeBack();
  if (result.outcome === 'signed-in') {
    await platform.records.putMany([
      { ...known, data: {}, expiresAt: Math.floor((platform.now() + knownMilliseconds) / 1000) },
    ]);
  }
  return result;
}

/** Both are personal data: they rest as a keyed hash. */
async function recordKeyOf(platform: Platform, guessed: { email: string; address?: string }): Promise<string> {
  return `guess#${(await keyedHash(platform, 'guess', guessed)).toString('base64url')}`;
}

async function count(platform: Platform, key: RecordKey, limit: number, number: number): Promise<void> {
  const { failed } = await platform.records.add(key, { failed: 1 }, expiryOf(number));
  if (Number(failed) <= Math.max(1, Math.round(limit))) return;
  // the window may have ended while this was counted
  const retryAfter = Math.max(1, Math.ceil(((number + 1) * window - platform.now()) / 1000));
  throw new Problem(
    'rate-limited',
    `There were too many tries with a wrong password. Wait ${retryAfter} s, then try again.`,
    {
      extra: { retryAfter },
    },
  );
}

/** Seconds since the epoch. */
function expiryOf(number: number): number {
  return ((number + 2) * window) / 1000;
}
