/** From a commit to what it does to the rows of a projection, and whose fault it is when that fails. */
import { decode, UnreadableCommit } from '../../activity/decode.ts';
import type { Recorded } from '../../domain/event.ts';
import type { JsonObject, Platform, RowChange, RowKey, StoredCommit } from '../../domain/ports.ts';
import type { Projection } from './projection.ts';

/**
 * What there is about a commit that cannot be projected: it is missing or altered (`damaged`), newer code wrote it (`unknown`), the fold
 * fails on it (`unprojectable`), or no machine takes its changes (`refused`).
 */
export type Fault = 'damaged' | 'unknown' | 'unprojectable' | 'refused';

/** A fold that throws on an event, or writes outside of its table. */
class Unprojectable extends Error {
  constructor(cause: unknown) {
    super('an event could not be projected', { cause });
    this.name = 'Unprojectable';
  }
}

/** A stream without one of its commits. */
export class MissingCommit extends Error {
  constructor() {
    super('a commit is missing, though there are later ones');
    this.name = 'MissingCommit';
  }
}

/** What is wrong with the commit, so that it would fail for ever; undefined when it is the machine that failed. */
export function faultOf(error: unknown): Fault | undefined {
  if (error instanceof UnreadableCommit) return error.why;
  if (error instanceof MissingCommit) return 'damaged';
  if (error instanceof Unprojectable) return 'unprojectable';
  return error instanceof Error && error.name === 'LimitExceeded' ? 'refused' : undefined;
}

/** What a commit does to the rows. Throws what `faultOf` knows, and what the machine throws. */
export async function changesOf(
  platform: Pick<Platform, 'blobs'>,
  projection: Projection,
  commit: StoredCommit,
): Promise<RowChange[]> {
  return changesBy(projection, await decode(platform, commit));
}

/** What the events of one commit do to the rows, one change a row. Throws what `faultOf` knows. */
export function changesBy(projection: Projection, events: Recorded[]): RowChange[] {
  const handlers: { [type: string]: ((event: Recorded<never>) => RowChange[]) | undefined } = projection.on;
  try {
    const changes = events.flatMap((event) => handlers[event.type]?.(event as Recorded<never>) ?? []);
    const stray = changes.find(({ table }) => table !== projection.name);
    if (stray) throw new Error(`${projection.name} writes to ${stray.table}: a projection has the table of its name`);
    return mergeChanges(changes);
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

function onto(before: RowChange, change: Update): RowChange {
  const key: RowKey = { table: change.table, pk: change.pk, sk: change.sk };
  if (before.op !== 'update')
    return { op: 'put', ...key, data: updated(before.op === 'put' ? before.data : {}, change) };
  const set = { ...before.set, ...change.set };
  const add = Object.fromEntries(Object.entries(before.add ?? {}).filter(([field]) => !Object.hasOwn(set, field)));
  // No machine both sets and adds to a field at once.
  for (const [field, amount] of Object.entries(change.add ?? {})) {
    if (Object.hasOwn(set, field)) set[field] = sum(set, field, amount);
    else add[field] = (add[field] ?? 0) + amount;
  }
  return { op: 'update', ...key, set, add };
}

type Update = Extract<RowChange, { op: 'update' }>;

/** The data after the update. Throws on adding to what is no number, as machines do. */
export function updated(before: JsonObject, { set, add }: Pick<Update, 'set' | 'add'>): JsonObject {
  const data: JsonObject = { ...before, ...set };
  for (const [field, amount] of Object.entries(add ?? {})) data[field] = sum(data, field, amount);
  return data;
}

function sum(data: JsonObject, field: string, amount: number): number {
  const before = Object.hasOwn(data, field) ? data[field] : 0;
  if (typeof before !== 'number') throw new Unprojectable(new Error('an add to a field that is not a number'));
  return before + amount;
}
