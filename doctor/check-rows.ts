/** Checks read models: rows equal the projected log, and every cursor is at the head of its stream. */
import { isDeepStrictEqual } from 'node:util';
import { parseStream } from '../domain/event.ts';
import { allOf } from '../domain/pages.ts';
import type { Json, JsonObject, Platform, Row, StoredCommit } from '../domain/ports.ts';
import { type Fold, foldOf } from '../projections/engine/fold.ts';
import { generationOf, readGenerations, rowsAt } from '../projections/engine/generations.ts';
import { parked } from '../projections/engine/parking.ts';
import type { Projection } from '../projections/engine/projection.ts';
import { type Count, type Finding, failure, info } from './finding.ts';

type Ports = Pick<Platform, 'rows' | 'records' | 'blobs'>;
type Table = Projection['name'];
/** The last version of each stream. */
type Heads = ReadonlyMap<string, { version: number }>;

export type RowsCheck = {
  /** Must get every commit of the account, and the commits of a stream in order. */
  take(commit: StoredCommit): Promise<void>;
  /** Compares rows and cursors, after the last commit. It adds the number of compared rows to `compared`. */
  compare(heads: Heads, count: Count, compared: ComparedRows): AsyncGenerator<Finding>;
};

/** How many rows of a table and account were compared. `of` returns undefined when the table was not compared. */
export type ComparedRows = {
  add(table: Table, account: string, rows: number): void;
  of(table: Table, account: string): number | undefined;
};

export function comparedRows(): ComparedRows {
  const counts = new Map<string, number>();
  const of = (table: string, account: string) => counts.get(`${table} ${account}`);
  return {
    of,
    add: (table, account, rows) => void counts.set(`${table} ${account}`, (of(table, account) ?? 0) + rows),
  };
}

/**
 * Folds each stream in memory up to the cursor of each projection. It holds all rows of the account in memory, and
 * compares only the current generation. `quiet`: a cursor behind its stream is a failure.
 */
export async function checkRows(
  platform: Ports,
  projections: Projection[],
  account: string,
  quiet: boolean,
): Promise<RowsCheck> {
  const generations = await readGenerations(platform);
  const parkedAt = new Map<string, number>();
  const findings: Finding[] = [];
  for await (const { projection, stream, version, fault, rebuilding } of parked(platform, { account })) {
    const where = `${projection} ${stream} ${version}`;
    findings.push(failure('parked', where, `the projection is parked at this commit (${fault})`));
    if (!rebuilding) parkedAt.set(`${projection} ${stream}`, version);
  }
  const checks = projections.map((projection): Check => {
    const generation = generations.get(projection.name);
    // Another version of the fold may make other rows.
    const outdated = generation !== undefined && generation.version !== 0 && generation.version !== projection.version;
    const rows = rowsAt(platform.rows, generation?.current ?? 1);
    return { projection, outdated, rows, fold: foldOf(platform, projection), cursors: new Map() };
  });
  return {
    async take(commit) {
      for (const check of checks) await foldUpToCursor(check, commit);
    },
    async *compare(heads, count, compared) {
      yield* findings;
      for (const check of checks) {
        const { name } = check.projection;
        if (check.outdated)
          yield info('row', name, 'an earlier version made these rows, so they were not compared: rebuild them');
        else yield* compareProjection(check, account, { heads, parkedAt, quiet, count, compared });
      }
    },
  };
}

type Check = {
  projection: Projection;
  outdated: boolean;
  rows: ReturnType<typeof rowsAt>;
  fold: Fold;
  /** The cursor of each stream, read at its first commit. */
  cursors: Map<string, number>;
};

async function foldUpToCursor({ projection, rows, fold, cursors }: Check, commit: StoredCommit): Promise<void> {
  const { stream, version } = commit;
  if (!projection.streams.includes(parseStream(stream).type)) return;
  const cursor = cursors.get(stream) ?? (await rows.cursor(projection.name, stream));
  cursors.set(stream, cursor);
  if (version <= cursor) await fold.add(commit);
}

type CompareOptions = {
  heads: Heads;
  parkedAt: ReadonlyMap<string, number>;
  quiet: boolean;
  count: Count;
  compared: ComparedRows;
};

