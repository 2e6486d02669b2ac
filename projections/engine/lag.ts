/** Streams that a read model was not told of. */
import { type Lag, lagsOf } from '../../activity/lag.ts';
import { parseStream } from '../../domain/event.ts';
import type { Platform, StreamNotification } from '../../domain/ports.ts';
import { type ParkedRecord, parkedKey } from './catch-up.ts';
import { readGenerations, rowsAt } from './generations.ts';
import type { Projection } from './projection.ts';

/**
 * Of streams (≤ 1000) as they stand, those whose next commit for a read model, as it is read, was made before that time and that it does not
 * stand still at: by projection, those with none left out. What is being built comes to all streams by itself.
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
