/**
 * Applies events to read models by the cursor rule: at (projection, stream), a version at or below the cursor is skipped, the next
 * one applied, a later one makes the gap be loaded. Order, duplicates, retries and catching up are this one mechanism.
 */
import { parseStream } from '../domain/event.ts';
import type { Machine, StoredCommit, Wakeup } from '../domain/ports.ts';
import { changesOf, faultOf } from './changes.ts';
import type { Projection } from './projection.ts';

/**
 * Brings every projection up to the versions named. Resolves when all are applied or, where the commit itself is at fault, parked:
 * that (projection, stream) stands still and the rest goes on. Throws when the machine fails; then nothing is parked for it.
 */
export async function handleWakeups(machine: Machine, projections: Projection[], wakeups: Wakeup[]): Promise<void> {
  const newest = new Map<string, number>();
  for (const { stream, version } of wakeups) newest.set(stream, Math.max(version, newest.get(stream) ?? 0));
  for (const group of [projections.filter(({ last }) => !last), projections.filter(({ last }) => last)]) {
    await Promise.all(
      [...newest].flatMap(([stream, version]) => {
        const { type } = parseStream(stream);
        return group.filter(({ streams }) => streams.includes(type)).map((projection) => catchUp(machine, projection, stream, version));
      }),
    );
  }
}

async function catchUp(machine: Machine, projection: Projection, stream: string, version: number): Promise<void> {
  if (await machine.records.get(parkedKey(projection, stream))) return;
  const cursor = await machine.rows.cursor(projection.name, stream);
  if (cursor >= version) return;
  for (const commit of await machine.events.load(stream, { from: cursor + 1 })) {
    try {
      const changes = await changesOf(machine, projection, commit);
      // Someone else may be quicker (stale); nobody goes back, so that a gap cannot be.
      const outcome = await machine.rows.apply(projection.name, stream, commit.version, changes);
      if (outcome === 'gap') throw new Error(`the cursor of ${projection.name} went back at ${stream}`);
    } catch (error) {
      if (!faultOf(error)) throw error;
      return park(machine, projection, commit, error);
    }
  }
}

const parkedKey = (projection: Projection, stream: string) => ({ pk: `parked#${projection.name}`, sk: stream });

async function park(machine: Machine, projection: Projection, commit: StoredCommit, error: unknown): Promise<void> {
  await machine.records.write([{ op: 'put', ...parkedKey(projection, commit.stream), data: { version: commit.version } }]);
  machine.log.error('projection parked', { projection: projection.name, stream: commit.stream, version: commit.version }, error);
}
