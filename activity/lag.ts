/** What a follower of the activity has missed, as against what it has yet to come to. */
import type { Platform, StreamNotification } from '../domain/ports.ts';

/** A stream at `version` that the follower has only come to `reached` of. */
export type Lag = { stream: string; version: number; reached: number };

/**
 * Of streams as they stand, those whose next commit for the follower was made before that time (UTC ISO-8601): a wake-up that is only under
 * way is no lag. `reached` has to be of later than `heads`; a stream that is not in it was never come to. One commit is read a stream behind.
 */
export async function lagsOf(
  { events }: Pick<Platform, 'events'>,
  heads: StreamNotification[],
  reached: ReadonlyMap<string, number>,
  before: string,
): Promise<Lag[]> {
  const behind = heads
    .map(({ stream, version }): Lag => ({ stream, version, reached: reached.get(stream) ?? 0 }))
    .filter((lag) => lag.reached < lag.version);
  if (behind.length === 0) return [];
  const next = await events.getMany(behind.map((lag) => ({ stream: lag.stream, version: lag.reached + 1 })));
  const times = new Map(next.map(({ stream, at }) => [stream, at]));
  // One whose next commit is not there will not be come to by waiting.
  return behind.filter(({ stream }) => (times.get(stream) ?? '') < before);
}
