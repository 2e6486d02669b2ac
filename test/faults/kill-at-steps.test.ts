/**
 * Kills the server (`kill -9`) at every boundary of a run. After the restart the run finishes by itself. Read models,
 * restored bytes and ledger equal those of a run without a kill.
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

/** The boundaries of a run that fails. */
const failing = [
  'fail:reason-saved',
  'record:failure',
  'fail:ended',
  'append:backup-chain',
  'fail:finished',
  'append:run',
];

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
  const server = await startKillableServer(data, fault);
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
    server = await startKillableServer(data, fault);
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

/** Waits until the fault has killed the server. Fails if the run ends first. */
async function struck(server: KillableServer, owner: Owner, count: number, fault: string): Promise<void> {
  const survived = allEnded(clientOf(server, owner), count).then(
    () => server.stop().catch(() => undefined),
    // The server no longer answers
    () => undefined,
  );
  await Promise.race([server.ended, survived]);
  expect(await server.ended, `killed at ${fault}`).toBe('SIGKILL');
}

/** The events of the folder's ledger by type. Expects that the doctor finds nothing. */
async function leftIn(data: string): Promise<{ [type: string]: number }> {
  // The last message of a run may still be in the queue
  await expectClean(data, { quiet: false });
  return auditLedgerIn(data);
}

const cases = [
  {
    name: 'the first run',
    prepared: async () => prepare('first', async () => {}),
    count: 1,
    points: expected,
    nth: () => 1,
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
    // A step or an append follows each record and blob, so those cover them
    points: expected.filter((step) => !/^(record|blob):/.test(step)),
    /** Where a run passes a boundary several times, the second time. */
    nth: (step: string) => (/^plan:(listed|noted|step|sent)|^store:/.test(step) ? 2 : 1),
  },
];

describe.each(cases)('$name, killed', ({ prepared, count, points, nth }) => {
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

  it.concurrent.each(points)('at %s', async (step) => {
    expect(await run(from, count, `${step}@${nth(step)}`)).toEqual({ ...undisturbed, trace: expect.anything() });
  });

  it.concurrent.each([2, 3, 4, 5])('before or after the upload of a pack (%i)', async (n) => {
    expect(await run(from, count, `record:packs@${n}`)).toEqual({ ...undisturbed, trace: expect.anything() });
  });

  it.concurrent('more often than a message may be received', async () => {
    const faults = Array.from({ length: maxReceives + 1 }, () => 'store:fetched');
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
    expect(Object.keys(undisturbed.trace)).toEqual(expect.arrayContaining(failing));
    const failed = {
      status: 'failed',
      errors: [{ code: 'source-not-found', message: expect.stringContaining('Mount the disk') }],
    };
    expect(undisturbed.runs).toMatchObject([failed, failed]);
    expect(undisturbed.types).toMatchObject({ RunEnded: 2, RunFinished: 2 });
  });

  it.concurrent.each(failing)('at %s fails too, and the next run can start', async (step) => {
    const nth = step === 'append:run' || step === 'append:backup-chain' ? 2 : 1;
    expect(await run(from, 1, `${step}@${nth}`)).toEqual({ ...undisturbed, trace: expect.anything() });
  });
});
