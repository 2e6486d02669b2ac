/**
 * Generations of a read model. A rebuild writes generation n+1 beside n: other rows (their pk begins with `g{n}~`) and other cursors
 * (`jobs@2`). One record a projection says which generation is read and which is being built; queries and the runner ask here.
 *
 * What makes the change of generation safe: whoever applies wake-ups reads this record after the commits were appended, and applies to
 * every generation it names. So a commit that was not applied to a generation in building was there before the building began, and the
 * walk over all streams, which begins after, finds it. No clock is part of this.
 */
import type { Platform, Records, Row, RowChange, Rows, Table } from '../../domain/ports.ts';

/** `cursor`: up to where the walk over all streams has come; `walked`: to its end. */
export type Building = { generation: number; version: number; cursor: string | null; walked: boolean };
/** No longer read; its rows go first, then its cursors. `at`: milliseconds since the epoch. */
export type Retired = { generation: number; at: number; step: 'rows' | 'cursors'; cursor: string | null };
export type Generations = {
  /** Grows with every change. */
  revision: number;
  /** The one that is read, and the version of the fold that made it; 0 when nobody wrote it down. */
  current: number;
  version: number;
  /** The highest number given so far; none is given twice. */
  last: number;
  building: Building | null;
  retired: Retired[];
};

type Fold = { name: Table; version: number };
type Needs = Pick<Platform, 'records' | 'now'>;

const pk = 'generations';
const unknown: Generations = { revision: 0, current: 1, version: 0, last: 1, building: null, retired: [] };

/** As they are now, by the projection's name; one that was never looked after is not in it, and has generation 1. */
export async function readGenerations({ records }: Pick<Platform, 'records'>): Promise<Map<string, Generations>> {
  const { items } = await records.query(pk, { limit: 1000 });
  return new Map(items.map(({ sk, data }) => [sk, data as Generations]));
}

/** Decides on what is there until nobody else was quicker; `undefined` leaves it. What is there afterwards. */
export async function changeGenerations(
  platform: Needs,
  name: Table,
  decide: (now: Generations | undefined) => Generations | undefined,
): Promise<Generations | undefined> {
  for (;;) {
    const now = (await platform.records.get({ pk, sk: name }))?.data as Generations | undefined;
    const next = decide(now);
    if (!next) return now;
    const data: Generations = { ...next, revision: (now?.revision ?? 0) + 1 };
    const done = await platform.records.write([
      { op: 'put', pk, sk: name, data, if: now ? { equals: { revision: now.revision } } : 'absent' },
    ]);
    caches.delete(platform.records);
    if (done) return data;
  }
}

/** For a machine without any activity: what is projected from now on is of this version. */
export async function beginEmpty(platform: Needs, { name, version }: Fold): Promise<void> {
  await changeGenerations(platform, name, (now) => (now ? undefined : { ...unknown, version }));
}

/** Whether the rows, or those being built, are another version's work. */
export function isDue({ version }: Fold, now: Generations): boolean {
  return now.version !== version
    ? now.building?.version !== version
    : now.building !== null && now.building.version !== version;
}

/**
 * Has a generation of this fold built, unless one is already, or none is due and it need not be (`anyway`). One in building by another
 * version of the code ends: that code may still be at work, but would not be told of what this one applies, nor the other way round.
 */
export async function beginBuilding(platform: Needs, fold: Fold, anyway = false): Promise<Generations> {
  const { name, version } = fold;
  const after = await changeGenerations(platform, name, (known) => {
    const now = known ?? unknown;
    if (now.building?.version === version || (known && !anyway && !isDue(fold, now))) return undefined;
    const generation = now.last + 1;
    return {
      ...now,
      last: generation,
      building: { generation, version, cursor: null, walked: false },
      retired: now.building ? [...now.retired, retired(platform, now.building.generation)] : now.retired,
    };
  });
  return after ?? unknown;
}

/** Saves how far the walk has come; false when that generation is no longer being built. */
export async function saveWalk(
  platform: Needs,
  name: Table,
  walk: Pick<Building, 'generation' | 'cursor' | 'walked'>,
): Promise<boolean> {
  const after = await changeGenerations(platform, name, (now) =>
    now?.building?.generation === walk.generation ? { ...now, building: { ...now.building, ...walk } } : undefined,
  );
  return after?.building?.generation === walk.generation;
}

