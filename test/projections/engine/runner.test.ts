import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { transact } from '../../../activity/store.ts';
import { systemContext } from '../../../commands/context.ts';
import { backupChain, backupChainId, createRestorePoint, nothing, requestRun } from '../../../domain/backup-chain.ts';
import { type JobEvent, job } from '../../../domain/job.ts';
import type { JsonObject, Platform, RowChange, Table } from '../../../domain/ports.ts';
import { getOverview } from '../../../projections/analytics-aggregates.ts';
import { mergeChanges } from '../../../projections/engine/changes.ts';
import { unpark } from '../../../projections/engine/parking.ts';
import { itemKey, linkDependencies, type Projection } from '../../../projections/engine/projection.ts';
import { rebuild } from '../../../projections/engine/rebuild.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { findRestorePoint } from '../../../projections/files/listing.ts';
import { projections } from '../../../projections/index.ts';
import { getRun } from '../../../projections/runs.ts';
import { noErrors, noWork } from '../../support/backups.ts';
import { openTestPlatform } from '../../support/embedded.ts';

const cause = systemContext('acc_1', 'test', 'x', 'x');
const one = 'acc_1/job/one';
const other = 'acc_1/job/other';

/** Makes a projection depend on `jobs`, in the streams it reads. */
const afterJobs: Partial<Projection> = { dependsOn: { projections: ['jobs'] } };

/** Appends that many renames to a stream, one commit each. */
async function grow(platform: Platform, stream: string, commits: number): Promise<void> {
  const renamed = (): JobEvent[] => [{ type: 'JobRenamed', data: { jobId: stream, name: null } }];
  for (let i = 0; i < commits; i++) await transact(platform, job, stream, renamed, cause);
}

/** A projection that counts the renames of each job and records the versions in the order it handles them. */
function counter(
  name: Table,
  overrides: Partial<Projection> & { onRename?: (stream: string, version: number) => void } = {},
) {
  const handled: string[] = [];
  const { onRename, ...rest } = overrides;
  const projection: Projection = {
    name,
    version: 1,
    streams: ['job'],
    on: {
      JobRenamed: (event) => {
        onRename?.(event.stream, event.version);
        handled.push(`${event.stream}@${event.version}`);
        return [
          {
            op: 'update',
            ...itemKey(name, 'acc_1', event.stream),
            add: { renames: 1 },
            set: { version: event.version },
          },
        ];
      },
    },
    ...rest,
  };
  const row = async (platform: Platform, stream: string) =>
    (await platform.rows.get(itemKey(name, 'acc_1', stream)))?.data;
  return { projection, row, handled };
}

