/**
 * `kill -9` at every boundary of a run. After the restart it finishes with nobody's help, and nobody could tell from read models,
 * restored bytes or ledger that anything had happened.
 */
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEmbedded } from '../../infra/embedded/machine.ts';
import { client } from '../acceptance/client.ts';
import { silent } from '../support/embedded.ts';
import { auditLedger } from '../support/ledger.ts';
import { allEnded, type Box, clientOf, endBoxes, type Owner, readModels, restored, settle, startBox } from './box-process.ts';
import { changeCorpus, hashesOf, makeCorpus } from './corpus.ts';

/** Each step of the processors, each thing that a run writes, and what of the feeds and queues lies between them. */
const expected = [
  ...['plan:started', 'plan:listed', 'plan:noted', 'plan:step', 'plan:sent', 'plan:planned', 'plan:closed'],
  ...['store:fetched', 'store:packed', 'store:part', 'store:stored', 'store:counted'],
  ...['seal:summed', 'seal:manifest', 'seal:line', 'seal:finished'],
  ...['append:line', 'append:run', 'append:batch'],
  ...['apply:runs', 'apply:files', 'apply:analytics-aggregates'],
  ...['record:open-runs', 'record:plan', 'record:work', 'record:place', 'record:batch', 'record:part', 'record:stored', 'record:tally'],
  ...['record:chunk', 'blob:packs', 'blob:manifests'],
  ...['send:store', 'send:seal', 'work:done', 'ack:job', 'ack:data', 'feed:projected', 'feed:published'],
];

type Ended = Awaited<ReturnType<typeof readModels>> & { types: { [type: string]: number }; content: Map<string, string> };

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'listbackup-faults-'));
});
afterAll(async () => {
  endBoxes();
  await rm(root, { recursive: true, force: true });
});

async function started(data: string, fault?: string): Promise<Box> {
  const box = await startBox(data, fault);
  if (!box) throw new Error('the fault struck before anything was asked for');
  return box;
}

/** A data folder with a person, a source and a job over a corpus of its own. */
async function prepare(name: string, more: (box: Box, owner: Owner, source: string) => Promise<void>) {
  const [data, source] = [join(root, name, 'data'), join(root, name, 'source')];
  await mkdir(join(root, name), { recursive: true });
  await makeCorpus(source);
  const box = await started(data);
  const owner = await settle((token) => client(box.url, token), source);
  await more(box, owner, source);
  await box.stop();
  return { data, owner, source };
}

/** Asks for the run as a client does that does not know whether its request came through. */
async function ask(box: Box, owner: Owner): Promise<void> {
  await clientOf(box, owner)
    .call('POST', `/jobs/${owner.jobId}/run`)
    .catch(() => undefined);
}

/** Lets a copy of the folder run with that fault, then restarts it; what is there in the end. */
async function run(
  from: { data: string; owner: Owner },
  count: number,
  fault?: string,
): Promise<Ended & { trace: { [step: string]: number } }> {
  const data = await mkdtemp(join(root, 'copy-'));
  await cp(from.data, data, { recursive: true });
  let box = await started(data, fault);
  await ask(box, from.owner);
  if (fault) {
    await struck(box, from.owner, count, fault);
    box = await started(data);
    // Killed before the request was on disk: nothing was promised
    if ((await clientOf(box, from.owner).all('/runs')).length < count) await ask(box, from.owner);
  }
  const api = clientOf(box, from.owner);
  await allEnded(api, count);
  const seen = { ...(await readModels(api)), content: await restored(api) };
  const trace = await box.stop();
  const types = await leftIn(data);
  await rm(data, { recursive: true });
  return { ...seen, types, trace };
}

/** Resolves once the fault has ended the box; fails when the run ends without it. */
async function struck(box: Box, owner: Owner, count: number, fault: string): Promise<void> {
  const survived = allEnded(clientOf(box, owner), count).then(
    () => box.stop().catch(() => undefined),
    // Nobody answers any more
    () => undefined,
  );
  await Promise.race([box.ended, survived]);
  expect(await box.ended, `killed at ${fault}`).toBe('SIGKILL');
}

/** What the folder's ledger holds; no message is dead, and no run is taken for open. */
async function leftIn(data: string): Promise<{ [type: string]: number }> {
  const { machine, firstAccount, close } = await openEmbedded({ data, log: silent, routes: [], environment: {} });
  try {
    expect([...(await machine.queue.deadLetters('job')), ...(await machine.queue.deadLetters('data'))]).toEqual([]);
    return await auditLedger(machine, firstAccount() ?? '');
  } finally {
    await close();
  }
}

const cases = [
  { name: 'the first run', prepared: async () => prepare('first', async () => {}), count: 1, nth: () => 1 },
  {
    name: 'a run that finds changes',
    prepared: async () =>
      prepare('second', async (box, owner, source) => {
        await ask(box, owner);
        await allEnded(clientOf(box, owner), 1);
        await changeCorpus(source);
      }),
    count: 2,
    /** Not the first time where a run comes by several times. */
    nth: (step: string) => (/^plan:(listed|noted|step|sent)|^store:/.test(step) ? 2 : 1),
  },
];

describe.each(cases)('$name, killed', ({ prepared, count, nth }) => {
  let from: Awaited<ReturnType<typeof prepare>>;
  let undisturbed: Awaited<ReturnType<typeof run>>;

  beforeAll(async () => {
    from = await prepared();
    undisturbed = await run(from, count);
  });

  it('nowhere passes every boundary, and gives back what the source holds', async () => {
    expect(Object.keys(undisturbed.trace).sort()).toEqual(expected.toSorted());
    expect(undisturbed.runs).toHaveLength(count);
    expect(undisturbed.runs.every(({ status }) => status === 'succeeded')).toBe(true);
    expect(undisturbed.types).toMatchObject({ LineSealed: count, RunFinished: count });
    expect(undisturbed.types.BatchStored).toBeGreaterThan(2 * count);
    expect(undisturbed.content).toEqual(await hashesOf(from.source));
  });

  it.concurrent.each(expected)('at %s', async (step) => {
    const { trace: _, ...ended } = await run(from, count, `${step}@${nth(step)}`);
    const { trace: __, ...without } = undisturbed;
    expect(ended).toEqual(without);
  });
});
