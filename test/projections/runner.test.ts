import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { type JobEvent, job } from '../../domain/job.ts';
import { line, lineId, nothing, requestRun, sealLine } from '../../domain/line.ts';
import type { JsonObject, Machine, RowChange, Table } from '../../domain/ports.ts';
import { finishRun, run, startRun } from '../../domain/run.ts';
import { getOverview } from '../../projections/analytics-aggregates.ts';
import { mergeChanges } from '../../projections/changes.ts';
import { momentOf } from '../../projections/files/listing.ts';
import { projections } from '../../projections/index.ts';
import { itemKey, type Projection } from '../../projections/projection.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { getRun } from '../../projections/runs.ts';
import { openTestHome } from '../support/embedded.ts';

const cause = systemContext('acc_1', 'test', 'x', 'x');
const one = 'acc_1/job/one';
const other = 'acc_1/job/other';

/** Grows a stream by so many commits of a rename each. */
async function grow(machine: Machine, stream: string, commits: number): Promise<void> {
  const renamed = (): JobEvent[] => [{ type: 'JobRenamed', data: { jobId: stream, name: null } }];
  for (let i = 0; i < commits; i++) await transact(machine, job, stream, renamed, cause);
}

/** Counts renames of each job, and notes the versions in the order in which they came. */
function counter(name: Table, more: Partial<Projection> & { upset?: (stream: string, version: number) => void } = {}) {
  const seen: string[] = [];
  const { upset, ...rest } = more;
  const projection: Projection = {
    name,
    version: 1,
    streams: ['job'],
    on: {
      JobRenamed: (event) => {
        upset?.(event.stream, event.version);
        seen.push(`${event.stream}@${event.version}`);
        return [{ op: 'update', ...itemKey(name, 'acc_1', event.stream), add: { renames: 1 }, set: { version: event.version } }];
      },
    },
    ...rest,
  };
  const row = async (machine: Machine, stream: string) => (await machine.rows.get(itemKey(name, 'acc_1', stream)))?.data;
  return { projection, row, seen };
}

