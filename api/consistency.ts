/**
 * Read-your-writes. A write answers with a `Consistency-Token` that names the stream version it wrote. A read that
 * sends the token back waits until its read models have applied that version.
 */
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

/** A read model that reads can wait for: its name and the stream types it applies. */
export type Follower = { name: string; streams: readonly string[] };
/** Waits for that many milliseconds. Tests replace it. */
export type Sleep = (milliseconds: number) => Promise<void>;

const waitLimitMs = 2_000;
const firstPauseMs = 10;
const longestPauseMs = 200;
/** `Retry-After` where the read model is parked: an operator has to act first. */
const parkedSeconds = 60;
const macBytes = 16;
const positions = z.array(z.tuple([z.string(), z.int().min(1)])).min(1);

/**
 * Returns an opaque token that names the streams and versions of these writes. An HMAC protects it, so no client can
 * make the server wait for a version that will never exist.
 */
export async function consistencyToken(platform: Platform, written: Written | readonly Written[]): Promise<string> {
  const writes = Array.isArray(written) ? (written as readonly Written[]) : [written as Written];
  const payload = Buffer.from(JSON.stringify(writes.map(({ stream, version }) => [stream, version])));
  return Buffer.concat([await mac(platform, payload), payload]).toString('base64url');
}

/**
 * Returns the writes that the header names: one token, or several separated by commas. Throws Problem `invalid-input`
 * for a malformed token and for a token of another account.
 */
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
  const message = 'Send a Consistency-Token that this account received, unchanged, or omit the header.';
  return new Problem('invalid-input', message, { errors: [{ path: 'Consistency-Token', message }] });
}

/**
 * Resolves when each read model has applied the writes to the streams it follows. After 2 s it throws Problem
 * `unavailable` with `retryAfter`. The problem names the cause if a read model is parked at one of the writes.
 */
export async function waitForWrites(
  platform: Platform,
  readers: readonly Follower[],
  written: readonly Written[],
  sleep: Sleep,
): Promise<void> {
  const started = platform.now();
  let pending = readers.flatMap(({ name, streams }) =>
    written.filter(({ stream }) => streams.includes(parseStream(stream).type)).map((write) => ({ name, ...write })),
  );
  for (let pause = firstPauseMs; ; pause = Math.min(pause * 2, longestPauseMs)) {
    const rows = currentRows(platform);
    const behind = await Promise.all(
      pending.map(async ({ name, stream, version }) => (await rows.cursor(name, stream)) < version),
    );
    pending = pending.filter((_, index) => behind[index]);
    if (pending.length === 0) return;
    if (platform.now() - started >= waitLimitMs) break;
    await sleep(pause);
  }
  const parked = await Promise.all(pending.map(({ name, stream }) => isParked(platform, name, stream)));
  if (parked.includes(true)) throw parkedProblem();
  throw new Problem('unavailable', 'The write is stored, but this view does not show it yet. Retry in a second.', {
    extra: { retryAfter: 1 },
  });
}

/** The caller cannot act and frequent retries are useless: an operator has to repair the read model. */
function parkedProblem(): Problem {
  const detail =
    'The write is stored, but this view is parked: a fault stops it at this write, and the operators have been alerted. ' +
    'Retry later, or omit the Consistency-Token to read the state before the write.';
  return new Problem('unavailable', detail, { extra: { retryAfter: parkedSeconds } });
}
