/** Reading one's own writes: a write answers where it went, a read that sends this back waits for the read model to get there. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import type { Written } from '../commands/context.ts';
import { Problem } from '../domain/errors.ts';
import { parseStream } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { currentRows } from '../projections/engine/generations.ts';
import { isParked } from '../projections/engine/parking.ts';
import { derivedKey } from './secret-keys.ts';

export const consistencyHeader = 'consistency-token';

/** A read model as far as waiting needs it: its name, and the stream types it follows. */
export type Follower = { name: string; streams: readonly string[] };
/** Milliseconds; tests make it quick. */
export type Sleep = (milliseconds: number) => Promise<void>;

const patience = 2_000;
const firstPause = 10;
const longestPause = 200;
/** How soon to ask again for what is parked. */
const parkedSeconds = 60;
const macBytes = 16;
const positions = z.array(z.tuple([z.string(), z.int().min(1)])).min(1);

/** An opaque token for those writes: their streams and versions, and an HMAC so that nobody makes us wait for what never comes. */
export async function consistencyToken(platform: Platform, written: Written | readonly Written[]): Promise<string> {
  const all = Array.isArray(written) ? (written as readonly Written[]) : [written as Written];
  const payload = Buffer.from(JSON.stringify(all.map(({ stream, version }) => [stream, version])));
  return Buffer.concat([await mac(platform, payload), payload]).toString('base64url');
}

/** The writes named in the header, one token or several with commas. Throws Problem `invalid-input` for any that is not this account's. */
export async function readConsistencyTokens(platform: Platform, account: string, header: string): Promise<Written[]> {
  const tokens = header.split(',').map((token) => token.trim());
  if (tokens.length > 20) throw refused();
  const written = (await Promise.all(tokens.map((token) => readToken(platform, token)))).flat();
  if (written.some(({ stream }) => parseStream(stream).account !== account)) throw refused();
  return written;
}

async function readToken(platform: Platform, token: string): Promise<Written[]> {
  const bytes = Buffer.from(token, 'base64url');
  if (bytes.length <= macBytes || bytes.toString('base64url') !== token) throw refused();
  const payload = bytes.subarray(macBytes);
  if (!timingSafeEqual(await mac(platform, payload), bytes.subarray(0, macBytes))) throw refused();
  return positions.parse(JSON.parse(payload.toString('utf8'))).map(([stream, version]) => ({ stream, version }));
}

async function mac(platform: Platform, payload: Uint8Array): Promise<Buffer> {
  const key = await derivedKey(platform, 'consistency-token');
  return createHmac('sha256', key).update(payload).digest().subarray(0, macBytes);
}

function refused(): Problem {
  const message = 'Send back the Consistency-Token of an answer to this account unchanged, or leave the header out.';
  return new Problem('invalid-input', message, { errors: [{ path: 'Consistency-Token', message }] });
}

/**
 * Resolves once each of the read models has applied each of those writes that it follows. Throws Problem `unavailable` with
 * `retryAfter` after 2 s, which says so when one of them is parked there.
 */
export async function waitForWrites(
  platform: Platform,
  readers: readonly Follower[],
  written: readonly Written[],
  sleep: Sleep,
): Promise<void> {
  const started = platform.now();
  let open = readers.flatMap(({ name, streams }) =>
    written.filter(({ stream }) => streams.includes(parseStream(stream).type)).map((write) => ({ name, ...write })),
  );
  for (let pause = firstPause; ; pause = Math.min(pause * 2, longestPause)) {
    const rows = currentRows(platform);
    const behind = await Promise.all(
      open.map(async ({ name, stream, version }) => (await rows.cursor(name, stream)) < version),
    );
    open = open.filter((_, index) => behind[index]);
    if (open.length === 0) return;
    if (platform.now() - started >= patience) break;
    await sleep(pause);
  }
  const parked = await Promise.all(open.map(({ name, stream }) => isParked(platform, name, stream)));
  if (parked.includes(true)) throw standingStill();
  throw new Problem('unavailable', 'The write is safe but not yet to be seen here. Ask again in a second.', {
    extra: { retryAfter: 1 },
  });
}

/** Nothing the caller can do, and no use in asking every second: an operator has to mend it. */
function standingStill(): Problem {
  const detail =
    'The write is safe, but this view is parked at it: it stands still there because of a fault that our operators have been told of. ' +
    'Ask again later, or without the Consistency-Token to see it as it was before.';
  return new Problem('unavailable', detail, { extra: { retryAfter: parkedSeconds } });
}