async function* compareProjection(
  { projection, rows, fold, cursors }: Check,
  account: string,
  { heads, parkedAt, quiet, count, compared }: CompareOptions,
): AsyncGenerator<Finding> {
  const { name } = projection;
  const folded = fold.result();
  for (const { stream, version } of folded.stopped)
    yield failure('parked', `${name} ${stream} ${version}`, 'the projection cannot apply this commit');
  yield* compareRows(rows, name, account, folded.rows, count, compared);
  for (const [stream, cursor] of cursors) {
    count('cursor');
    const head = heads.get(stream)?.version ?? 0;
    const where = `${name} ${stream}`;
    const positions = `the cursor is at ${cursor}, the stream at ${head}`;
    if (cursor > head) yield failure('cursor', where, positions);
    else if (cursor < head && parkedAt.get(where) !== cursor + 1)
      yield (quiet ? failure : info)('cursor', where, `${positions}: the read model has not caught up`);
  }
}

/** Finds rows that no query reads: of an unknown account or generation, or in a partition that should be empty. */
export async function* checkStrayRows(
  platform: Ports,
  projections: Projection[],
  accounts: ReadonlyMap<string, unknown>,
  compared: ComparedRows,
): AsyncGenerator<Finding> {
  const generations = await readGenerations(platform);
  for (const { name } of projections) {
    const generation = generations.get(name);
    const current = generation?.current ?? 1;
    const known = new Set([
      current,
      generation?.building?.generation,
      ...(generation?.retired ?? []).map((retired) => retired.generation),
    ]);
    const rowsOf = new Map<string, number>();
    let unknown = 0;
    try {
      for await (const { pk } of allOf((page) => platform.rows.scan(name, page))) {
        const rowGeneration = generationOf({ pk });
        if (!known.has(rowGeneration)) unknown++;
        if (rowGeneration !== current) continue;
        const account = pk.replace(/^g\d+~/, '').split('#', 1)[0] ?? '';
        rowsOf.set(account, (rowsOf.get(account) ?? 0) + 1);
      }
    } catch {
      yield failure('row', name, 'its rows cannot all be read');
      continue;
    }
    if (unknown > 0) yield info('row', name, `${unknown} rows have an unknown generation, and no query reads them`);
    for (const [account, rows] of rowsOf) {
      const expected = compared.of(name, account) ?? (accounts.has(account) ? rows : 0);
      if (rows > expected)
        yield failure('row', `${name} ${account}`, `${rows - expected} rows are in partitions that should be empty`);
    }
  }
}

/** Compares in both directions: every expected row exists, and its partition holds no other rows. */
async function* compareRows(
  rows: Check['rows'],
  table: Table,
  account: string,
  folded: Row[],
  count: Count,
  compared: ComparedRows,
): AsyncGenerator<Finding> {
  compared.add(table, account, 0);
  const byPk = Map.groupBy(folded, ({ pk }) => pk);
  for (const pk of new Set([account, `${account}#all`, ...byPk.keys()])) {
    const missing = new Map(byPk.get(pk)?.map(({ sk, data }) => [sk, data]));
    const where = (sk: string) => `${table} ${pk} ${sk}`;
    try {
      for await (const { sk, data } of allOf((page) => rows.query({ table, pk, ...page }))) {
        count('row');
        compared.add(table, account, 1);
        const expected = missing.get(sk);
        missing.delete(sk);
        if (!expected) yield failure('row', where(sk), 'nothing in the log makes this row');
        else yield* compareFields(where(sk), data, expected);
      }
    } catch {
      yield failure('row', `${table} ${pk}`, 'its rows cannot all be read');
    }
    // An unreadable row ends the query, so the remaining rows are read one by one.
    for (const [sk, expected] of missing) {
      const row = await rows.get({ table, pk, sk }).catch(() => 'unreadable' as const);
      if (row === 'unreadable') yield failure('row', where(sk), 'it cannot be read');
      else if (!row) yield failure('row', where(sk), 'it is missing');
      else yield* compareFields(where(sk), row.data, expected);
    }
  }
}

function* compareFields(where: string, data: JsonObject, expected: JsonObject): Generator<Finding> {
  const names = new Set([...Object.keys(data), ...Object.keys(expected)]);
  const different = [...names].filter((field) => !isSame(data[field], expected[field]));
  if (different.length > 0) yield failure('row', where, `it differs from the log in: ${different.join(', ')}`);
}

/** Sums of fractions may differ in the last digit, because the order of addition differs. */
function isSame(a: Json | undefined, b: Json | undefined): boolean {
  if (typeof a !== 'number' || typeof b !== 'number' || (Number.isInteger(a) && Number.isInteger(b)))
    return isDeepStrictEqual(a, b);
  return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}
