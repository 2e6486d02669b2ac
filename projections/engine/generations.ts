/**
 * Generations of a read model. A rebuild writes generation n+1 beside n. The pk of its rows begins with `g{n+1}~`, and
 * its cursors have names like `jobs@2`. One record per projection names the generation that queries read, and the one
 * that a rebuild builds.
 *
 * The switch is safe without a clock. The runner reads this record after it receives notifications, and applies them to
 * every generation in the record. A commit that the runner did not apply to the new generation was therefore appended
 * before the rebuild began. The rebuild then walks all streams and finds it.
 */
import type { Platform, Records, Row, RowChange, Rows, Table } from '../../domain/ports.ts';

/** `cursor` is the position of the walk over all streams, `walked` whether the walk has ended. */
export type Building = { generation: number; version: number; cursor: string | null; walked: boolean };
/** A generation to clear: its rows first, then its cursors. `at` is milliseconds since the epoch. */
export type Retired = { generation: number; at: number; step: 'rows' | 'cursors'; cursor: string | null };
export type Generations = {
  /** Increases with every change. Writes are conditional on it. */
  revision: number;
  /** The generation that queries read, and the version of the fold that made it (0: unknown). */
  current: number;
  version: number;
  /** The highest generation number so far. No number is used twice. */
  last: number;
  building: Building | null;
  retired: Retired[];
};

type Fold = { name: Table; version: number };
type Needs = Pick<Platform, 'records' | 'now'>;

const pk = 'generations';
const unknown: Generations = { revision: 0, current: 1, version: 0, last: 1, building: null, retired: [] };

/** The generations by projection name. A projection that maintenance has not reached is absent and has generation 1. */
export async function readGenerations({ records }: Pick<Platform, 'records'>): Promise<Map<string, Generations>> {
  const { items } = await records.query(pk, { limit: 1000 });
  return new Map(items.map(({ sk, data }) => [sk, data as Generations]));
}

/**
 * Replaces the record with the result of `decide`, and repeats that when a concurrent worker changed it meanwhile.
 * `undefined` leaves the record as it is. Returns the record afterwards.
 */
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

/** Registers generation 1 as the work of this version, in a deployment without commits. */
export async function beginEmpty(platform: Needs, { name, version }: Fold): Promise<void> {
  await changeGenerations(platform, name, (now) => (now ? undefined : { ...unknown, version }));
}

/** Whether another version of the fold made the rows that are read or built. */
export function isDue({ version }: Fold, now: Generations): boolean {
  return now.version !== version
    ? now.building?.version !== version
    : now.building !== null && now.building.version !== version;
}

/**
 * Starts a rebuild by this version of the fold, if one is due or `force` is set. Does nothing while one is under way. A
 * rebuild by another version ends, because two versions must not write one generation.
 */
export async function beginBuilding(platform: Needs, fold: Fold, force = false): Promise<Generations> {
  const { name, version } = fold;
  const after = await changeGenerations(platform, name, (known) => {
    const now = known ?? unknown;
    if (now.building?.version === version || (known && !force && !isDue(fold, now))) return undefined;
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

/** Saves the position of the walk. False when the generation is no longer being built. */
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

/** Makes queries read the generation. False when it is no longer being built. */
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
 * The generations that the runner writes to, in order. During the walk the current one is first, so that it stays up to
 * date. After the walk it is last, so that the flip does not hide rows that a client has already read.
 */
export function alive(now: Generations | undefined): number[] {
  const current = now?.current ?? 1;
  if (!now?.building) return [current];
  const { generation, walked } = now.building;
  return walked ? [generation, current] : [current, generation];
}

// ── Rows of a generation ─────────────────────────────────────────────────────────────────────────────────────────────

type GenerationRows = Pick<Rows, 'get' | 'getMany' | 'query' | 'cursor' | 'cursors' | 'apply' | 'forget'>;

/** The projection name in cursors and parked records of a generation. */
export function cursorName(projection: string, generation: number): string {
  return generation === 1 ? projection : `${projection}@${generation}`;
}

/** The generation of a stored row. */
export function generationOf(row: { pk: string }): number {
  return Number(/^g(\d+)~/.exec(row.pk)?.[1] ?? 1);
}

/** The rows of one generation, under the keys that projections and queries use. */
export function rowsAt(rows: Rows, generation: number): GenerationRows {
  if (generation === 1) return rows;
  const prefix = `g${generation}~`;
  const inside = <K extends { pk: string }>(key: K): K => ({ ...key, pk: `${prefix}${key.pk}` });
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

/** How long a reader may use a cached record. Clearing starts minutes later (rebuild.ts). */
const cacheMilliseconds = 1000;
const caches = new WeakMap<Records, { at: number; known: Promise<Map<string, Generations>> }>();

/** The current generation of every read model. May lag by one second after a flip in another process. */
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
