import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { start } from '../../activity/commit.ts';
import { decode, UnreadableCommit } from '../../activity/decode.ts';
import { encodeCommit } from '../../activity/encode.ts';
import { reveal, seal, unseal } from '../../activity/seal.ts';
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { account } from '../../domain/account.ts';
import { nouns } from '../../domain/catalogue.ts';
import type { DomainEvent } from '../../domain/event.ts';
import { type JobEvent, job } from '../../domain/job.ts';
import type { Noun } from '../../domain/noun.ts';
import type { StoredCommit } from '../../domain/ports.ts';
import { finishRun, run } from '../../domain/run.ts';
import { connectSource, type SourceEvent, source } from '../../domain/source.ts';
import { user } from '../../domain/user.ts';
import { projections } from '../../projections/index.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { openTestHome, testFolder } from '../support/embedded.ts';
import { auditLedger } from '../support/ledger.ts';

const cause = systemContext('acc_1', 'test', 'run_1', 'what');
const stream = 'acc_1/source/src_1';
const connect = connectSource('src_1', 'folder', { name: 'Ada’s papers', config: { path: '/home/ada' } });

async function connected() {
  const home = await openTestHome();
  await transact(home.machine, source, stream, connect, cause);
  const [commit] = await home.machine.events.load(stream);
  if (!commit || !('bytes' in commit.body)) throw new Error('no commit');
  return { ...home, commit, bytes: commit.body.bytes };
}

const secret = 'plantedsecret';
const counts = {
  filesTotal: 0,
  filesDone: 0,
  filesUnchanged: 0,
  filesDeleted: 0,
  filesFailed: 0,
  filesSkipped: 0,
  bytesRead: 0,
  bytesStored: 0,
};
const about = { runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };

/** Events that read models are made of, with the secret in every personal field. */
const planted: { noun: { stream: string }; event: DomainEvent | undefined }[] = [
  { noun: account, event: { type: 'AccountOpened', data: { accountId: 'acc_1', ownerId: 'usr_1', name: secret } } },
  { noun: user, event: { type: 'UserRegistered', data: { userId: 'usr_1', accountId: 'acc_1', email: secret, name: secret } } },
  {
    noun: source,
    event: { type: 'SourceConnected', data: { sourceId: 'src_1', kind: 'folder', name: secret, config: { path: secret } } },
  },
  {
    noun: source,
    event: { type: 'SourceChanged', data: { sourceId: 'src_1', credentialsRotated: false, name: secret, config: { path: secret } } },
  },
  { noun: job, event: { type: 'JobCreated', data: { jobId: 'job_1', sourceId: 'src_1', name: secret } } },
  { noun: job, event: { type: 'JobRenamed', data: { jobId: 'job_1', name: secret } } },
  {
    noun: run,
    event: finishRun({
      ...about,
      ...{ outcome: 'failed', counts, cost: { requests: 0, usd: 0 }, manifest: null, totals: null, errorPages: 0 },
      reason: { code: secret, message: secret },
      errors: [{ path: secret, code: 'changed', message: '' }],
    })({ status: 'none' })[0],
  },
];

/** Nouns of several kinds in one list. */
const untyped = (noun: unknown) => noun as Noun<unknown, DomainEvent>;

