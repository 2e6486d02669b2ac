/** Applies new commits to the read models: to every live generation, by the cursor rule (catch-up.ts). */
import { parseStream } from '../../domain/event.ts';
import type { EventStore, Platform, StoredCommit, StreamNotification } from '../../domain/ports.ts';
import { catchUpAll } from './catch-up.ts';
import { alive, beginBuilding, type Generations, isDue, readGenerations } from './generations.ts';
import type { Projection } from './projection.ts';

/**
 * Brings every projection to the versions in the notifications, projections without dependencies first. Resolves when
 * each commit is applied, or parked because the commit itself is at fault. Throws when the platform fails, and parks
 * nothing for that.
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
  // Read after the notifications: a rebuild that begins later finds these commits by its walk (generations.ts).
  const generations = await readGenerations(platform);

  async function update(projection: Projection): Promise<void> {
    const followed = heads.filter(({ stream }) => projection.streams.includes(parseStream(stream).type));
    if (followed.length === 0) return;
    for (const generation of alive(await startDueRebuild(platform, projection, generations.get(projection.name)))) {
      const target = { projection, generation };
      for (let i = 0; i < followed.length; i += streamsAtOnce)
        await catchUpAll(sharing, target, followed.slice(i, i + streamsAtOnce));
    }
  }

  await Promise.all(projections.filter(({ dependsOn }) => !dependsOn).map(update));
  await Promise.all(projections.filter(({ dependsOn }) => dependsOn).map(update));
}

/** Maximum number of streams in one batch read of cursors and parked records. */
const streamsAtOnce = 500;

/** Maximum number of commits of a load that projections share. They stay in memory. */
const commitsShared = 20;

/** Projections that need the same new commits load them once. A projection that is far behind loads its own. */
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

/** Starts a rebuild when another version of the code made the rows. Two versions never write one generation. */
async function startDueRebuild(
  platform: Platform,
  projection: Projection,
  now: Generations | undefined,
): Promise<Generations | undefined> {
  return now && isDue(projection, now) ? beginBuilding(platform, projection) : now;
}
