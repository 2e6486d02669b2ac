/**
 * Applies events to read models by the cursor rule: at (projection, stream), a version at or below the cursor is skipped, the next
 * one applied, a later one makes the gap be loaded. Order, duplicates, retries and catching up are this one mechanism.
 */
import { decode, UnreadableCommit } from '../activity/decode.ts';
import { parseStream, type Recorded } from '../domain/event.ts';
import type { JsonObject, Machine, RowChange, RowKey, StoredCommit, Wakeup } from '../domain/ports.ts';
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
      if (!isAtFault(error)) throw error;
      return park(machine, projection, commit, error);
    }
  }
}

/** A handler that throws on an event. */
class Unprojectable extends Error {
  constructor(cause: unknown) {
    super('an event could not be projected', { cause });
    this.name = 'Unprojectable';
  }
}

/** Whether it is the commit that fails and would for ever, and not the machine: also when its changes are more than any machine takes. */
function isAtFault(error: unknown): boolean {
  return error instanceof UnreadableCommit || error instanceof Unprojectable || (error instanceof Error && error.name === 'LimitExceeded');
}

const parkedKey = (projection: Projection, stream: string) => ({ pk: `parked#${projection.name}`, sk: stream });

async function park(machine: Machine, projection: Projection, commit: StoredCommit, error: unknown): Promise<void> {
  await machine.records.write([{ op: 'put', ...parkedKey(projection, commit.stream), data: { version: commit.version } }]);
  machine.log.error('projection parked', { projection: projection.name, stream: commit.stream, version: commit.version }, error);
}

async function changesOf(machine: Machine, projection: Projection, commit: StoredCommit): Promise<RowChange[]> {
  const events = await decode(machine, commit);
  const handlers: { [type: string]: ((event: Recorded<never>) => RowChange[]) | undefined } = projection.on;
  try {
    return mergeChanges(events.flatMap((event) => handlers[event.type]?.(event as Recorded<never>) ?? []));
  } catch (error) {
    throw new Unprojectable(error);
  }
}

/** One change a row: what several events of a commit do to one row, in their order. */
export function mergeChanges(changes: RowChange[]): RowChange[] {
  const merged = new Map<string, RowChange>();
  for (const change of changes) {
    const key = `${change.table}\0${change.pk}\0${change.sk}`;
    const before = merged.get(key);
    merged.set(key, before && change.op === 'update' ? onto(before, change) : change);
  }
  return [...merged.values()];
}

function onto(before: RowChange, change: Extract<RowChange, { op: 'update' }>): RowChange {
  const key: RowKey = { table: change.table, pk: change.pk, sk: change.sk };
  if (before.op === 'update') {
    const set = { ...before.set, ...change.set };
    const add: { [field: string]: number } = {};
    for (const [field, amount] of [...Object.entries(before.add ?? {}), ...Object.entries(change.add ?? {})]) {
      if (field in (change.set ?? {}) && !(field in (change.add ?? {}))) continue;
      add[field] = (add[field] ?? 0) + amount;
    }
    return { op: 'update', ...key, set, add };
  }
  const data: JsonObject = { ...(before.op === 'put' ? before.data : {}), ...change.set };
  for (const [field, amount] of Object.entries(change.add ?? {})) data[field] = Number(data[field] ?? 0) + amount;
  return { op: 'put', ...key, data };
}
