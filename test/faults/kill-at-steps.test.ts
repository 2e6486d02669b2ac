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
  ...['plan:started', 'plan:listed', 'plan:saved', 'plan:advanced', 'plan:planned'],
  ...['store:fetched', 'store:packed', 'store:part-saved'],
  ...['commit:manifest-written', 'commit:committed'],
  'append:backup-chain',
  ...['apply:runs', 'apply:files', 'apply:analytics-aggregates'],
  ...['record:begin-plan', 'record:checkpoint-plan', 'record:end-plan'],
  ...['record:start-store', 'record:claim-store', 'record:end-store'],
  ...['record:start-commit', 'record:claim-commit', 'record:end-commit'],
  ...['record:work', 'record:position', 'record:packs'],
  ...['send:store', 'send:commit', 'work:done', 'ack:job', 'ack:data', 'feed:projected', 'feed:published'],
];

/** The writes of a restart. */
const ofRestarts = ['record:taken-back-plan', 'record:taken-back-store', 'record:taken-back-commit'];

/** The kills of the first run of a job. */
const firstRun = [
  [
    ...['append:backup-chain', 'record:begin-plan', 'plan:started', 'record:position', 'record:start-store'],
    ...['record:claim-store', 'store:packed', 'record:end-store', 'record:start-commit', 'commit:committed'],
  ],
  [
    ...['feed:published', 'plan:listed', 'plan:saved', 'send:store', 'store:fetched'],
    ...['record:taken-back-store', 'store:part-saved', 'send:commit', 'record:end-commit'],
  ],
  [
    ...['feed:projected', 'record:work', 'record:checkpoint-plan', 'record:packs', 'record:claim-commit'],
    ...['commit:manifest-written', 'record:taken-back-commit', 'ack:job'],
  ],
  ['apply:files', 'plan:advanced', 'record:taken-back-plan', 'plan:planned', 'record:packs@3', 'ack:data'],
  ['apply:analytics-aggregates', 'record:end-plan', 'work:done'],
  // More often than a message may be received
  ['apply:runs', ...Array.from({ length: maxReceives + 1 }, () => 'store:fetched'), 'store:packed'],
];

/**
 * The kills of a run that finds changes. Where a run passes a boundary several times, at the second time. Of its four
 * batches, each life completes at most one before such a kill. Some feeds and read models are killed at the end of the
 * run.
 */
const secondRun = [
  [
    ...['append:backup-chain', 'plan:started', 'plan:listed@2', 'store:fetched@2', 'record:end-store@2'],
    ...['record:start-commit', 'commit:manifest-written', 'apply:files'],
  ],
  [
    ...['feed:published', 'plan:saved', 'record:start-store@2', 'record:packs@2', 'send:commit'],
    'apply:analytics-aggregates',
  ],
  ['record:checkpoint-plan@2', 'store:part-saved@2', 'commit:committed', 'apply:runs'],
  ['plan:planned', 'record:end-plan', 'record:claim-commit', 'ack:job'],
  ['feed:projected', 'record:claim-store@2', 'store:packed@2', 'ack:data'],
];

/** The kills of a run that fails. After RunEnded the run has ended, so at most the last kill of a list follows it. */
const failing = [
  ['append:backup-chain', 'append:backup-chain'],
  ['plan:started', 'fail:ended'],
  ['record:end-plan'],
  ['record:start-clean'],
  ['send:clean'],
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
  const killed = new Set(firstRun.flat().map((fault) => fault.split('@')[0]));
  expect([...killed].sort()).toEqual([...expected, ...ofRestarts].sort());
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
    expect(undisturbed.types).toMatchObject({ RestorePointCreated: count });
    expect(undisturbed.trace['record:end-store']).toBeGreaterThan(2);
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
    expect(undisturbed.types).toMatchObject({ RunEnded: 2 });
  });

  it.concurrent.for(named(failing))('at $at fails too, and the next run can start', { timeout }, async ({ faults }) => {
    expect(await run(from, 1, ...faults)).toEqual({ ...undisturbed, trace: expect.anything() });
  });
});