describe('wake-ups', () => {
  it('bring a read model up to date once, whatever their order, number and gaps', async () => {
    const { machine } = await openTestHome();
    const { projection, row, seen } = counter('jobs');
    await grow(machine, one, 5);
    for (const version of [3, 1, 5, 5, 2, 4, 1]) await handleWakeups(machine, [projection], [{ stream: one, version }]);
    expect(await row(machine, one)).toEqual({ renames: 5, version: 5 });
    expect(seen).toEqual([1, 2, 3, 4, 5].map((version) => `${one}@${version}`));
  });

  it('handled by several at once count everything once', async () => {
    const { machine } = await openTestHome();
    const { projection, row } = counter('jobs');
    await grow(machine, one, 20);
    const twins = Array.from({ length: 4 }, (_, i) => handleWakeups(machine, [projection], [{ stream: one, version: 5 * (i + 1) }]));
    await Promise.all(twins);
    expect(await row(machine, one)).toEqual({ renames: 20, version: 20 });
  });

  it('of a commit that is not (yet) there change nothing, and hang nobody', async () => {
    const { machine } = await openTestHome();
    const { projection, row } = counter('jobs');
    await grow(machine, one, 2);
    await handleWakeups(
      machine,
      [projection],
      [
        { stream: one, version: 7 },
        { stream: 'acc_1/job/none', version: 1 },
      ],
    );
    expect(await row(machine, one)).toEqual({ renames: 2, version: 2 });
  });

  it('reach only who follows that type of stream', async () => {
    const { machine } = await openTestHome();
    const { projection, seen } = counter('jobs', { streams: ['run'] });
    await grow(machine, one, 1);
    await handleWakeups(machine, [projection], [{ stream: one, version: 1 }]);
    expect(seen).toEqual([]);
    expect(await machine.rows.cursor('jobs', one)).toBe(0);
  });

  it('are looked up together, and a commit is loaded once for all who are as far', async () => {
    const { machine } = await openTestHome();
    const streams = Array.from({ length: 30 }, (_, i) => `acc_1/job/${i}`);
    for (const stream of streams) await grow(machine, stream, 2);
    const asked = { cursors: 0, getMany: 0, load: 0 };
    const counting =
      <A extends unknown[], R>(what: keyof typeof asked, of: (...args: A) => R) =>
      (...args: A): R => {
        asked[what]++;
        return of(...args);
      };
    const counted: Machine = {
      ...machine,
      rows: { ...machine.rows, cursors: counting('cursors', machine.rows.cursors) },
      records: { ...machine.records, getMany: counting('getMany', machine.records.getMany) },
      events: { ...machine.events, load: counting('load', machine.events.load) },
    };
    const [jobs, runs] = [counter('jobs'), counter('runs')];
    const wakeups = streams.map((stream) => ({ stream, version: 2 }));
    await handleWakeups(counted, [jobs.projection, runs.projection], wakeups);
    expect(asked).toEqual({ cursors: 2, getMany: 2, load: 30 });
    for (const { row } of [jobs, runs]) {
      for (const stream of streams) expect(await row(machine, stream)).toEqual({ renames: 2, version: 2 });
    }
  });

  it('bring what comes last no further than they name: what is behind that the others may not have yet', async () => {
    const { machine } = await openTestHome();
    const last = counter('runs', { last: true });
    await grow(machine, one, 2);
    const wake = (version: number) => handleWakeups(machine, [counter('jobs').projection, last.projection], [{ stream: one, version }]);
    await wake(1);
    expect(last.seen).toEqual([`${one}@1`]);
    await wake(2);
    expect(last.seen).toEqual([`${one}@1`, `${one}@2`]);
  });

  it('show the end of a run only with its files, though its own stream is heard of before its line', async () => {
    const { machine } = await openTestHome();
    const about = { runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
    const manifest = { id: 'man_1', hash: 'h' };
    const at = new Date(machine.now()).toISOString();
    const sealed = { outcome: 'succeeded' as const, manifest, totals: nothing, since: null, at };
    const counts = {
      ...{ filesTotal: 0, filesDone: 0, filesUnchanged: 0, filesDeleted: 0, filesFailed: 0, filesSkipped: 0 },
      ...{ bytesRead: 0, bytesStored: 0 },
    };
    const ended = { ...about, ...sealed, counts, cost: { requests: 0, usd: 0 }, reason: null, errors: [], errorPages: 0 };
    const own = 'acc_1/run/run_1';
    const lined = `acc_1/line/${lineId('job_1', 'src_1')}`;
    await transact(machine, line, lined, requestRun(about, at), cause);
    await handleWakeups(machine, projections, [{ stream: lined, version: 1 }]);
    await transact(machine, run, own, startRun(about), cause);
    await handleWakeups(machine, projections, [{ stream: own, version: 1 }]);
    expect(await momentOf(machine, 'acc_1', { jobId: 'job_1' })).toBeUndefined();
    await transact(machine, line, lined, sealLine(about, sealed), cause);
    await transact(machine, run, own, finishRun(ended), cause);
    await handleWakeups(machine, projections, [{ stream: own, version: 2 }]);
    expect(await getRun(machine, 'acc_1', 'run_1')).toMatchObject({ status: 'succeeded' });
    expect(await momentOf(machine, 'acc_1', { jobId: 'job_1' })).toMatchObject({ runId: 'run_1', manifest });
    expect(await getOverview(machine, 'acc_1')).toMatchObject({ lastRunAt: expect.any(String), runs: { total: 1, succeeded: 1 } });
    await handleWakeups(machine, projections, [{ stream: lined, version: 2 }]);
    expect(await getOverview(machine, 'acc_1')).toMatchObject({ runs: { total: 1, succeeded: 1 } });
  });

  it('reach what comes last only once the others are done', async () => {
    const { machine } = await openTestHome();
    await grow(machine, one, 2);
    const quick = counter('runs', { last: true });
    const order: string[] = [];
    const apply: Machine['rows']['apply'] = async (name, ...rest) => {
      const outcome = await machine.rows.apply(name, ...rest);
      order.push(name);
      return outcome;
    };
    const watched = { ...machine, rows: { ...machine.rows, apply } };
    await handleWakeups(watched, [quick.projection, counter('jobs').projection], [{ stream: one, version: 2 }]);
    expect(order).toEqual(['jobs', 'jobs', 'runs', 'runs']);
  });
});

describe('a commit that cannot be projected', () => {
  const poison = (stream: string, version: number) => {
    if (stream === one && version === 2) throw new Error('poison');
  };

  it('stops its stream in that read model, and nothing else', async () => {
    const errors: JsonObject[] = [];
    const log = { info() {}, warn() {}, measure() {}, error: (_: string, fields?: JsonObject) => void errors.push(fields ?? {}) };
    const { machine } = await openTestHome({ log });
    const [poisoned, well] = [counter('jobs', { upset: poison }), counter('sources')];
    await grow(machine, one, 3);
    await grow(machine, other, 3);
    const both = [poisoned.projection, well.projection];
    const wakeups = [
      { stream: one, version: 3 },
      { stream: other, version: 3 },
    ];
    await handleWakeups(machine, both, wakeups);
    await handleWakeups(machine, both, wakeups);
    expect(await poisoned.row(machine, one)).toEqual({ renames: 1, version: 1 });
    expect(await poisoned.row(machine, other)).toEqual({ renames: 3, version: 3 });
    expect(await well.row(machine, one)).toEqual({ renames: 3, version: 3 });
    expect(errors).toMatchObject([{ projection: 'jobs', stream: one, version: 2 }]);
  });

  it('as it makes more changes than any machine takes, does not hold up the others', async () => {
    const { machine } = await openTestHome();
    const large = counter('jobs', {
      on: { JobRenamed: () => Array.from({ length: 100 }, (_, i): RowChange => ({ op: 'delete', table: 'jobs', pk: 'a', sk: `${i}` })) },
    });
    const well = counter('sources');
    await grow(machine, one, 1);
    await handleWakeups(machine, [large.projection, well.projection], [{ stream: one, version: 1 }]);
    expect(await well.row(machine, one)).toEqual({ renames: 1, version: 1 });
    expect(await machine.rows.cursor('jobs', one)).toBe(0);
  });

  it('as its bytes are damaged, stops its stream', async () => {
    const { machine } = await openTestHome();
    const { projection, row } = counter('jobs');
    await grow(machine, one, 2);
    const load: Machine['events']['load'] = async (...asked) =>
      (await machine.events.load(...asked)).map((commit) =>
        commit.version === 2 ? { ...commit, body: { bytes: Buffer.from('{}') } } : commit,
      );
    await handleWakeups({ ...machine, events: { ...machine.events, load } }, [projection], [{ stream: one, version: 2 }]);
    await handleWakeups(machine, [projection], [{ stream: one, version: 2 }]);
    expect(await row(machine, one)).toEqual({ renames: 1, version: 1 });
  });
});

describe('a machine that fails', () => {
  const failures: { [what: string]: (machine: Machine) => Machine } = {
    'to apply': (machine) => ({ ...machine, rows: { ...machine.rows, apply: () => Promise.reject(new Error('down')) } }),
    'to load': (machine) => ({ ...machine, events: { ...machine.events, load: () => Promise.reject(new Error('down')) } }),
    'to read a large commit': (machine) => ({ ...machine, blobs: { ...machine.blobs, get: () => Promise.reject(new Error('down')) } }),
  };

  it.each(Object.keys(failures))('%s fails the wake-up, and everything is there once it is well', async (what) => {
    const { machine } = await openTestHome();
    const { projection, row } = counter('jobs');
    await transact(machine, job, one, (): JobEvent[] => [{ type: 'JobRenamed', data: { jobId: one, name: 'x'.repeat(100_000) } }], cause);
    const down = failures[what]?.(machine) ?? machine;
    for (let i = 0; i < 5; i++) await expect(handleWakeups(down, [projection], [{ stream: one, version: 1 }])).rejects.toThrow('down');
    await handleWakeups(machine, [projection], [{ stream: one, version: 1 }]);
    expect(await row(machine, one)).toEqual({ renames: 1, version: 1 });
  });
});

describe('changes of one commit', () => {
  const key = fc.constantFrom('a', 'b').map((sk) => ({ table: 'jobs' as const, pk: 'p', sk }));
  const numbers = fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.integer({ min: -9, max: 9 }), { noNullPrototype: true });
  /** One change sets and adds different fields, as both homes have it. */
  const update = fc.tuple(key, numbers, numbers).map(
    ([at, set, add]): RowChange => ({
      op: 'update',
      ...at,
      set,
      add: Object.fromEntries(Object.entries(add).filter(([f]) => !(f in set))),
    }),
  );
  const change = fc.oneof(
    update,
    fc.tuple(key, numbers).map(([at, data]): RowChange => ({ op: 'put', ...at, data })),
    key.map((at): RowChange => ({ op: 'delete', ...at })),
  );

  it('become one a row, with the same result as one after the other', async () => {
    const { machine } = await openTestHome();
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 8 }), async (changes) => {
        const [single, together] = [`single ${++round}`, `together ${round}`];
        const within = (pk: string) => (each: RowChange) => ({ ...each, pk });
        for (const [i, each] of changes.map(within(single)).entries()) await machine.rows.apply('p', single, i + 1, [each]);
        const merged = mergeChanges(changes.map(within(together)));
        expect(new Set(merged.map(({ sk }) => sk)).size).toBe(merged.length);
        await machine.rows.apply('p', together, 1, merged);
        const rowsOf = async (pk: string) =>
          (await machine.rows.query({ table: 'jobs', pk, limit: 10 })).items.map(({ sk, data }) => ({ sk, data }));
        expect(await rowsOf(together)).toEqual(await rowsOf(single));
      }),
      { numRuns: 150 },
    );
  });
});