describe('what is personal', () => {
  it.each(nouns.flatMap((noun) => Object.entries(noun.personal).map(([type, fields]) => ({ noun, type, fields: Object.keys(fields) }))))(
    'is sealed in $type',
    async ({ noun, type, fields }) => {
      const { machine } = await openTestHome();
      const ids = { accountId: 'acc_1', ownerId: 'usr_1', userId: 'usr_1', sourceId: 'src_1', jobId: 'job_1', runId: 'run_1' };
      const data = { ...ids, ...Object.fromEntries(fields.map((field) => [field, { [secret]: secret }])) };
      const commit = await encodeCommit(machine, untyped(noun), `acc_1/${noun.stream}/1`, start, [{ type, data }], cause);
      const [event] = await decode(machine, commit);
      expect('bytes' in commit.body && Buffer.from(commit.body.bytes).includes(secret)).toBe(false);
      expect(await reveal(machine, 'acc_1', event?.data ?? {})).toEqual(data);
    },
  );

  it('is in clear nowhere in the data folder, read models included', async () => {
    const data = await testFolder();
    const { machine, close } = await openTestHome({ data });
    for (const { noun, event } of planted) {
      const name = `acc_1/${noun.stream}/1`;
      const { version } = await transact(machine, untyped(noun), name, () => (event ? [event] : []), cause);
      await handleWakeups(machine, projections, [{ stream: name, version }]);
    }
    const row = await machine.rows.get({ table: 'runs', pk: 'acc_1', sk: 'id#run_1' });
    expect(Object.keys(row?.data.reason ?? {})).toEqual(['$sealed', 'subject']);
    await close();
    const names = (await readdir(data, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const all = Buffer.concat(await Promise.all(names.map((entry) => readFile(join(entry.parentPath, entry.name)))));
    expect(all.includes('usr_1')).toBe(true);
    expect(all.includes(secret)).toBe(false);
  });

  it('opens for its owner, and is null once its subject is erased, with the ledger as valid as before', async () => {
    const { machine, commit } = await connected();
    const open = async () => {
      const [event] = await decode(machine, commit);
      return reveal(machine, 'acc_1', event?.data ?? {});
    };
    expect(await open()).toMatchObject({ name: 'Ada’s papers', config: { path: '/home/ada' }, kind: 'folder' });
    await machine.keys.destroySubject('acc_1', 'src_1');
    expect(await open()).toEqual({ sourceId: 'src_1', kind: 'folder', name: null, config: null });
    expect(await auditLedger(machine, 'acc_1')).toEqual({ SourceConnected: 1 });
  });

  it('of an erased subject is recorded no more', async () => {
    const { machine } = await connected();
    await machine.keys.destroySubject('acc_1', 'src_1');
    const change = transact(
      machine,
      source,
      stream,
      (): SourceEvent[] => [{ type: 'SourceChanged', data: { sourceId: 'src_1', credentialsRotated: false, name: 'again', config: null } }],
      cause,
    );
    await expect(change).rejects.toThrow('erased');
    expect(await machine.events.load(stream)).toHaveLength(1);
  });

  it('is copied sealed from one event to the next, under its first subject', async () => {
    const { machine, commit } = await connected();
    const [event] = await decode(machine, commit);
    const name = event?.data.name as never;
    await transact(machine, job, 'acc_1/job/1', (): JobEvent[] => [{ type: 'JobRenamed', data: { jobId: '1', name } }], cause);
    const [copied] = await machine.events.load('acc_1/job/1');
    const [renamed] = copied ? await decode(machine, copied) : [];
    expect(renamed?.data.name).toEqual(name);
  });

  it('opens under no other account and no other subject', async () => {
    const { machine } = await openTestHome();
    const sealed = await seal(machine, 'acc_1', 'src_1', 'text');
    expect(await unseal(machine, 'acc_1', sealed)).toBe('text');
    await expect(unseal(machine, 'acc_2', sealed)).rejects.toThrow();
    await expect(unseal(machine, 'acc_1', { ...sealed, subject: 'src_2' })).rejects.toThrow();
  });

  it('never seals to the same bytes twice', async () => {
    const { machine } = await openTestHome();
    expect(await seal(machine, 'acc_1', 'src_1', 'text')).not.toEqual(await seal(machine, 'acc_1', 'src_1', 'text'));
  });
});

describe('a commit', () => {
  it('with any byte or any of its chain changed is not read', async () => {
    const { machine, commit, bytes } = await connected();
    const altered: StoredCommit[] = [
      { ...commit, stream: 'acc_1/source/src_2' },
      { ...commit, version: 2 },
      { ...commit, prevHash: '1'.repeat(64) },
      { ...commit, hash: '1'.repeat(64) },
      ...Array.from(bytes, (byte, i) => ({ ...commit, body: { bytes: bytes.with(i, byte ^ 1) } })),
    ];
    for (const each of altered) await expect(decode(machine, each)).rejects.toMatchObject({ name: 'UnreadableCommit', why: 'damaged' });
  });

  it('of more than 64 KB rests in a blob, and is not read without it or with another one', async () => {
    const { machine } = await openTestHome();
    const name = 'acc_1/job/large';
    const long = (length: number) =>
      transact(machine, job, name, (): JobEvent[] => [{ type: 'JobRenamed', data: { jobId: 'large', name: 'x'.repeat(length) } }], cause);
    await long(1000);
    await long(100_000);
    const [small, large] = await machine.events.load(name);
    if (!small || !large || !('blob' in large.body)) throw new Error('it does not rest in a blob');
    expect('bytes' in small.body).toBe(true);
    expect(await decode(machine, large)).toHaveLength(1);
    expect(await auditLedger(machine, 'acc_1')).toEqual({ JobRenamed: 2 });
    const other = { ...machine, blobs: { ...machine.blobs, get: async () => Buffer.from('{}') } };
    await expect(decode(other, large)).rejects.toMatchObject({ why: 'damaged' });
    await machine.blobs.delete([large.body.blob]);
    await expect(decode(machine, large)).rejects.toMatchObject({ why: 'damaged' });
  });

  it('is not blamed for a store of blobs that does not answer', async () => {
    const { machine, commit } = await connected();
    const down = { blobs: { ...machine.blobs, get: () => Promise.reject(new Error('no answer')) } };
    const large: StoredCommit = { ...commit, body: { blob: 'commits/acc_1/x', bytesHash: '' } };
    const error: unknown = await decode(down, large).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(UnreadableCommit);
  });

  it('of newer code says so', async () => {
    const { machine } = await openTestHome();
    const newer = { ...job, versions: { ...job.versions, JobDeleted: 9 } };
    const commit = await encodeCommit(machine, newer, 'acc_1/job/1', start, [{ type: 'JobDeleted', data: { jobId: '1' } }], cause);
    await expect(decode(machine, commit)).rejects.toMatchObject({ why: 'unknown', message: expect.stringContaining('job.deleted.v9') });
  });

  it('of the same command at the same place has the same event ids, of any other not', async () => {
    const { machine } = await openTestHome();
    const idsOf = async (name: string, commandId: string) => {
      const events = [
        { type: 'JobDeleted' as const, data: { jobId: '1' } },
        { type: 'JobDeleted' as const, data: { jobId: '1' } },
      ];
      const commit = await encodeCommit(machine, job, name, start, events, { ...cause, commandId });
      return (await decode(machine, commit)).map(({ id }) => id);
    };
    const ids = await idsOf('acc_1/job/1', 'a');
    expect(await idsOf('acc_1/job/1', 'a')).toEqual(ids);
    expect(new Set([...ids, ...(await idsOf('acc_1/job/1', 'b')), ...(await idsOf('acc_1/job/2', 'a'))]).size).toBe(6);
  });
});
