/** Sorted pieces of a listing, which only sources without an order have. Other work: check-everything.test.ts. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { SourceSession } from '../../connectors/connector.ts';
import { checkWork, type WorkChecks } from '../../doctor/check-work.ts';
import { type LogFacts, readFacts } from '../../doctor/log-facts.ts';
import type { ListItem } from '../../domain/entry.ts';
import type { Blobs, Platform } from '../../domain/ports.ts';
import { type ListPosition, listInOrder, listingStart } from '../../processors/backup/list-in-order.ts';
import { partRecord } from '../../processors/backup/parts.ts';
import type { PlanState } from '../../processors/backup/plan-run.ts';
import { runRecord } from '../../processors/backup/run.ts';
import { emptyList, encryptList, saveWork, workFolder } from '../../processors/backup/work.ts';
import type { GroupData } from '../../tasks/task.ts';
import { groupKey, newTask, taskKey } from '../../tasks/task-records.ts';
import { account, collect, flipped, keys, memoryVault, noise } from '../vault/vault-fixture.ts';

const runRef = { account, runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
let vault: ReturnType<typeof memoryVault>;
let pieces: string[];

beforeEach(async () => {
  vault = memoryVault();
  const items = Array.from({ length: 600 }, (_, n): ListItem => {
    const revision = Buffer.from(noise(600, n)).toString('hex');
    return { type: 'entry', entry: { key: `${n}`, kind: 'file', size: 1, modifiedAt: null, revision } };
  });
  const session: Pick<SourceSession, 'list'> = {
    list: async (page) => ({
      since: null,
      ...(page === null ? { items: items.slice(0, 550), page: '2' } : { items: items.slice(550), page: null }),
    }),
  };
  let listing: ListPosition = listingStart;
  const tools = { ...vault, folder: workFolder(runRef), page: 1000, sortItems: 500 };
  for await (const page of listInOrder(session, 'any', listingStart, tools)) if (!page.done) listing = page.position;
  pieces = listing.pieces;
  expect(pieces).toHaveLength(2);
  const count = { filesTotal: 0, filesUnchanged: 0, bytesTotal: 0 };
  const position = {
    listing,
    since: null,
    lost: '',
    last: null,
    unlisted: null,
    count,
    origin: { settings: 'x', sourceIdentity: null },
  };
  await saveWork(platform(), runRef, encryptList({ ...runRef, keys }, 'position-0-1', emptyList(), position));
  await saveGroup();
  await savePlan({ jobId: 'job_1', sourceId: 'src_1', cursor: 'position-0-1' });
});

const group = { account, group: runRef.runId };

async function saveGroup(change: Partial<GroupData> = {}, id = runRef.runId): Promise<void> {
  const data: GroupData = {
    ...{ kind: 'backup', state: {}, open: 1, ready: 0, started: 0, done: 0, stage: 'first', waiting: null, window: 8 },
    ...{ isCancelled: false, isPaused: false },
    ...change,
  };
  await vault.records.write([{ op: 'put', ...groupKey({ account, group: id }), data }]);
}

async function savePlan(state: PlanState): Promise<void> {
  const task = newTask({ name: 'plan', v: 1, queue: 'job' }, state, 0);
  await vault.records.write([{ op: 'put', ...taskKey({ ...group, name: 'plan' }), data: task }]);
}

function platform(blobs: Blobs = vault.blobs): Platform {
  return { ...vault, blobs, now: () => Date.parse('2026-02-01T00:00:00.000Z') } as unknown as Platform;
}

/** What the log says about one run that is being planned. */
function planning(): LogFacts {
  const { facts } = readFacts(account);
  facts.unfinished.set(runRef.runId, { runRef, requestedAt: '2026-02-01T00:00:00.000Z' });
  return facts;
}

async function failures(
  blobs?: Blobs,
  { facts = planning(), ...more }: Partial<WorkChecks & { facts: LogFacts }> = {},
) {
  const checks = { count: () => {}, keys, quiet: false, ...more };
  const all = await collect(checkWork(platform(blobs), account, facts, checks));
  return all.filter(({ severity }) => severity === 'failure');
}

