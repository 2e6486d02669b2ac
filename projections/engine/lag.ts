/** Finds commits that a read model has missed, because their stream notification was lost. */
import { type Lag, lagsOf } from '../../activity/lag.ts';
import { parseStream } from '../../domain/event.ts';
import type { Platform, StreamNotification } from '../../domain/ports.ts';
import { type ParkedRecord, parkedKey } from './catch-up.ts';
import { readGenerations, rowsAt } from './generations.ts';
import type { Projection } from './projection.ts';

/**
 * The streams, by projection, whose next unprocessed commit is older than `before` (UTC ISO-8601). Checks the current
 * generation at ≤ 1000 stream heads. Leaves out parked streams, and projections without a lag. A rebuild walks all
 * streams itself, so its generation needs no check.
 */
export async function projectionLags(
  platform: Pick<Platform, 'events' | 'rows' | 'records'>,
  projections: Projection[],
  heads: StreamNotification[],
  before: string,
): Promise<Map<Projection['name'], Lag[]>> {
  const generations = await readGenerations(platform);
  const found = new Map<Projection['name'], Lag[]>();
  for (const projection of projections) {
    const generation = generations.get(projection.name)?.current ?? 1;
    const followed = heads.filter(({ stream }) => projection.streams.includes(parseStream(stream).type));
    if (followed.length === 0) continue;
    const streams = followed.map(({ stream }) => stream);
    const cursors = await rowsAt(platform.rows, generation).cursors(projection.name, streams);
    const lags = await withoutParked(
      platform,
      { projection, generation },
      await lagsOf(platform, followed, cursors, before),
    );
    if (lags.length > 0) found.set(projection.name, lags);
  }
  return found;
}

async function withoutParked(
  { records }: Pick<Platform, 'records'>,
  target: { projection: Projection; generation: number },
  lags: Lag[],
) {
  if (lags.length === 0) return lags;
  const found = await records.getMany(lags.map(({ stream }) => parkedKey(target, stream)));
  const parked = new Map(found.map(({ data }) => [(data as ParkedRecord).stream, (data as ParkedRecord).version]));
  return lags.filter(({ stream, reached }) => (parked.get(stream) ?? 0) <= reached);
}
