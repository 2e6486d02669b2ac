/** Turns a commit into row changes, and tells a fault of the commit from a failure of the platform. */
import { decode, UnreadableCommit } from '../../activity/decode.ts';
import type { Recorded } from '../../domain/event.ts';
import type { JsonObject, Platform, RowChange, RowKey, StoredCommit } from '../../domain/ports.ts';
import type { Projection } from './projection.ts';

/**
 * Why a commit cannot be projected. A `damaged` commit is missing or altered. Newer code wrote an `unknown` one. The
 * fold throws on an `unprojectable` one. The row changes of a `refused` one exceed the limits of the platform.
 */
export type Fault = 'damaged' | 'unknown' | 'unprojectable' | 'refused';

/** The fold throws on an event, or writes to the table of another projection. */
class Unprojectable extends Error {
  constructor(cause: unknown) {
    super('The fold of the projection fails on an event. Fix it, then unpark the stream.', { cause });
    this.name = 'Unprojectable';
  }
}

/** The next commit of a stream is missing although later ones exist. Waiting does not help. */
export class MissingCommit extends Error {
  constructor() {
    super('A commit is missing although later ones exist. Run the doctor.');
    this.name = 'MissingCommit';
  }
}

/** The fault of the commit, which every retry would meet again. Undefined when the platform failed. */
export function faultOf(error: unknown): Fault | undefined {
  if (error instanceof UnreadableCommit) return error.why;
  if (error instanceof MissingCommit) return 'damaged';
  if (error instanceof Unprojectable) return 'unprojectable';
  return error instanceof Error && error.name === 'LimitExceeded' ? 'refused' : undefined;
}

/** The row changes of a commit. Throws errors that `faultOf` classifies, and errors of the platform. */
export async function changesOf(
  platform: Pick<Platform, 'blobs'>,
  projection: Projection,
  commit: StoredCommit,
): Promise<RowChange[]> {
  return changesBy(projection, await decode(platform, commit));
}

/** The row changes of the events of one commit, one per row. Throws errors that `faultOf` classifies. */
export function changesBy(projection: Projection, events: Recorded[]): RowChange[] {
  const handlers: { [type: string]: ((event: Recorded<never>) => RowChange[]) | undefined } = projection.on;
  try {
    const changes = events.flatMap((event) => handlers[event.type]?.(event as Recorded<never>) ?? []);
    const foreign = changes.find(({ table }) => table !== projection.name);
    if (foreign) throw new Error(`${projection.name} writes to ${foreign.table}. It may only write to its own table.`);
    return mergeChanges(changes);
  } catch (error) {
    throw new Unprojectable(error);
  }
}

/** Merges the changes into one per row, with the same result as all of them in order. */
export function mergeChanges(changes: RowChange[]): RowChange[] {
  const merged = new Map<string, RowChange>();
  for (const change of changes) {
    const key = `${change.table}\0${change.pk}\0${change.sk}`;
    const before = merged.get(key);
    merged.set(key, before && change.op === 'update' ? mergeUpdate(before, change) : change);
  }
  return [...merged.values()];
}

function mergeUpdate(before: RowChange, change: Update): RowChange {
  const key: RowKey = { table: change.table, pk: change.pk, sk: change.sk };
  if (before.op !== 'update')
    return { op: 'put', ...key, data: updated(before.op === 'put' ? before.data : {}, change) };
  const set = { ...before.set, ...change.set };
  const add = Object.fromEntries(Object.entries(before.add ?? {}).filter(([field]) => !Object.hasOwn(set, field)));
  // An update cannot both set a field and add to it.
  for (const [field, amount] of Object.entries(change.add ?? {})) {
    if (Object.hasOwn(set, field)) set[field] = sum(set, field, amount);
    else add[field] = (add[field] ?? 0) + amount;
  }
  return { op: 'update', ...key, set, add };
}

type Update = Extract<RowChange, { op: 'update' }>;

/** The data after the update. Throws when `add` names a field that is not a number, as `Rows.apply` does. */
export function updated(before: JsonObject, { set, add }: Pick<Update, 'set' | 'add'>): JsonObject {
  const data: JsonObject = { ...before, ...set };
  for (const [field, amount] of Object.entries(add ?? {})) data[field] = sum(data, field, amount);
  return data;
}

function sum(data: JsonObject, field: string, amount: number): number {
  const before = Object.hasOwn(data, field) ? data[field] : 0;
  if (typeof before !== 'number')
    throw new Unprojectable(new Error(`The fold adds to ${field}, which is not a number.`));
  return before + amount;
}
