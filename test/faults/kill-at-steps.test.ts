/**
 * Kills the server (`kill -9`) at every boundary of a run. After the restarts the run finishes by itself. Read models,
 * restored bytes and ledger equal those of a run without a kill.
 *
 * One run meets several kills, each in the next life of the server. The run must reach the boundary of every kill of a
 * list, so no life may pass a boundary of a later kill. Steps of batches therefore follow the first steps of the plan.
 * The plan can end before or after the batches, so no list has the last steps of both.
 */
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maxReceives } from '../../processors/index.ts';
import { client } from '../acceptance/client.ts';
import { expectClean } from '../support/check.ts';
import { auditLedgerIn } from '../support/ledger.ts';
import { changeCorpus, hashesOf, makeCorpus } from './corpus.ts';
import {
  allEnded,
  clientOf,
  type KillableServer,
  killServers,
  type Owner,
  readModels,
  restored,
  settle,
  startKillableServer,
} from './killable-server.ts';

/** Each step of the processors, each kind of write of a run, and the feeds and queues between them. */
const expected = [
  ...['plan:started', 'plan:listed', 'plan:saved', 'plan:advanced', 'plan:sent', 'plan:planned', 'plan:closed'],
  ...['store:fetched', 'store:packed', 'store:part-saved', 'store:recorded', 'store:counted'],
  ...['commit:summed', 'commit:manifest-written', 'commit:committed', 'commit:finished'],
  ...['append:backup-chain', 'append:run', 'append:batch'],
  ...['apply:runs', 'apply:files', 'apply:analytics-aggregates'],
  ...[
    'record:open-runs',
    'record:plan',
    'record:work',
    'record:position',
    'record:batch',
    'record:part',
    'record:stored',
    'record:tally',
  ],
  'record:packs',
  ...['send:store', 'send:commit', 'work:done', 'ack:job', 'ack:data', 'feed:projected', 'feed:published'],
];

/** The kills of the first run of a job. */
const firstRun = [
  [
    ...['append:backup-chain', 'record:open-runs', 'append:run', 'plan:started', 'record:work'],
    ...['store:fetched', 'record:part', 'store:recorded', 'send:commit', 'commit:committed'],
  ],
  [
    ...['feed:published', 'plan:listed', 'plan:saved', 'record:batch', 'record:packs'],
    ...['store:part-saved', 'record:stored', 'commit:summed', 'commit:finished'],
  ],
  [
    ...['feed:projected', 'record:position', 'record:plan', 'send:store', 'record:packs@2'],
    ...['append:batch', 'store:counted', 'commit:manifest-written', 'ack:job'],
  ],
  ['apply:files', 'plan:advanced', 'plan:sent', 'record:packs@3'],
  ['apply:analytics-aggregates', 'plan:planned', 'record:tally', 'plan:closed', 'work:done'],
  // More often than a message may be received
  ['apply:runs', ...Array.from({ length: maxReceives + 1 }, () => 'store:fetched'), 'store:packed', 'ack:data'],
];

/**
 * The kills of a run that finds changes. Where a run passes a boundary several times, at the second time. Of its four
 * batches, each life completes at most one before such a kill. A step follows each record, blob and append of a run, so
 * those cover them. Some feeds and read models are killed at the end of the run.
 */
const secondRun = [
  [
    ...['append:backup-chain', 'plan:started', 'plan:listed@2', 'store:fetched@2', 'store:counted@2'],
    ...['send:commit', 'commit:manifest-written', 'apply:files'],
  ],
  [
    ...['feed:published', 'plan:saved', 'plan:sent@2', 'record:packs@2'],
    ...['commit:summed', 'apply:analytics-aggregates'],
  ],
  ['plan:advanced', 'store:recorded@2', 'commit:committed', 'apply:runs'],
  ['plan:planned', 'plan:closed', 'commit:finished', 'ack:job'],
  ['feed:projected', 'store:packed@2', 'store:part-saved@2', 'ack:data'],
];

/** The kills of a run that fails. After RunEnded, a repeat goes to the end of the run at once. */
const failing = [
  ['record:failure', 'append:backup-chain', 'append:run', 'fail:finished'],
  ['fail:reason-saved', 'fail:ended'],
];

/** One engine thread starts faster than several, and also stores batches in parallel. */
const oneThread = { environment: { LISTBACKUP_THREADS: '1' } };

type Ended = Awaited<ReturnType<typeof readModels>> & {
  types: { [type: string]: number };
  content: Map<string, string>;
};

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'listbackup-faults-'));
});
afterAll(async () => {
  killServers();
  await rm(root, { recursive: true, force: true });
});

async function started(data: string, fault?: string): Promise<KillableServer> {
  const server = await startKillableServer(data, fault, oneThread);
  if (!server) throw new Error('The fault struck before the run was requested.');
  return server;
}

/** A data folder with a user, a source and a job over its own corpus. */
async function prepare(name: string, more: (server: KillableServer, owner: Owner, source: string) => Promise<void>) {
  const [data, source] = [join(root, name, 'data'), join(root, name, 'source')];
  await mkdir(join(root, name), { recursive: true });
  await makeCorpus(source);
  const server = await started(data);
  const owner = await settle((token) => client(server.url, token), source);
  await more(server, owner, source);
  await server.stop();
  return { data, owner, source };
}

