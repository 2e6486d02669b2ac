/** Maintenance of the read models, every minute in both deployments: rebuilds, clearing, retries of parked streams. */
import type { Platform } from '../../domain/ports.ts';
import { beginBuilding, beginEmpty, isDue, readGenerations } from './generations.ts';
import { parked as allParked, retryParked } from './parking.ts';
import type { Projection } from './projection.ts';
import { clearRetired, continueRebuild, type Stop } from './rebuild.ts';

/** How often a parked stream is retried. */
const retryMilliseconds = 60 * 60_000;

/**
 * Safe at any time and in several processes at once. Retries each parked stream once an hour, or at once with
 * `retryNow`. Callers set that after a start, because another version of the code may fix the fault. Logs a projection
 * whose maintenance fails, and leaves it to the next call.
 */
export async function maintainProjections(
  platform: Platform,
  projections: Projection[],
  { stop = () => false, retryNow = false }: { stop?: Stop; retryNow?: boolean } = {},
): Promise<void> {
  const before = retryNow ? Number.POSITIVE_INFINITY : platform.now() - retryMilliseconds;
  await guarded(platform, 'all', async () => {
    const { healed, parked } = await retryParked(platform, projections, before, stop);
    if (healed + parked > 0) platform.log.info('parked streams retried', { healed, parked });
    await measureParked(platform);
  });
  for (const projection of projections)
    await guarded(platform, projection.name, () => maintain(platform, projection, stop));
}

/**
 * Registers the versions of the projections in a deployment without commits. A new deployment calls it before its first
 * command, and so avoids a rebuild.
 */
export async function maintainEmpty(platform: Platform, projections: Projection[]): Promise<void> {
  if (await hasNoActivity(platform))
    await Promise.all(projections.map((projection) => beginEmpty(platform, projection)));
}

async function maintain(platform: Platform, projection: Projection, stop: Stop): Promise<void> {
  let generations = (await readGenerations(platform)).get(projection.name);
  if (!generations && (await hasNoActivity(platform))) return beginEmpty(platform, projection);
  if (!generations || isDue(projection, generations)) generations = await beginBuilding(platform, projection);
  if (generations.building) await continueRebuild(platform, projection, stop);
  await clearRetired(platform, projection, stop);
}

async function measureParked(platform: Platform): Promise<void> {
  let count = 0;
  let oldest = platform.now();
  for await (const { since } of allParked(platform)) {
    count++;
    oldest = Math.min(oldest, Date.parse(since));
  }
  if (count > 0) platform.log.measure({ Parked: count, ProjectionLagSeconds: (platform.now() - oldest) / 1000 });
}

async function hasNoActivity(platform: Platform): Promise<boolean> {
  const { items, next } = await platform.events.streams({ limit: 1 });
  return items.length === 0 && next === null;
}

async function guarded(platform: Platform, projection: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    platform.log.error('maintenance of a projection failed, the next call retries it', { projection }, error);
  }
}
