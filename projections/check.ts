/** Whether the rows of an account are what its log makes of them, and every cursor stands where its stream does. */
import { isDeepStrictEqual } from 'node:util';
import { parseStream } from '../domain/event.ts';
import { type Count, type Finding, failure } from '../domain/finding.ts';
import type { Json, JsonObject, Machine, Row, StoredCommit } from '../domain/ports.ts';
import { type Fold, foldOf } from './fold.ts';
import type { Projection } from './projection.ts';

type Needs = Pick<Machine, 'rows' | 'records' | 'blobs'>;
/** Where each stream stands. */
type Heads = ReadonlyMap<string, { version: number }>;

export type RowsCheck = {
  /** To be given each commit of the account, each stream's in order. */
  take(commit: StoredCommit): Promise<void>;
  /** Compares, once all have been given. */
  compare(heads: Heads, count: Count): AsyncGenerator<Finding>;
};

/** Folds as it is given commits; all rows of the account are held in memory. */
export async function checkRows(machine: Needs, projections: Projection[], account: string): Promise<RowsCheck> {
  const checks = await Promise.all(projections.map((projection) => checkProjection(machine, projection, account)));
  return {
    async take(commit) {
      for (const { fold } of checks) await fold.add(commit);
    },
    async *compare(heads, count) {
      for (const { compare } of checks) yield* compare(heads, count);
    },
  };
}

async function checkProjection(machine: Needs, projection: Projection, account: string) {
  const fold = foldOf(machine, projection);
  const parked = await readParked(machine, projection, account);
  return { fold: stoppedAt(fold, parked), compare };

  async function* compare(heads: Heads, count: Count): AsyncGenerator<Finding> {
    const { rows, stopped } = fold.result();
    for (const { stream, version } of stopped) {
      const why = parked.has(stream) ? 'it is parked here: correct the cause, then unpark it' : 'the fold fails on this commit';
      yield failure('parked', `${projection.name} ${stream} ${version}`, why);
    }
    yield* compareRows(machine, projection, account, rows, count);
    const standing = new Map(stopped.map(({ stream, version }) => [stream, version - 1]));
    for (const [stream, { version }] of heads) {
      if (!projection.streams.includes(parseStream(stream).type)) continue;
      count('cursor');
      const due = standing.get(stream) ?? version;
      const cursor = await machine.rows.cursor(projection.name, stream);
      if (cursor !== due) yield failure('cursor', `${projection.name} ${stream}`, `it is at ${cursor}, and the stream at ${due}`);
    }
  }
}

/** The fold that stands still where the live projection does. */
function stoppedAt(fold: Fold, parked: Map<string, number>): Fold {
  return {
    ...fold,
    async add(commit) {
      const { stream, version } = commit;
      if (parked.get(stream) === version) fold.stop({ stream, version, fault: 'unprojectable' });
      await fold.add(commit);
    },
  };
}

/** Streams of the account at which the projection stands still, and at which version. */
async function readParked({ records }: Needs, { name }: Projection, account: string): Promise<Map<string, number>> {
  const parked = new Map<string, number>();
  for (let cursor: string | undefined; ; ) {
    const page = await records.query(`parked#${name}`, { prefix: `${account}/`, limit: 1000, ...(cursor ? { cursor } : {}) });
    for (const { sk, data } of page.items) parked.set(sk, Number(data.version));
    if (!page.next) return parked;
    cursor = page.next;
  }
}

/** Both ways: each row that should be is, and in the same partitions (and the usual ones) there is nothing else. */
async function* compareRows(
  machine: Needs,
  { name: table }: Projection,
  account: string,
  folded: Row[],
  count: Count,
): AsyncGenerator<Finding> {
  const byPk = Map.groupBy(folded, ({ pk }) => pk);
  for (const pk of new Set([account, `${account}#all`, ...byPk.keys()])) {
    const due = new Map(byPk.get(pk)?.map(({ sk, data }) => [sk, data]));
    const where = (sk: string) => `${table} ${pk} ${sk}`;
    try {
      for await (const { sk, data } of partition(machine, table, pk)) {
        count('row');
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
      const row = await machine.rows.get({ table, pk, sk }).catch(() => 'unreadable' as const);
      if (row === 'unreadable') yield failure('row', where(sk), 'it cannot be read');
      else if (!row) yield failure('row', where(sk), 'it is missing');
      else yield* difference(where(sk), row.data, expected);
    }
  }
}

async function* partition({ rows }: Needs, table: Projection['name'], pk: string): AsyncGenerator<Row> {
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
  if (typeof a !== 'number' || typeof b !== 'number' || (Number.isInteger(a) && Number.isInteger(b))) return isDeepStrictEqual(a, b);
  return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}
