/** Whether the rows of an account are what its log makes of them, and every cursor stands where its stream does. */
import { isDeepStrictEqual } from 'node:util';
import { parseStream } from '../domain/event.ts';
import type { Json, JsonObject, Platform, Row, StoredCommit } from '../domain/ports.ts';
import { type Fold, foldOf } from '../projections/engine/fold.ts';
import { generationOf, readGenerations, rowsAt } from '../projections/engine/generations.ts';
import { parked } from '../projections/engine/parking.ts';
import type { Projection } from '../projections/engine/projection.ts';
import { type Count, type Finding, failure, info } from './finding.ts';

type Needs = Pick<Platform, 'rows' | 'records' | 'blobs'>;
/** Where each stream stands. */
type Heads = ReadonlyMap<string, { version: number }>;

export type RowsCheck = {
  /** To be given each commit of the account, each stream's in order. */
  take(commit: StoredCommit): Promise<void>;
  /** Compares, once all have been given. `seen`: rows that were compared, by table. */
  compare(heads: Heads, count: Count, seen: SeenRows): AsyncGenerator<Finding>;
};

/** How many rows were compared, by table and account; undefined where none were. */
export type SeenRows = {
  add(table: Projection['name'], account: string, rows: number): void;
  of(table: Projection['name'], account: string): number | undefined;
};

export function seenRows(): SeenRows {
  const seen = new Map<string, number>();
  const of = (table: string, account: string) => seen.get(`${table} ${account}`);
  return { of, add: (table, account, rows) => void seen.set(`${table} ${account}`, (of(table, account) ?? 0) + rows) };
}

/**
 * Folds as it is given commits, each stream as far as its cursor says; all rows of the account are held in memory. Of generations, those
 * that are read. `quiet`: whatever is behind is a failure.
 */
export async function checkRows(
  platform: Needs,
  projections: Projection[],
  account: string,
  quiet: boolean,
): Promise<RowsCheck> {
  const generations = await readGenerations(platform);
  const standing = new Map<string, number>();
  const found: Finding[] = [];
  for await (const { projection, stream, version, fault, rebuilding } of parked(platform, { account })) {
    found.push(
      failure(
        'parked',
        `${projection} ${stream} ${version}`,
        `it stands still here (${fault}): correct the cause, then unpark it`,
      ),
    );
    if (!rebuilding) standing.set(`${projection} ${stream}`, version);
  }
  const checks = projections.map((projection): Check => {
    const now = generations.get(projection.name);
    // Of another version of the fold the rows may be other ones.
    const due = now !== undefined && now.version !== 0 && now.version !== projection.version;
    const rows = rowsAt(platform.rows, now?.current ?? 1);
    return { projection, due, rows, fold: foldOf(platform, projection), cursors: new Map() };
  });
  return {
    async take(commit) {
      for (const check of checks) await takeUpToCursor(check, commit);
    },
    async *compare(heads, count, seen) {
      yield* found;
      for (const check of checks) {
        if (check.due)
          yield info(
            'row',
            check.projection.name,
            'an earlier version made these rows: they are to be rebuilt, and were not compared',
          );
        else yield* compareProjection(check, account, { heads, standing, quiet, count, seen });
      }
    },
  };
}

type Check = {
  projection: Projection;
  due: boolean;
  rows: ReturnType<typeof rowsAt>;
  fold: Fold;
  /** Where it stood at each stream when the first commit of that was taken. */
  cursors: Map<string, number>;
};

async function takeUpToCursor({ projection, rows, fold, cursors }: Check, commit: StoredCommit): Promise<void> {
  const { stream, version } = commit;
  if (!projection.streams.includes(parseStream(stream).type)) return;
  const cursor = cursors.get(stream) ?? (await rows.cursor(projection.name, stream));
  cursors.set(stream, cursor);
  if (version <= cursor) await fold.add(commit);
}

async function* compareProjection(
  { projection, rows, fold, cursors }: Check,
  account: string,
  about: { heads: Heads; standing: ReadonlyMap<string, number>; quiet: boolean; count: Count; seen: SeenRows },
): AsyncGenerator<Finding> {
  const { heads, standing, quiet, count, seen } = about;
  const { name } = projection;
  const folded = fold.result();
  for (const { stream, version } of folded.stopped)
    yield failure('parked', `${name} ${stream} ${version}`, 'the fold fails on this commit');
  yield* compareRows(rows, name, account, folded.rows, count, seen);
  for (const [stream, cursor] of cursors) {
    count('cursor');
    const head = heads.get(stream)?.version ?? 0;
    const where = `${name} ${stream}`;
    const said = `it is at ${cursor}, and the stream at ${head}`;
    if (cursor > head) yield failure('cursor', where, said);
    else if (cursor < head && standing.get(where) !== cursor + 1)
      yield (quiet ? failure : info)('cursor', where, `${said}: it has yet to catch up`);
  }
}

