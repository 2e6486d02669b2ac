/** What read models need besides wake-ups, done every minute in both homes: rebuilds, clearing away, and another try for what stands still. */
import type { Machine } from '../domain/ports.ts';
import { beginBuilding, beginEmpty, isDue, readGenerations } from './generations.ts';
import { parked as allParked, retryParked } from './parking.ts';
import type { Projection } from './projection.ts';
import { clearRetired, continueRebuild, type Stop } from './rebuild.ts';

const retryMilliseconds = 60 * 60_000;

/**
 * Harmless at any time and in several processes at once. What stands still is tried again once an hour; all of it with `retryNow`, after
 * a start, since another version of the code may get past it. A projection whose upkeep fails is logged and left for the next time.
 */
export async function tendProjections(
  machine: Machine,
  projections: Projection[],
  { stop = () => false, retryNow = false }: { stop?: Stop; retryNow?: boolean } = {},
): Promise<void> {
  const before = retryNow ? Number.POSITIVE_INFINITY : machine.now() - retryMilliseconds;
  await guarded(machine, 'all', async () => {
    const { healed, parked } = await retryParked(machine, projections, before, stop);
    if (healed + parked > 0) machine.log.info('parked streams were tried again', { healed, parked });
    await measureParked(machine);
  });
  for (const projection of projections) await guarded(machine, projection.name, () => tend(machine, projection, stop));
}

/**
 * For a machine that may have no activity yet: then what is projected from now on is of these versions. Done before it takes its first
 * command, it spares it a rebuild of what that command begins.
 */
export async function tendEmpty(machine: Machine, projections: Projection[]): Promise<void> {
  if (await hasNoActivity(machine)) await Promise.all(projections.map((projection) => beginEmpty(machine, projection)));
}

async function tend(machine: Machine, projection: Projection, stop: Stop): Promise<void> {
  let now = (await readGenerations(machine)).get(projection.name);
  if (!now && (await hasNoActivity(machine))) return beginEmpty(machine, projection);
  if (!now || isDue(projection, now)) now = await beginBuilding(machine, projection);
  if (now.building) await continueRebuild(machine, projection, stop);
  await clearRetired(machine, projection, stop);
}

async function measureParked(machine: Machine): Promise<void> {
  let count = 0;
  let first = machine.now();
  for await (const { since } of allParked(machine)) {
    count++;
    first = Math.min(first, Date.parse(since));
  }
  if (count > 0) machine.log.measure({ Parked: count, ProjectionLagSeconds: (machine.now() - first) / 1000 });
}

async function hasNoActivity(machine: Machine): Promise<boolean> {
  const { items, next } = await machine.events.streams({ limit: 1 });
  return items.length === 0 && next === null;
}

async function guarded(machine: Machine, projection: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    machine.log.error('looking after a projection failed; it is taken up again', { projection }, error);
  }
}
