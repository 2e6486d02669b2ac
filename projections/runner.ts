/** Applies commits to read models as wake-ups tell of them: to every generation there is, by the cursor rule (catch-up.ts). */
import { parseStream } from '../domain/event.ts';
import type { Machine, Wakeup } from '../domain/ports.ts';
import { catchUp } from './catch-up.ts';
import { alive, beginBuilding, type Generations, isDue, readGenerations } from './generations.ts';
import type { Projection } from './projection.ts';

/**
 * Brings every projection up to the versions named. Resolves when all are applied or, where the commit itself is at fault, parked:
 * that (projection, stream) stands still and the rest goes on. Throws when the machine fails; then nothing is parked for it.
 */
export async function handleWakeups(machine: Machine, projections: Projection[], wakeups: Wakeup[]): Promise<void> {
  const newest = new Map<string, number>();
  for (const { stream, version } of wakeups) newest.set(stream, Math.max(version, newest.get(stream) ?? 0));
  // Only now: whatever is not named here yet will find these commits by itself.
  const generations = await readGenerations(machine);
  for (const group of [projections.filter(({ last }) => !last), projections.filter(({ last }) => last)]) {
    await Promise.all(
      group.map(async (projection) => {
        const followed = [...newest].filter(([stream]) => projection.streams.includes(parseStream(stream).type));
        if (followed.length === 0) return;
        for (const generation of alive(await settled(machine, projection, generations.get(projection.name)))) {
          await Promise.all(followed.map(([stream, version]) => catchUp(machine, { projection, generation }, stream, version)));
        }
      }),
    );
  }
}

/** Rows of another version's making, or that are about to be, are made anew: neither applies what the other does. */
async function settled(machine: Machine, projection: Projection, now: Generations | undefined): Promise<Generations | undefined> {
  return now && isDue(projection, now) ? beginBuilding(machine, projection) : now;
}
