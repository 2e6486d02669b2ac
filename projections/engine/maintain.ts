/** What read models need besides wake-ups, done every minute in both homes: rebuilds, clearing away, and another try for what stands still. */
import type { Platform } from '../../domain/ports.ts';
import { beginBuilding, beginEmpty, isDue, readGenerations } from './generations.ts';
import { parked as allParked, retryParked } from './parking.ts';
import type { Projection } from './projection.ts';
import { clearRetired, continueRebuild, type Stop } from './rebuild.ts';

const retryMilliseconds = 60 * 60_000;

/**
 * Harmless at any time and in several processes at once. What stands still is tried again once an hour; all of it with `retryNow`, after
 * a start, since another version of the code may get past it. A projection whose upkeep fails is logged and left for the next time.
 */
export async function maintainProjections(
  platform: Platform,
  projections: Projection[],
  { stop = () => false, retryNow = false }: { stop?: Stop; retryNow?: boolean } = {},
): Promise<void> {
  const before = retryNow ? Number.POSITIVE_INFINITY : platform.now() - retryMilliseconds;
  await guarded(platform, 'all', async () => {
    const { healed, parked } = await retryParked(platform, projections, before, stop);
    if (healed + parked > 0) platform.log.info('parked streams were tried again', { healed, parked });
    await measureParked(platform);
  });
  for (const projection of projections)
    await guarded(platform, projection.name, () => maintain(platform, projection, stop));
}

/**
 * For a machine that may have no activity yet: then what is projected from now on is of these versions. Done before it takes its first
 * command, it spares it a rebuild of what that command begins.
 */
export async function maintainEmpty(platform: Platform, projections: Projection[]): Promise<void> {
  if (await hasNoActivity(platform))
    await Promise.all(projections.map((projection) => beginEmpty(platform, projection)));
}

async function maintain(platform: Platform, projection: Projection, stop: Stop): Promise<void> {
  let now = (await readGenerations(platform)).get(projection.name);
  if (!now && (await hasNoActivity(platform))) return beginEmpty(platform, projection);
  if (!now || isDue(projection, now)) now = await beginBuilding(platform, projection);
  if (now.building) await continueRebuild(platform, projection, stop);
  await clearRetired(platform, projection, stop);
}

async function measureParked(platform: Platform): Promise<void> {
  let count = 0;
  let first = platform.now();
  for await (const { since } of allParked(platform)) {
    count++;
    first = Math.min(first, Date.parse(since));
  }
  if (count > 0) platform.log.measure({ Parked: count, ProjectionLagSeconds: (platform.now() - first) / 1000 });
}

async function hasNoActivity(platform: Platform): Promise<boolean> {
  const { items, next } = await platform.events.streams({ limit: 1 });
  return items.length === 0 && next === null;
}

async function guarded(platform: Platform, projection: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    platform.log.error('looking after a projection failed; it is taken up again', { projection }, error);
  }
}