describe('the runner', () => {
  it('applies each commit once, for notifications in any order, with repeats and gaps', async () => {
    const { platform } = await openTestPlatform();
    const { projection, row, handled } = counter('jobs');
    await grow(platform, one, 5);
    for (const version of [3, 1, 5, 5, 2, 4, 1])
      await handleNotifications(platform, [projection], [{ stream: one, version }]);
    expect(await row(platform, one)).toEqual({ renames: 5, version: 5 });
    expect(handled).toEqual([1, 2, 3, 4, 5].map((version) => `${one}@${version}`));
  });

  it('applies each commit once with four workers at once', async () => {
    const { platform } = await openTestPlatform();
    const { projection, row } = counter('jobs');
    await grow(platform, one, 20);
    const duplicates = Array.from({ length: 4 }, (_, i) =>
      handleNotifications(platform, [projection], [{ stream: one, version: 5 * (i + 1) }]),
    );
    await Promise.all(duplicates);
    expect(await row(platform, one)).toEqual({ renames: 20, version: 20 });
  });

  it('ignores notifications of commits that do not exist yet', async () => {
    const { platform } = await openTestPlatform();
    const { projection, row } = counter('jobs');
    await grow(platform, one, 2);
    await handleNotifications(
      platform,
      [projection],
      [
        { stream: one, version: 7 },
        { stream: 'acc_1/job/none', version: 1 },
      ],
    );
    expect(await row(platform, one)).toEqual({ renames: 2, version: 2 });
  });

  it('leaves out projections that do not read the stream type', async () => {
    const { platform } = await openTestPlatform();
    const { projection, handled } = counter('jobs', { streams: ['run'] });
    await grow(platform, one, 1);
    await handleNotifications(platform, [projection], [{ stream: one, version: 1 }]);
    expect(handled).toEqual([]);
    expect(await platform.rows.cursor('jobs', one)).toBe(0);
  });

  it('reads cursors and parked records in batches, and loads a commit once for all projections', async () => {
    const { platform } = await openTestPlatform();
    const streams = Array.from({ length: 30 }, (_, i) => `acc_1/job/${i}`);
    for (const stream of streams) await grow(platform, stream, 2);
    const calls = { cursors: 0, getMany: 0, load: 0 };
    const counting =
      <A extends unknown[], R>(name: keyof typeof calls, method: (...args: A) => R) =>
      (...args: A): R => {
        calls[name]++;
        return method(...args);
      };
    const counted: Platform = {
      ...platform,
      rows: { ...platform.rows, cursors: counting('cursors', platform.rows.cursors) },
      records: { ...platform.records, getMany: counting('getMany', platform.records.getMany) },
      events: { ...platform.events, load: counting('load', platform.events.load) },
    };
    const [jobs, runs] = [counter('jobs'), counter('runs')];
    const notifications = streams.map((stream) => ({ stream, version: 2 }));
    await handleNotifications(counted, [jobs.projection, runs.projection], notifications);
    expect(calls).toEqual({ cursors: 2, getMany: 2, load: 30 });
    for (const { row } of [jobs, runs]) {
      for (const stream of streams) expect(await row(platform, stream)).toEqual({ renames: 2, version: 2 });
    }
  });

  it('brings a dependent projection only to the notified version, since its dependencies may lack later commits', async () => {
    const { platform } = await openTestPlatform();
    const dependent = counter('runs', afterJobs);
    await grow(platform, one, 2);
    const notify = (version: number) =>
      handleNotifications(platform, linkDependencies([counter('jobs').projection, dependent.projection]), [
        { stream: one, version },
      ]);
    await notify(1);
    expect(dependent.handled).toEqual([`${one}@1`]);
    await notify(2);
    expect(dependent.handled).toEqual([`${one}@1`, `${one}@2`]);
  });

  const chainStream = `acc_1/backup-chain/${backupChainId('job_1', 'src_1')}`;
  const registered = projections.find(({ name }) => name === 'runs') as Projection;

  it.each<[string, (platform: Platform) => Promise<unknown>]>([
    [
      'a notification comes first',
      (platform) => handleNotifications(platform, projections, [{ stream: chainStream, version: 2 }]),
    ],
    ['a rebuild comes first', (platform) => rebuild(platform, registered)],
    ['an unpark comes first', (platform) => unpark(platform, registered, chainStream)],
  ])('shows a run as finished only with its files and totals, when %s', async (_, catchUpRuns) => {
    const { platform } = await openTestPlatform();
    const runRef = { runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
    const manifest = { id: 'man_1', hash: 'h' };
    const at = new Date(platform.now()).toISOString();
    const restorePoint = { outcome: 'succeeded' as const, manifest, totals: nothing, since: null, at };
    await transact(platform, backupChain, chainStream, requestRun(runRef, at), cause);
    await handleNotifications(platform, projections, [{ stream: chainStream, version: 1 }]);
    expect(await findRestorePoint(platform, 'acc_1', { jobId: 'job_1' })).toBeUndefined();
    const result = { ...restorePoint, ...noErrors, ...noWork };
    await transact(platform, backupChain, chainStream, createRestorePoint(runRef, result), cause);
    await catchUpRuns(platform);
    expect(await getRun(platform, 'acc_1', 'run_1')).toMatchObject({ status: 'succeeded' });
    expect(await findRestorePoint(platform, 'acc_1', { jobId: 'job_1' })).toMatchObject({ runId: 'run_1', manifest });
    expect(await getOverview(platform, 'acc_1')).toMatchObject({
      lastRunAt: expect.any(String),
      runs: { total: 1, succeeded: 1 },
    });
    await handleNotifications(platform, projections, [{ stream: chainStream, version: 2 }]);
    expect(await getOverview(platform, 'acc_1')).toMatchObject({ runs: { total: 1, succeeded: 1 } });
  });

  it('applies commits to a dependent projection after its dependencies', async () => {
    const { platform } = await openTestPlatform();
    await grow(platform, one, 2);
    const dependent = counter('runs', afterJobs);
    const order: string[] = [];
    const apply: Platform['rows']['apply'] = async (name, ...rest) => {
      const outcome = await platform.rows.apply(name, ...rest);
      order.push(name);
      return outcome;
    };
    const watched = { ...platform, rows: { ...platform.rows, apply } };
    await handleNotifications(watched, linkDependencies([dependent.projection, counter('jobs').projection]), [
      { stream: one, version: 2 },
    ]);
    expect(order).toEqual(['jobs', 'jobs', 'runs', 'runs']);
  });
});

describe('the list of projections', () => {
  it('is refused if a dependency is missing, has dependencies itself, or was not linked', async () => {
    const [jobs, runs] = [counter('jobs'), counter('runs', afterJobs)];
    const files = counter('files', { dependsOn: { projections: ['runs'] } });
    expect(() => linkDependencies([runs.projection])).toThrow('runs depends on jobs, which is not in the list');
    expect(() => linkDependencies([jobs, runs, files].map(({ projection }) => projection))).toThrow(
      'files depends on runs, which has dependencies of its own',
    );
    const { platform } = await openTestPlatform();
    await expect(unpark(platform, runs.projection, one)).rejects.toThrow('Pass it through linkDependencies');
  });
});

describe('a commit that cannot be projected', () => {
  const poison = (stream: string, version: number) => {
    if (stream === one && version === 2) throw new Error('poison');
  };

  it('parks its stream in that read model, and nothing else', async () => {
    const errors: JsonObject[] = [];
    const log = {
      info() {},
      warn() {},
      measure() {},
      error: (_: string, fields?: JsonObject) => void errors.push(fields ?? {}),
    };
    const { platform } = await openTestPlatform({ log });
    const [poisoned, healthy] = [counter('jobs', { onRename: poison }), counter('sources')];
    await grow(platform, one, 3);
    await grow(platform, other, 3);
    const both = [poisoned.projection, healthy.projection];
    const notifications = [
      { stream: one, version: 3 },
      { stream: other, version: 3 },
    ];
    await handleNotifications(platform, both, notifications);
    await handleNotifications(platform, both, notifications);
    expect(await poisoned.row(platform, one)).toEqual({ renames: 1, version: 1 });
    expect(await poisoned.row(platform, other)).toEqual({ renames: 3, version: 3 });
    expect(await healthy.row(platform, one)).toEqual({ renames: 3, version: 3 });
    expect(errors).toMatchObject([{ projection: 'jobs', stream: one, version: 2 }]);
  });

  it('because it makes more than 99 changes, does not hold up other read models', async () => {
    const { platform } = await openTestPlatform();
    const large = counter('jobs', {
      on: {
        JobRenamed: () =>
          Array.from({ length: 100 }, (_, i): RowChange => ({ op: 'delete', table: 'jobs', pk: 'a', sk: `${i}` })),
      },
    });
    const healthy = counter('sources');
    await grow(platform, one, 1);
    await handleNotifications(platform, [large.projection, healthy.projection], [{ stream: one, version: 1 }]);
    expect(await healthy.row(platform, one)).toEqual({ renames: 1, version: 1 });
    expect(await platform.rows.cursor('jobs', one)).toBe(0);
  });

  it('because its bytes are damaged, parks its stream', async () => {
    const { platform } = await openTestPlatform();
    const { projection, row } = counter('jobs');
    await grow(platform, one, 2);
    const load: Platform['events']['load'] = async (...query) =>
      (await platform.events.load(...query)).map((commit) =>
        commit.version === 2 ? { ...commit, body: { bytes: Buffer.from('{}') } } : commit,
      );
    await handleNotifications(
      { ...platform, events: { ...platform.events, load } },
      [projection],
      [{ stream: one, version: 2 }],
    );
    await handleNotifications(platform, [projection], [{ stream: one, version: 2 }]);
    expect(await row(platform, one)).toEqual({ renames: 1, version: 1 });
  });
});

describe('a platform that fails', () => {
  const failures: { [name: string]: (platform: Platform) => Platform } = {
    'to apply': (platform) => ({
      ...platform,
      rows: { ...platform.rows, apply: () => Promise.reject(new Error('down')) },
    }),
    'to load': (platform) => ({
      ...platform,
      events: { ...platform.events, load: () => Promise.reject(new Error('down')) },
    }),
    'to read a large commit': (platform) => ({
      ...platform,
      blobs: { ...platform.blobs, get: () => Promise.reject(new Error('down')) },
    }),
  };

  it.each(Object.keys(failures))('%s fails the notification, and a repeat applies everything', async (name) => {
    const { platform } = await openTestPlatform();
    const { projection, row } = counter('jobs');
    await transact(
      platform,
      job,
      one,
      (): JobEvent[] => [{ type: 'JobRenamed', data: { jobId: one, name: 'x'.repeat(100_000) } }],
      cause,
    );
    const down = failures[name]?.(platform) ?? platform;
    for (let i = 0; i < 5; i++)
      await expect(handleNotifications(down, [projection], [{ stream: one, version: 1 }])).rejects.toThrow('down');
    await handleNotifications(platform, [projection], [{ stream: one, version: 1 }]);
    expect(await row(platform, one)).toEqual({ renames: 1, version: 1 });
  });
});

describe('changes of one commit', () => {
  const key = fc.constantFrom('a', 'b').map((sk) => ({ table: 'jobs' as const, pk: 'p', sk }));
  const numbers = fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.integer({ min: -9, max: 9 }), {
    noNullPrototype: true,
  });
  /** One update never sets and adds to the same field: no deployment supports that. */
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

  it('merge into one per row, with the same result as all of them in order', async () => {
    const { platform } = await openTestPlatform();
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 8 }), async (changes) => {
        const [single, together] = [`single ${++round}`, `together ${round}`];
        const within = (pk: string) => (each: RowChange) => ({ ...each, pk });
        for (const [i, each] of changes.map(within(single)).entries())
          await platform.rows.apply('p', single, i + 1, [each]);
        const merged = mergeChanges(changes.map(within(together)));
        expect(new Set(merged.map(({ sk }) => sk)).size).toBe(merged.length);
        await platform.rows.apply('p', together, 1, merged);
        const rowsOf = async (pk: string) =>
          (await platform.rows.query({ table: 'jobs', pk, limit: 10 })).items.map(({ sk, data }) => ({ sk, data }));
        expect(await rowsOf(together)).toEqual(await rowsOf(single));
      }),
      { numRuns: 150 },
    );
  });
});