describe('the sorted pieces of a run that lists its source', () => {
  it('give no failure when they are complete', async () => expect(await failures()).toEqual([]));

  it.each<[string, (bytes: Uint8Array) => Uint8Array | undefined, RegExp]>([
    ['missing', () => undefined, /^it is missing or damaged$/],
    ['without its end', (bytes) => bytes.slice(0, -4), /^it is missing or damaged$/],
    ['cut in a frame', (bytes) => bytes.slice(0, bytes.length / 2), /^it is missing or damaged$/],
    ['altered in the last frame', (bytes) => flipped(bytes, bytes.length - 30), /^it is missing or damaged$/],
  ])('are reported when one is %s', async (_how, damage, detail) => {
    const [, piece = ''] = pieces;
    const bytes = damage((await vault.blobs.get(piece)) as Uint8Array);
    if (bytes) await vault.blobs.put(piece, bytes);
    else await vault.blobs.delete([piece]);
    const where = `run_1 ${piece.slice(piece.lastIndexOf('/') + 1)}`;
    expect(await failures()).toEqual([
      expect.objectContaining({ what: 'work', where, detail: expect.stringMatching(detail) }),
    ]);
    // A plan that is done reads no pieces.
    await vault.records.write([{ op: 'delete', ...taskKey({ ...group, name: 'plan' }) }]);
    expect(await failures()).toEqual([]);
  });

  it('are reported as unreadable when the store does not answer', async () => {
    const get = () => Promise.reject(Object.assign(new Error('busy'), { code: 'EIO' }));
    const found = await failures({ ...vault.blobs, get });
    expect(found.map(({ detail }) => detail)).toEqual(pieces.map(() => 'it cannot be read (EIO)'));
  });
});

it('reports working state as unreadable, not as missing, when the records cannot be read', async () => {
  const get = () => Promise.reject(Object.assign(new Error('busy'), { code: 'EIO' }));
  const records = { ...vault.records, get };
  await vault.records.write([{ op: 'put', ...runRecord(runRef, partRecord(1)), data: {} }]);
  const checks = { count: () => {}, keys, quiet: false };
  const all = await collect(checkWork({ ...platform(), records }, account, planning(), checks));
  expect(all.filter(({ severity }) => severity === 'failure')).toEqual([
    { severity: 'failure', what: 'work', where: 'run_1 plan', detail: 'it cannot be read (EIO)' },
    { severity: 'failure', what: 'part', where: `run_1 ${partRecord(1)}`, detail: 'it cannot be read (EIO)' },
  ]);
});

describe('the tasks of runs', () => {
  const run = (detail: string, where = runRef.runId) => ({ severity: 'failure', what: 'run', where, detail });
  const noTasks = () => vault.records.write([{ op: 'delete', ...groupKey(group) }]);

  it('report an open run without tasks, unless its request is on its way', async () => {
    await noTasks();
    expect(await failures(undefined, { isAwaited: () => true })).toEqual([]);
    expect(await failures(undefined, { isAwaited: () => false })).toEqual([
      run('it is open, and nothing will continue it'),
    ]);
  });

  it('report an open run without tasks a quarter of an hour after its request, when the queues cannot be read', async () => {
    await noTasks();
    const facts = planning();
    expect(await failures(undefined, { facts })).toEqual([]);
    facts.unfinished.set(runRef.runId, { runRef, requestedAt: '2026-01-31T23:45:00.000Z' });
    expect(await failures(undefined, { facts })).toEqual([run('it is open, and nothing will continue it')]);
  });

  it('report tasks of a run that has ended only when nothing should be under way', async () => {
    await saveGroup({}, 'run_0');
    await saveGroup({ kind: 'export' }, 'dow_1');
    expect(await failures()).toEqual([]);
    expect(await failures(undefined, { quiet: true })).toEqual([
      run('it is running'),
      run('it ended, but still has tasks', 'run_0'),
    ]);
  });

  it('report a part that is lost', async () => {
    await saveGroup({ stage: 'children', ready: 2, started: 2, done: 1 });
    expect(await failures()).toEqual([run('it counts 1 stored batches, but has 0 parts')]);
  });
});