/** Requests a run unless `count` were requested, as a client that does not know whether its last request arrived. */
async function ask(server: KillableServer, owner: Owner, count: number): Promise<void> {
  const api = clientOf(server, owner);
  try {
    // Read the log, because the runs projection may lag after a start
    if ((await api.all('/activity?type=run.requested')).length < count)
      await api.call('POST', `/jobs/${owner.jobId}/run`);
  } catch {
    // The server was killed under the request
  }
}

/** Runs a copy of the folder into one fault after the other, with a restart after each. Returns the outcome. */
async function run(
  from: { data: string; owner: Owner; again?: true },
  count: number,
  ...faults: string[]
): Promise<Ended & { trace: { [step: string]: number } }> {
  const { owner } = from;
  const data = await mkdtemp(join(root, 'copy-'));
  await cp(from.data, data, { recursive: true });
  let server: KillableServer | undefined;
  for (const fault of faults) {
    server = await startKillableServer(data, fault, oneThread);
    if (!server) continue;
    await ask(server, owner, count);
    await struck(server, owner, count, fault);
  }
  server = await started(data);
  await ask(server, owner, count);
  const api = clientOf(server, owner);
  await allEnded(api, count);
  if (from.again) {
    await api.expect(202, 'POST', `/jobs/${owner.jobId}/run`);
    await allEnded(api, count + 1);
  }
  const outcome = { ...(await readModels(api)), content: await restored(api) };
  const trace = await server.stop();
  const types = await leftIn(data);
  await rm(data, { recursive: true });
  return { ...outcome, types, trace };
}

/** Waits until the fault has killed the server. Fails if the run ends first or does not go on. */
async function struck(server: KillableServer, owner: Owner, count: number, fault: string): Promise<void> {
  const survived = allEnded(clientOf(server, owner), count)
    .catch(() => undefined)
    .then(() => server.stop())
    // The fault has killed the server
    .catch(() => undefined);
  await Promise.race([server.ended, survived]);
  expect(await server.ended, `killed at ${fault}`).toBe('SIGKILL');
}

/** The events of the folder's ledger by type. Expects that the doctor finds nothing. */
async function leftIn(data: string): Promise<{ [type: string]: number }> {
  // The last message of a run may still be in the queue
  await expectClean(data, { quiet: false });
  return auditLedgerIn(data);
}

const named = (kills: string[][]) => kills.map((faults) => ({ faults, at: faults.join(', ') }));

/** The server starts up to ten times in a test (ms). */
const timeout = 900_000;

const cases = [
  {
    name: 'the first run',
    prepared: async () => prepare('first', async () => {}),
    count: 1,
    kills: firstRun,
  },
  {
    name: 'a run that finds changes',
    prepared: async () =>
      prepare('second', async (server, owner, source) => {
        await ask(server, owner, 1);
        await allEnded(clientOf(server, owner), 1);
        await changeCorpus(source);
      }),
    count: 2,
    kills: secondRun,
  },
];

it('kills at every boundary', () => {
  expect([...new Set(firstRun.flat().map((fault) => fault.split('@')[0]))].sort()).toEqual(expected.toSorted());
});

describe.each(cases)('$name, killed', ({ prepared, count, kills }) => {
  let from: Awaited<ReturnType<typeof prepare>>;
  let undisturbed: Awaited<ReturnType<typeof run>>;

  beforeAll(async () => {
    from = await prepared();
    undisturbed = await run(from, count);
  });

  it('nowhere passes every boundary, and restores the content of the source', async () => {
    // The download of the result is not part of the run
    const passed = Object.keys(undisturbed.trace).filter((step) => step !== 'append:download');
    expect(passed.sort()).toEqual(expected.toSorted());
    expect(undisturbed.runs).toHaveLength(count);
    expect(undisturbed.runs.every(({ status }) => status === 'succeeded')).toBe(true);
    expect(undisturbed.types).toMatchObject({ RestorePointCreated: count, RunFinished: count });
    expect(undisturbed.types.BatchStored).toBeGreaterThan(2 * count);
    expect(undisturbed.content).toEqual(await hashesOf(from.source));
  });

  it.concurrent.for(named(kills))('at $at', { timeout }, async ({ faults }) => {
    expect(await run(from, count, ...faults)).toEqual({ ...undisturbed, trace: expect.anything() });
  });
});

describe('a run whose source is gone, killed', () => {
  let from: Awaited<ReturnType<typeof prepare>> & { again: true };
  let undisturbed: Awaited<ReturnType<typeof run>>;

  beforeAll(async () => {
    const prepared = await prepare('gone', async (_server, _owner, source) => rename(source, `${source} elsewhere`));
    from = { ...prepared, again: true };
    undisturbed = await run(from, 1);
  });

  it('nowhere fails and says why', () => {
    expect(Object.keys(undisturbed.trace)).toEqual(expect.arrayContaining(failing.flat()));
    const failed = {
      status: 'failed',
      errors: [{ code: 'source-not-found', message: expect.stringContaining('Mount the disk') }],
    };
    expect(undisturbed.runs).toMatchObject([failed, failed]);
    expect(undisturbed.types).toMatchObject({ RunEnded: 2, RunFinished: 2 });
  });

  it.concurrent.for(named(failing))('at $at fails too, and the next run can start', { timeout }, async ({ faults }) => {
    expect(await run(from, 1, ...faults)).toEqual({ ...undisturbed, trace: expect.anything() });
  });
});
