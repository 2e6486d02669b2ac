/** Applies commits to read models as wake-ups tell of them: to every generation there is, by the cursor rule (catch-up.ts). */
import { parseStream } from '../../domain/event.ts';
import type { EventStore, Platform, StoredCommit, StreamNotification } from '../../domain/ports.ts';
import { catchUpAll } from './catch-up.ts';
import { alive, beginBuilding, type Generations, isDue, readGenerations } from './generations.ts';
import type { Projection } from './projection.ts';

/**
 * Brings every projection up to the versions named. Resolves when all are applied or, where the commit itself is at fault, parked:
 * that (projection, stream) stands still and the rest goes on. Throws when the machine fails; then nothing is parked for it.
 */
export async function handleNotifications(
  platform: Platform,
  projections: Projection[],
  notifications: StreamNotification[],
): Promise<void> {
  const newest = new Map<string, number>();
  for (const { stream, version } of notifications) newest.set(stream, Math.max(version, newest.get(stream) ?? 0));
  const heads = [...newest].map(([stream, version]): StreamNotification => ({ stream, version }));
  const sharing = { ...platform, events: sharedLoads(platform.events) };
  // Only now: whatever is not named here yet will find these commits by itself.
  const generations = await readGenerations(platform);
  const rest = projections.filter(({ last }) => !last);
  const bring = (group: Projection[], some: StreamNotification[], others?: (streams: string[]) => Promise<void>) =>
    Promise.all(
      group.map(async (projection) => {
        const followed = some.filter(({ stream }) => projection.streams.includes(parseStream(stream).type));
        if (followed.length === 0) return;
        for (const generation of alive(await settled(platform, projection, generations.get(projection.name)))) {
          for (let i = 0; i < followed.length; i += streamsAtOnce) {
            await catchUpAll(
              sharing,
              { projection, generation, ...(others && { others }) },
              followed.slice(i, i + streamsAtOnce),
            );
          }
        }
      }),
    );
  await bring(rest, heads);
  await bring(
    projections.filter(({ last }) => last),
    heads,
    async (streams) => void (await bring(rest, await headsOf(platform, streams))),
  );
}

async function headsOf({ events }: Pick<Platform, 'events'>, streams: string[]): Promise<StreamNotification[]> {
  const newest = await Promise.all(streams.map((stream) => events.last(stream)));
  return newest.flatMap((commit) => (commit ? [{ stream: commit.stream, version: commit.version }] : []));
}

/** Any machine tells of so many at once. */
const streamsAtOnce = 500;

/** The newest commits held in memory, a stream. */
const commitsShared = 20;

/** Several read models that come to the same new commits load them once; who is far behind loads for itself. */
function sharedLoads(events: EventStore): EventStore {
  const loads = new Map<string, Promise<StoredCommit[]>>();
  return {
    ...events,
    load(stream, options = {}) {
      const { from = 1, known } = options;
      if (known === undefined || known - from >= commitsShared) return events.load(stream, options);
      const key = `${stream} ${from} ${known}`;
      const load = loads.get(key) ?? events.load(stream, options);
      loads.set(key, load);
      return load;
    },
  };
}

/** Rows of another version's making, or that are about to be, are made anew: neither applies what the other does. */
async function settled(
  platform: Platform,
  projection: Projection,
  now: Generations | undefined,
): Promise<Generations | undefined> {
  return now && isDue(projection, now) ? beginBuilding(platform, projection) : now;
}
