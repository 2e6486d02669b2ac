/** The doctor reports each fault with the right kind, and nothing else. Flipped bytes: test/faults/flipped-bytes. */
import { appendFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { commitHash, sha256 } from '../../activity/commit.ts';
import { commitBytes } from '../../activity/decode.ts';
import { load, transact } from '../../activity/store.ts';
import { cancelRun } from '../../commands/cancel-run.ts';
import { connectSource } from '../../commands/connect-source.ts';
import { createJob } from '../../commands/create-job.ts';
import { dropCredentials } from '../../commands/credentials.ts';
import { renameJob } from '../../commands/rename-job.ts';
import type { Checked, Count, Finding } from '../../doctor/finding.ts';
import {
  type BackupChainEvent,
  type BackupChainState,
  backupChain,
  backupChainId,
  createRestorePoint,
  nothing,
} from '../../domain/backup-chain.ts';
import { streamName } from '../../domain/event.ts';
import type { ChunkRef, LedgerEntry, Platform, Received } from '../../domain/ports.ts';
import { handleMessage } from '../../processors/runner.ts';
import { groupKey } from '../../tasks/task-records.ts';
import { deriveVaultKeys } from '../../vault/keys.ts';
import { writeManifest } from '../../vault/manifest.ts';
import { checkPacks } from '../../vault/pack-registry.ts';
import { findEntry, openManifest } from '../../vault/reader.ts';
import { changeCorpus, makeCorpus } from '../faults/corpus.ts';
import { account, command, makeWorld, statusOf, type World } from '../faults/world.ts';
import { noErrors, noWork } from '../support/backups.ts';
import { expectClean, findingsOf } from '../support/check.ts';
import { openTestPlatform } from '../support/embedded.ts';
import { keyBlob } from '../support/keys.ts';

let world: World;
beforeEach(async () => {
  world = await makeWorld();
  await makeCorpus(world.source);
});

/** Makes two backups, with changes in between. */
async function backUpTwice(): Promise<void> {
  await world.request();
  await world.settle();
  await changeCorpus(world.source);
  await world.request();
  await world.settle();
}

/** Starts a run, which plans and stores one batch. Its other messages stay in the queue. */
async function startRun(): Promise<string> {
  const { platform, deployment } = world;
  const handle = ({ body }: Received) => handleMessage(deployment, body, { deadline: Number.POSITIVE_INFINITY });
  const runId = await world.request();
  await world.caughtUp();
  const [plan] = await world.receive('job');
  if (!plan) throw new Error('the queue has no request');
  await handle(plan);
  await platform.queue.ack('job', plan.receipt);
  const [batch, ...others] = await world.receive('data');
  if (!batch) throw new Error('the queue has no store task');
  await handle(batch);
  await platform.queue.ack('data', batch.receipt);
  for (const { receipt } of others) await platform.queue.extend('data', receipt, 0);
  await world.caughtUp();
  return runId;
}

const failures = (found: Finding[]) => found.filter(({ severity }) => severity === 'failure');

/** The kinds of the failures, sorted, each once. */
async function kinds(
  platform: Platform = world.platform,
  options: Parameters<typeof findingsOf>[1] = {},
): Promise<Checked[]> {
  return [...new Set(failures(await findingsOf(platform, options)).map(({ what }) => what))].sort();
}

describe('without faults', () => {
  it('reports no failure after backups, a failed run and a cancelled run', async () => {
    await backUpTwice();
    const runId = await world.request();
    await world.caughtUp();
    await cancelRun(world.platform, command(), { runId, jobId: world.jobId, sourceId: world.sourceId });
    await world.settle();
    await expectClean(world.platform, { deployment: world.deployment });
    await rm(world.source, { recursive: true });
    await world.request();
    await world.settle();
    await expectClean(world.platform);
  });

  it('reports a running run as info, and as a failure when quiet is expected', async () => {
    const runId = await startRun();
    const found = await findingsOf(world.platform);
    expect(found).toEqual([expect.objectContaining({ severity: 'info', what: 'run', where: runId })]);
    expect(await kinds(world.platform, { quiet: true })).toEqual(['run']);
  });

  it('reports read models that lag only when quiet is expected', async () => {
    const { platform } = await openTestPlatform();
    await createJob(platform, command(), { name: 'Nightly', sourceId: await connectBucket(platform) });
    expect(await kinds(platform)).toEqual([]);
    expect(await kinds(platform, { quiet: true })).toEqual(['cursor']);
  });

  it('reports a lost copy of a key as info, and different copies as a failure', async () => {
    const { platform } = world;
    const copies = async () => (await findingsOf(platform)).filter(({ what }) => what === 'key');
    const blob = keyBlob(account, world.sourceId);
    const bytes = await platform.blobs.get(blob);
    await platform.blobs.delete([blob]);
    expect(await copies()).toEqual([
      {
        severity: 'info',
        what: 'key',
        where: world.sourceId,
        detail: 'a copy is wrong (missing in the blobs); the next read or sweep repairs it',
      },
    ]);
    const other = await platform.blobs.get(keyBlob(account));
    await platform.blobs.put(blob, other ?? new Uint8Array());
    expect(failures(await copies())).toEqual([
      expect.objectContaining({ where: world.sourceId, detail: expect.stringContaining('(different keys)') }),
    ]);
    await platform.blobs.put(blob, bytes ?? new Uint8Array());
  });

  it('counts the things that it checked', async () => {
    await backUpTwice();
    const counted: { [what: string]: number } = {};
    const count: Count = (what, many = 1) => {
      counted[what] = (counted[what] ?? 0) + many;
    };
    await expectClean(world.platform, { count });
    for (const what of [
      'ledger',
      'commit',
      'event',
      'row',
      'cursor',
      'manifest',
      'node',
      'segment',
      'pack-registry',
      'pack-footer',
      'pack-slot',
      'file',
      'chunk-index',
      'key',
    ])
      expect(counted[what], what).toBeGreaterThan(0);
  });
});

describe('the log', () => {
  const ledgerOf = (change: (entries: LedgerEntry[]) => LedgerEntry[]): Platform => {
    const { platform } = world;
    return {
      ...platform,
      events: { ...platform.events, ledger: async (...asked) => change(await platform.events.ledger(...asked)) },
    };
  };

  beforeEach(async () => {
    await world.request();
    await world.settle();
  });

  it.each<[string, (entries: LedgerEntry[]) => LedgerEntry[]]>([
    ['lacks an entry in the middle', (entries) => entries.filter(({ seq }) => seq !== 3)],
    ['skips a number', (entries) => entries.map((entry) => (entry.seq > 2 ? { ...entry, seq: entry.seq + 1 } : entry))],
    ['lacks the last entry', (entries) => entries.slice(0, -1)],
    [
      'has a commit twice',
      (entries) => entries.map((entry, i) => (i === 2 ? { ...entry, ...entries[1], seq: entry.seq } : entry)),
    ],
    [
      'has a wrong hash',
      (entries) => entries.map((entry) => (entry.seq === 3 ? { ...entry, hash: 'f'.repeat(64) } : entry)),
    ],
    [
      'has a time before that of the entry before',
      (entries) => entries.map((entry) => (entry.seq === 3 ? { ...entry, at: '2020-01-01T00:00:00.000Z' } : entry)),
    ],
  ])('reports a ledger that %s', async (_what, change) => {
    expect(await kinds(ledgerOf(change))).toContain('ledger');
  });

  it('reports a missing commit', async () => {
    const { platform } = world;
    const events = {
      ...platform.events,
      getMany: async (keys: { stream: string; version: number }[]) => (await platform.events.getMany(keys)).slice(1),
    };
    expect(await kinds({ ...platform, events })).toContain('commit');
  });

  it('reports a commit that is not chained to the commit before it', async () => {
    const { platform } = world;
    const stream = streamName(account, 'backup-chain', backupChainId(world.jobId, world.sourceId));
    const last = await platform.events.last(stream);
    if (!last) throw new Error('the stream has no commit');
    const prevHash = 'f'.repeat(64);
    const hash = commitHash(stream, last.version, prevHash, sha256(await commitBytes(platform, last)));
    const isIt = (each: { stream: string; version: number }) => each.stream === stream && each.version === last.version;
    const changed = ledgerOf((entries) => entries.map((entry) => (isIt(entry) ? { ...entry, hash } : entry)));
    const getMany: Platform['events']['getMany'] = async (keys) =>
      (await platform.events.getMany(keys)).map((commit) => (isIt(commit) ? { ...commit, prevHash, hash } : commit));
    expect(await kinds({ ...changed, events: { ...changed.events, getMany } })).toEqual(['commit']);
  });

  /** Appends an event to the backup chain that no command would append. */
  async function append(decide: (state: BackupChainState) => BackupChainEvent): Promise<void> {
    const stream = streamName(account, 'backup-chain', backupChainId(world.jobId, world.sourceId));
    await transact(world.platform, backupChain, stream, (state) => [decide(state)], command());
  }

  it('reports two open runs in one backup chain', async () => {
    const runRef = { jobId: world.jobId, sourceId: world.sourceId };
    for (const runId of ['run_second', 'run_third']) {
      await append((state) => {
        const after = { ...state, openRun: { runId, requestedAt: '' }, runs: state.runs + 1 };
        return { type: 'RunRequested', data: { ...runRef, runId, backupChain: after } };
      });
    }
    await world.caughtUp();
    expect(await kinds()).toContain('event');
  });

  it('reports a restore point that goes back to an older manifest', async () => {
    const runRef = { runId: await world.request(), jobId: world.jobId, sourceId: world.sourceId };
    await append((state) => {
      if (!state.newestRestorePoint) throw new Error('the backup chain has no backup');
      const { manifest, totals } = state.newestRestorePoint;
      const after = { ...state, openRun: null };
      return {
        type: 'RestorePointCreated',
        data: {
          ...{ ...runRef, outcome: 'succeeded', manifest, totals, before: nothing, backupChain: after },
          ...noErrors,
          ...noWork,
        },
      };
    });
    await world.settle();
    expect(await kinds()).toContain('event');
  });
});

describe('the read models', () => {
  const key = { table: 'analytics-aggregates' as const, pk: account, sk: '' };
  beforeEach(async () => {
    key.sk = `backup-chain#${backupChainId(world.jobId, world.sourceId)}`;
    await world.request();
    await world.settle();
  });

  it('reports a row with a wrong number', async () => {
    await world.platform.rows.apply('test', 'a/b/c', 1, [{ op: 'update', ...key, add: { succeeded: 1 } }]);
    const [finding] = failures(await findingsOf(world.platform));
    expect(finding).toMatchObject({
      what: 'row',
      where: `analytics-aggregates ${account} ${key.sk}`,
      detail: expect.stringContaining('succeeded'),
    });
  });

  it('reports a missing row', async () => {
    await world.platform.rows.apply('test', 'a/b/c', 1, [{ op: 'delete', ...key }]);
    expect(await kinds()).toEqual(['row']);
  });

  it.each([
    [account, 'nothing in the log makes this row'],
    [`${account}#all`, 'nothing in the log makes this row'],
    [`${account}#elsewhere`, 'should be empty'],
    ['acc_nobody', 'should be empty'],
  ])('reports an extra row in %s', async (pk, detail) => {
    await world.platform.rows.apply('test', 'a/b/c', 1, [{ op: 'put', table: 'jobs', pk, sk: 'id#x', data: {} }]);
    expect(failures(await findingsOf(world.platform))).toEqual([
      expect.objectContaining({ what: 'row', detail: expect.stringContaining(detail) }),
    ]);
  });

  it('reports a row of an unknown generation as info', async () => {
    await world.platform.rows.apply('test', 'a/b/c', 1, [
      { op: 'put', table: 'jobs', pk: `g9~${account}`, sk: 'id#x', data: {} },
    ]);
    const found = await findingsOf(world.platform);
    expect(found).toContainEqual(expect.objectContaining({ severity: 'info', what: 'row', where: 'jobs' }));
    expect(failures(found)).toEqual([]);
  });

  it('reports a parked stream', async () => {
    const stream = streamName(account, 'job', world.jobId);
    const parkedRecord = {
      projection: 'jobs',
      generation: 1,
      stream,
      version: 2,
      fault: 'unprojectable',
      since: '',
      tried: 0,
    };
    await world.platform.records.putMany([{ pk: 'parked', sk: `jobs ${stream}`, data: parkedRecord }]);
    await renameJob(world.platform, command(), world.jobId, 'Weekly');
    await world.caughtUp();
    expect(await kinds()).toEqual(['parked']);
  });

  it('reports a cursor ahead of its stream, and rows without a cursor', async () => {
    const stream = streamName(account, 'job', world.jobId);
    await world.platform.rows.apply('jobs', stream, 2, []);
    expect(await kinds()).toEqual(['cursor']);
    await world.platform.rows.forget('jobs', [stream]);
    expect(await kinds()).toEqual(['row']);
  });
});

describe('the vault', () => {
  beforeEach(backUpTwice);

  const blobs = async (prefix: string) =>
    (await world.platform.blobs.list(prefix, { limit: 1000 })).items.map(({ key }) => key);

  it('reports missing packs and the files in them', async () => {
    await world.platform.blobs.delete(await blobs('packs/'));
    const expected = ['file', 'pack-footer', 'pack-registry'];
    expect(await kinds()).toEqual(expected);
    expect(await kinds(world.platform, { readData: false })).toEqual(expected);
  });

  it('reports missing manifests', async () => {
    await world.platform.blobs.delete(await blobs('manifests/'));
    expect(await kinds()).toEqual(['manifest', 'pack-registry']);
  });

  it('reports an unused manifest and an unindexed chunk as info', async () => {
    const { platform } = world;
    const [manifest = ''] = await blobs('manifests/');
    await platform.blobs.put(
      `manifests/${account}/man_stray`,
      (await platform.blobs.get(manifest)) ?? new Uint8Array(),
    );
    const [id] = await someChunk();
    const chunks: Platform['chunks'] = {
      ...platform.chunks,
      async find(...asked) {
        const all = await platform.chunks.find(...asked);
        all.delete(id);
        return all;
      },
      async *scan(...asked) {
        for await (const chunk of platform.chunks.scan(...asked)) if (!('id' in chunk) || chunk.id !== id) yield chunk;
      },
    };
    const found = await findingsOf({ ...platform, chunks });
    expect(failures(found)).toEqual([]);
    expect(found.map(({ what }) => what).sort()).toEqual(['chunk-index', 'manifest']);
  });

  it('reports an indexed chunk with a wrong position', async () => {
    const [id, ref] = await someChunk();
    await world.platform.chunks.add(account, new Map([[id, { ...ref, offset: 1 }]]));
    expect(await kinds(world.platform, { readData: false })).toEqual(['chunk-index']);
  });

  it('reports an indexed chunk with a missing pack as info, because backups do not use it', async () => {
    const [id, ref] = await someChunk();
    await world.platform.chunks.add(account, new Map([[id, { ...ref, pack: 'pak_00000000000000000000000000' }]]));
    const found = await findingsOf(world.platform);
    expect(failures(found)).toEqual([]);
    expect(found).toContainEqual({
      severity: 'info',
      what: 'chunk-index',
      where: account,
      detail: '1 record in 1 missing pack: backups store that content again',
    });
  });

  it('reports an indexed chunk that its pack does not have', async () => {
    const [, ref] = await someChunk();
    await world.platform.chunks.add(account, new Map([['0'.repeat(40), ref]]));
    expect(await kinds(world.platform, { readData: false })).toEqual(['chunk-index']);
  });

  it('reports a part of the chunk index that cannot be read', async () => {
    const { platform } = world;
    const scan = async function* () {
      yield { unreadable: 'the last part' };
    };
    const found = failures(await findingsOf({ ...platform, chunks: { ...platform.chunks, scan } }));
    expect(found).toEqual([expect.objectContaining({ what: 'chunk-index', where: 'the last part' })]);
  });

  it('reports a lost pack until it is back', async () => {
    const { platform } = world;
    const store = { account, records: platform.records, blobs: platform.blobs };
    const [key = ''] = await blobs('packs/');
    const bytes = (await platform.blobs.get(key)) ?? new Uint8Array();
    await platform.blobs.delete([key]);
    await checkPacks(store, platform.now());
    expect(failures(await findingsOf(platform))).toContainEqual(
      expect.objectContaining({ what: 'pack-registry', detail: expect.stringContaining('it is lost') }),
    );
    await platform.blobs.put(key, bytes);
    await checkPacks(store, platform.now());
    expect(await kinds()).toEqual([]);
  });

  async function someChunk(): Promise<[id: string, ref: ChunkRef]> {
    for await (const found of world.platform.chunks.scan(account)) if ('id' in found) return [found.id, found.ref];
    throw new Error('the index has no chunk');
  }
});

describe('a run under way', () => {
  let runId = '';
  beforeEach(async () => {
    runId = await startRun();
  });

  const records = async () => (await world.platform.records.query(`run#${account}#${runId}`, { limit: 1000 })).items;
  async function alter(prefix: string, change: (text: string) => string): Promise<void> {
    for (const record of (await records()).filter(({ sk }) => sk.startsWith(prefix))) {
      await world.platform.records.putMany([{ ...record, data: JSON.parse(change(JSON.stringify(record.data))) }]);
    }
  }
  async function lose(prefix: string): Promise<void> {
    const lost = (await records()).filter(({ sk }) => sk.startsWith(prefix));
    await world.platform.records.write(lost.map(({ pk, sk }) => ({ op: 'delete', pk, sk })));
  }
  const loseTasks = () =>
    world.platform.records.write([{ op: 'delete', ...groupKey({ account, group: runId }) }]).then(() => {});
  const alteredByte = (text: string) =>
    text.replace(/("encrypted":".{40})(.)/, (_, before, byte) => `${before}${byte === 'A' ? 'B' : 'A'}`);

  it.each<[Checked, string, () => Promise<void>]>([
    ['run', 'no tasks', () => loseTasks()],
    ['run', 'a missing part', () => lose('part-')],
    ['work', 'an altered work list', () => alter('work-', alteredByte)],
    ['work', 'a missing work list', () => lose('work-')],
    ['part', 'an altered part', () => alter('part-', alteredByte)],
    [
      'part',
      'a part with a wrong hash',
      () => alter('part-', (text) => text.replace(/"partHash":"./, '"partHash":"x')),
    ],
  ])('reports kind %s for %s', async (what, _name, damage) => {
    await damage();
    expect(await kinds(world.platform, { isAwaited: () => false })).toEqual([what]);
  });

  it.each([
    ['work list', 'work-'],
    ['part', 'part-'],
  ])('fails when its %s was altered, keeps the last backup, and the next run succeeds', async (_what, prefix) => {
    await alter(prefix, alteredByte);
    await world.settle();
    expect(await statusOf(world, runId)).toBe('failed');
    await expectClean(world.platform);
    const next = await world.request();
    await world.settle();
    expect(await statusOf(world, next)).toBe('succeeded');
    await expectClean(world.platform, { deployment: world.deployment });
  });

  it('reports the tasks of a cancelled run until they ended, when quiet is expected', async () => {
    await cancelRun(world.platform, command(), { runId, jobId: world.jobId, sourceId: world.sourceId });
    await world.caughtUp();
    expect(await kinds()).toEqual([]);
    expect(await kinds(world.platform, { quiet: true })).toEqual(['run']);
    await world.settle();
    await expectClean(world.platform);
  });

  it('reports a dead letter', async () => {
    const { queue } = world.platform;
    await queue.send('job', [{ body: { type: 'task', account, group: runId, name: 'commit', rev: 1 } }]);
    for (let times = 0; times < 6; times++) {
      for (const { receipt } of await world.receive('job')) await queue.extend('job', receipt, 0);
    }
    const found = failures(await findingsOf(world.platform));
    expect(found).toEqual([expect.objectContaining({ what: 'message', where: `job ${runId}` })]);
  });
});

describe('the sources', () => {
  const compared = async () => failures(await findingsOf(world.platform, { deployment: world.deployment }));

  beforeEach(backUpTwice);

  it.each<[string, () => Promise<void>]>([
    ['a new file', () => writeFile(join(world.source, 'later.txt'), 'x')],
    ['a deleted file', () => rm(join(world.source, 'a.txt'))],
    [
      'a file that became a link',
      async () => {
        await rm(join(world.source, 'a.txt'));
        await symlink('nowhere', join(world.source, 'a.txt'));
      },
    ],
    ['a file with a new time', () => utimes(join(world.source, 'a.txt'), 1, 1)],
  ])('reports %s', async (_what, change) => {
    await change();
    const found = await compared();
    expect(found).toEqual([
      expect.objectContaining({ what: 'source', where: expect.stringMatching(new RegExp(`^${world.sourceId} file_`)) }),
    ]);
  });

  it('reports a file that grew', async () => {
    await appendFile(join(world.source, 'photos', '0.jpg'), 'x');
    expect(await compared()).toEqual([
      expect.objectContaining({ what: 'source', detail: 'it has 40001 bytes at the source, but 40000 in the backup' }),
    ]);
  });

  it('reports different content, even if all metadata is the same', async () => {
    const runRef = { runId: await world.request(), jobId: world.jobId, sourceId: world.sourceId };
    const stream = streamName(account, 'backup-chain', backupChainId(runRef.jobId, runRef.sourceId));
    const { state } = await load(world.platform, backupChain, stream);
    const key = await world.platform.keys.accountKey(account);
    if (!state.newestRestorePoint || !key) throw new Error('the backup chain has no backup');
    const context = { account, keys: deriveVaultKeys(key), blobs: world.platform.blobs };
    const base = await openManifest(context, state.newestRestorePoint.manifest);
    const entry = await findEntry(context, base, 'a.txt');
    if (!entry) throw new Error('the backup has no such file');
    const at = '2026-01-01T00:00:00.000Z';
    const changes = (async function* () {
      yield [{ put: { ...entry, sha256: 'f'.repeat(64) } }];
    })();
    const { manifest, totals } = await writeManifest({
      ...context,
      random: world.platform.random,
      runId: runRef.runId,
      at,
      base,
      changes,
    });
    await transact(
      world.platform,
      backupChain,
      stream,
      createRestorePoint(runRef, { outcome: 'succeeded', manifest, totals, since: null, at, ...noErrors, ...noWork }),
      command(),
    );
    const found = failures(await findingsOf(world.platform, { deployment: world.deployment, readData: true }));
    expect(found).toContainEqual(
      expect.objectContaining({ what: 'source', detail: 'its content differs from the backup' }),
    );
  });

  it('reports a source that is missing', async () => {
    await rm(world.source, { recursive: true });
    expect(await compared()).toEqual([expect.objectContaining({ what: 'source', where: world.sourceId })]);
  });
});

/** Connects a source with credentials and returns its id. */
async function connectBucket(platform: Platform): Promise<string> {
  const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
  const { id } = await connectSource(platform, command(), {
    type: 's3',
    name: 'Bucket',
    config: { bucket: 'some-bucket' },
    credentials,
  });
  return id;
}

it('reports missing credentials', async () => {
  const id = await connectBucket(world.platform);
  await world.caughtUp();
  expect(await kinds()).toEqual([]);
  await dropCredentials(world.platform, account, id);
  expect(await kinds()).toEqual(['credentials']);
});