/** From now on it is the one that is read; false when it is no longer being built. */
export async function flip(platform: Needs, name: Table, generation: number): Promise<boolean> {
  const after = await changeGenerations(platform, name, (now) => {
    if (now?.building?.generation !== generation) return undefined;
    const { version } = now.building;
    return {
      ...now,
      current: generation,
      version,
      building: null,
      retired: [...now.retired, retired(platform, now.current)],
    };
  });
  return after?.current === generation;
}

function retired(platform: Needs, generation: number): Retired {
  return { generation, at: platform.now(), step: 'rows', cursor: null };
}

/**
 * The generations that wake-ups are applied to. The current one does not wait for what has yet to be walked; then it comes second, so that
 * what was seen in it is not missing after the flip.
 */
export function alive(now: Generations | undefined): number[] {
  const current = now?.current ?? 1;
  if (!now?.building) return [current];
  const { generation, walked } = now.building;
  return walked ? [generation, current] : [current, generation];
}

// ── Their rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────

type OneGeneration = Pick<Rows, 'get' | 'getMany' | 'query' | 'cursor' | 'cursors' | 'apply' | 'forget'>;

/** Under what name cursors and parked streams of a generation are kept. */
export function cursorName(projection: string, generation: number): string {
  return generation === 1 ? projection : `${projection}@${generation}`;
}

/** What such a name stands for. */
export function parseCursorName(name: string): { projection: string; generation: number } {
  const [, projection = name, generation = '1'] = /^(.*)@(\d+)$/.exec(name) ?? [];
  return { projection, generation: Number(generation) };
}

/** The key of a row in that generation. */
export function inGeneration<K extends { pk: string }>(generation: number, key: K): K {
  return generation === 1 ? key : { ...key, pk: `g${generation}~${key.pk}` };
}

/** Whose generation a row of a table is. */
export function generationOf(row: { pk: string }): number {
  return Number(/^g(\d+)~/.exec(row.pk)?.[1] ?? 1);
}

/** One generation of all rows, by the keys that projections and queries know. */
export function rowsAt(rows: Rows, generation: number): OneGeneration {
  if (generation === 1) return rows;
  const prefix = `g${generation}~`;
  const inside = <K extends { pk: string }>(key: K): K => inGeneration(generation, key);
  const outside = (row: Row): Row => ({ ...row, pk: row.pk.slice(prefix.length) });
  return {
    get: async (key) => {
      const row = await rows.get(inside(key));
      return row && outside(row);
    },
    getMany: async (table, keys) => (await rows.getMany(table, keys.map(inside))).map(outside),
    query: async (query) => {
      const { items, next } = await rows.query(inside(query));
      return { items: items.map(outside), next };
    },
    apply: (projection, stream, version, changes) =>
      rows.apply(cursorName(projection, generation), stream, version, changes.map(inside<RowChange>)),
    cursor: (projection, stream) => rows.cursor(cursorName(projection, generation), stream),
    cursors: (projection, streams) => rows.cursors(cursorName(projection, generation), streams),
    forget: (projection, streams) => rows.forget(cursorName(projection, generation), streams),
  };
}

/** How long a reader may go on with the generation it knows. Nothing is cleared away before all have long moved on. */
const cacheMilliseconds = 1000;
const caches = new WeakMap<Records, { at: number; known: Promise<Map<string, Generations>> }>();

/** The rows that are read: of each table (or projection) its current generation, by what was known at most a second ago. */
export function currentRows(
  platform: Pick<Platform, 'rows' | 'records' | 'now'>,
): Pick<Rows, 'get' | 'getMany' | 'query' | 'cursor'> {
  const of = async (name: string) => rowsAt(platform.rows, (await known(platform)).get(name)?.current ?? 1);
  return {
    get: async (key) => (await of(key.table)).get(key),
    getMany: async (table, keys) => (await of(table)).getMany(table, keys),
    query: async (query) => (await of(query.table)).query(query),
    cursor: async (projection, stream) => (await of(projection)).cursor(projection, stream),
  };
}

function known(platform: Needs): Promise<Map<string, Generations>> {
  const { records } = platform;
  const cached = caches.get(records);
  const age = cached ? platform.now() - cached.at : Number.POSITIVE_INFINITY;
  if (cached && age >= 0 && age < cacheMilliseconds) return cached.known;
  const fresh = { at: platform.now(), known: readGenerations(platform) };
  caches.set(records, fresh);
  fresh.known.catch(() => caches.get(records) === fresh && caches.delete(records));
  return fresh.known;
}