/** Rows that nobody would ever look for: of no account, of no generation, or in a partition that no row belongs in. */
export async function* checkStrays(
  platform: Needs,
  projections: Projection[],
  accounts: ReadonlyMap<string, unknown>,
  seen: SeenRows,
): AsyncGenerator<Finding> {
  const generations = await readGenerations(platform);
  for (const { name } of projections) {
    const now = generations.get(name);
    const known = new Set([
      now?.current ?? 1,
      now?.building?.generation,
      ...(now?.retired ?? []).map(({ generation }) => generation),
    ]);
    const there = new Map<string, number>();
    let lost = 0;
    try {
      for await (const { pk } of scan(platform, name)) {
        const generation = generationOf({ pk });
        if (!known.has(generation)) lost++;
        if (generation !== (now?.current ?? 1)) continue;
        const account = pk.replace(/^g\d+~/, '').split('#', 1)[0] ?? '';
        there.set(account, (there.get(account) ?? 0) + 1);
      }
    } catch {
      yield failure('row', name, 'its rows cannot all be read');
      continue;
    }
    if (lost > 0) yield info('row', name, `${lost} rows are of a generation that nobody knows`);
    for (const [account, rows] of there) {
      const due = seen.of(name, account) ?? (accounts.has(account) ? rows : 0);
      if (rows > due) yield failure('row', `${name} ${account}`, `${rows - due} rows are where none should be`);
    }
  }
}

async function* scan({ rows }: Needs, table: Projection['name']): AsyncGenerator<Row> {
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await rows.scan(table, { limit: 1000, ...(cursor ? { cursor } : {}) });
    yield* items;
    if (!next) return;
    cursor = next;
  }
}

/** Both ways: each row that should be is, and in the same partitions (and the usual ones) there is nothing else. */
async function* compareRows(
  rows: Check['rows'],
  table: Projection['name'],
  account: string,
  folded: Row[],
  count: Count,
  seen: SeenRows,
): AsyncGenerator<Finding> {
  seen.add(table, account, 0);
  const byPk = Map.groupBy(folded, ({ pk }) => pk);
  for (const pk of new Set([account, `${account}#all`, ...byPk.keys()])) {
    const due = new Map(byPk.get(pk)?.map(({ sk, data }) => [sk, data]));
    const where = (sk: string) => `${table} ${pk} ${sk}`;
    try {
      for await (const { sk, data } of partition(rows, table, pk)) {
        count('row');
        seen.add(table, account, 1);
        const expected = due.get(sk);
        due.delete(sk);
        if (!expected) yield failure('row', where(sk), 'nothing in the log makes this row');
        else yield* difference(where(sk), data, expected);
      }
    } catch {
      yield failure('row', `${table} ${pk}`, 'its rows cannot all be read');
    }
    // A row that cannot be parsed hides those behind it: what is left is asked for one by one.
    for (const [sk, expected] of due) {
      const row = await rows.get({ table, pk, sk }).catch(() => 'unreadable' as const);
      if (row === 'unreadable') yield failure('row', where(sk), 'it cannot be read');
      else if (!row) yield failure('row', where(sk), 'it is missing');
      else yield* difference(where(sk), row.data, expected);
    }
  }
}

async function* partition(rows: Check['rows'], table: Projection['name'], pk: string): AsyncGenerator<Row> {
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await rows.query({ table, pk, limit: 1000, ...(cursor ? { cursor } : {}) });
    yield* items;
    if (!next) return;
    cursor = next;
  }
}

function* difference(where: string, data: JsonObject, expected: JsonObject): Generator<Finding> {
  const names = new Set([...Object.keys(data), ...Object.keys(expected)]);
  const fields = [...names].filter((field) => !same(data[field], expected[field]));
  if (fields.length > 0) yield failure('row', where, `it is not what the log makes of it: ${fields.join(', ')}`);
}

/** Sums of fractions may differ in their last digit by the order in which they came. */
function same(a: Json | undefined, b: Json | undefined): boolean {
  if (typeof a !== 'number' || typeof b !== 'number' || (Number.isInteger(a) && Number.isInteger(b)))
    return isDeepStrictEqual(a, b);
  return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}
