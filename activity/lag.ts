/** Finds commits that a consumer of the event store has missed, ignoring those still in flight. */
import type { Platform, StreamNotification } from '../domain/ports.ts';

/** The stream is at `version`, the consumer has processed it up to `reached`. */
export type Lag = { stream: string; version: number; reached: number };

/**
 * The streams whose next commit for the consumer is older than `before` (UTC ISO-8601). Newer commits count as in
 * flight. Read `reached` after `heads`. A stream missing in `reached` counts as 0. Costs one read for each stream that
 * is behind.
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
  // If the next commit is missing, waiting does not help, so the stream counts as lagging.
  return behind.filter(({ stream }) => (times.get(stream) ?? '') < before);
}
