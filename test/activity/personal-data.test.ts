import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { start } from '../../activity/commit.ts';
import { decode, UnreadableCommit } from '../../activity/decode.ts';
import { encodeCommit } from '../../activity/encode.ts';
import { decrypt, decryptFields, encrypt } from '../../activity/personal-data.ts';
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { account } from '../../domain/account.ts';
import type { Aggregate } from '../../domain/aggregate.ts';
import { backupChain, createRestorePoint, endRun, nothing } from '../../domain/backup-chain.ts';
import { aggregates } from '../../domain/catalogue.ts';
import type { DomainEvent } from '../../domain/event.ts';
import { type JobEvent, job } from '../../domain/job.ts';
import type { StoredCommit } from '../../domain/ports.ts';
import { connectSource, type SourceEvent, source } from '../../domain/source.ts';
import { user } from '../../domain/user.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { projections } from '../../projections/index.ts';
import { noWork } from '../support/backups.ts';
import { openTestPlatform, testFolder } from '../support/embedded.ts';
import { auditLedger } from '../support/ledger.ts';

const cause = systemContext('acc_1', 'test', 'run_1', 'what');
const stream = 'acc_1/source/src_1';
const connect = connectSource('src_1', 'folder', { name: 'Ada’s papers', config: { path: '/home/ada' } });

async function connected() {
  const deployment = await openTestPlatform();
  await transact(deployment.platform, source, stream, connect, cause);
  const [commit] = await deployment.platform.events.load(stream);
  if (!commit || !('bytes' in commit.body)) throw new Error('no commit');
  return { ...deployment, commit, bytes: commit.body.bytes };
}

const secret = 'plantedsecret';
const runIds = (runId: string) => ({ runId, jobId: 'job_1', sourceId: 'src_1' });
const open = (runId: string) => ({ openRun: { runId, requestedAt: '' }, newestRestorePoint: null, runs: 1 });

/** Events that projections apply, with the secret in every personal field. */
const plantedData: { aggregate: { stream: string }; event: DomainEvent | undefined }[] = [
  {
    aggregate: account,
    event: { type: 'AccountOpened', data: { accountId: 'acc_1', ownerId: 'usr_1', name: secret } },
  },
  {
    aggregate: user,
    event: { type: 'UserRegistered', data: { userId: 'usr_1', accountId: 'acc_1', email: secret, name: secret } },
  },
  {
    aggregate: source,
    event: {
      type: 'SourceConnected',
      data: { sourceId: 'src_1', kind: 'folder', name: secret, config: { path: secret } },
    },
  },
  {
    aggregate: source,
    event: {
      type: 'SourceChanged',
      data: { sourceId: 'src_1', credentialsRotated: false, name: secret, config: { path: secret } },
    },
  },
  { aggregate: job, event: { type: 'JobCreated', data: { jobId: 'job_1', sourceId: 'src_1', name: secret } } },
  { aggregate: job, event: { type: 'JobRenamed', data: { jobId: 'job_1', name: secret } } },
  {
    aggregate: backupChain,
    event: endRun(runIds('run_1'), {
      ...{ outcome: 'failed', reason: { code: secret, message: secret } },
      ...noWork,
    })(open('run_1'))[0],
  },
  {
    aggregate: backupChain,
    event: createRestorePoint(runIds('run_2'), {
      ...{ outcome: 'partial', manifest: { id: 'man_1', hash: 'h' }, totals: nothing, since: null, at: '' },
      ...{ errors: [{ path: secret, code: 'changed', message: '' }], errorPages: 0 },
      ...noWork,
    })(open('run_2'))[0],
  },
];

/** Lets one list hold aggregates of different types. */
const untyped = (aggregate: unknown) => aggregate as Aggregate<unknown, DomainEvent>;

describe('personal data', () => {
  it.each(
    aggregates.flatMap((aggregate) =>
      Object.entries(aggregate.personal).map(([type, fields]) => ({ aggregate, type, fields: Object.keys(fields) })),
    ),
  )('is encrypted in $type', async ({ aggregate, type, fields }) => {
    const { platform } = await openTestPlatform();
    const ids = {
      accountId: 'acc_1',
      ownerId: 'usr_1',
      userId: 'usr_1',
      sourceId: 'src_1',
      jobId: 'job_1',
      runId: 'run_1',
    };
    const data = { ...ids, ...Object.fromEntries(fields.map((field) => [field, { [secret]: secret }])) };
    const commit = await encodeCommit(
      platform,
      untyped(aggregate),
      `acc_1/${aggregate.stream}/1`,
      start,
      [{ type, data }],
      cause,
    );
    const [event] = await decode(platform, commit);
    expect('bytes' in commit.body && Buffer.from(commit.body.bytes).includes(secret)).toBe(false);
    expect(await decryptFields(platform, 'acc_1', event?.data ?? {})).toEqual(data);
  });

  it('is nowhere in plain text in the data folder, read models included', async () => {
    const data = await testFolder();
    const { platform, close } = await openTestPlatform({ data });
    for (const { aggregate, event } of plantedData) {
      const name = `acc_1/${aggregate.stream}/1`;
      const { version } = await transact(platform, untyped(aggregate), name, () => (event ? [event] : []), cause);
      await handleNotifications(platform, projections, [{ stream: name, version }]);
    }
    for (const [id, field] of [
      ['run_1', 'reason'],
      ['run_2', 'errors'],
    ] as const) {
      const row = await platform.rows.get({ table: 'runs', pk: 'acc_1', sk: `id#${id}` });
      expect(Object.keys(row?.data[field] ?? {})).toEqual(['$encrypted', 'subject']);
    }
    await close();
    const names = (await readdir(data, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const all = Buffer.concat(await Promise.all(names.map((entry) => readFile(join(entry.parentPath, entry.name)))));
    expect(all.includes('usr_1')).toBe(true);
    expect(all.includes(secret)).toBe(false);
  });

  it('decrypts until its subject is erased, then reads as null, and the ledger stays valid', async () => {
    const { platform, commit } = await connected();
    const decrypted = async () => {
      const [event] = await decode(platform, commit);
      return decryptFields(platform, 'acc_1', event?.data ?? {});
    };
    expect(await decrypted()).toMatchObject({ name: 'Ada’s papers', config: { path: '/home/ada' }, kind: 'folder' });
    await platform.keys.destroySubject('acc_1', 'src_1');
    expect(await decrypted()).toEqual({ sourceId: 'src_1', kind: 'folder', name: null, config: null });
    expect(await auditLedger(platform, 'acc_1')).toEqual({ SourceConnected: 1 });
  });

  it('of an erased subject cannot be recorded', async () => {
    const { platform } = await connected();
    await platform.keys.destroySubject('acc_1', 'src_1');
    const change = transact(
      platform,
      source,
      stream,
      (): SourceEvent[] => [
        { type: 'SourceChanged', data: { sourceId: 'src_1', credentialsRotated: false, name: 'again', config: null } },
      ],
      cause,
    );
    await expect(change).rejects.toThrow('erased');
    expect(await platform.events.load(stream)).toHaveLength(1);
  });

  it('is copied to another event without decryption, under its first subject', async () => {
    const { platform, commit } = await connected();
    const [event] = await decode(platform, commit);
    const name = event?.data.name as never;
    await transact(
      platform,
      job,
      'acc_1/job/1',
      (): JobEvent[] => [{ type: 'JobRenamed', data: { jobId: '1', name } }],
      cause,
    );
    const [copied] = await platform.events.load('acc_1/job/1');
    const [renamed] = copied ? await decode(platform, copied) : [];
    expect(renamed?.data.name).toEqual(name);
  });

  it('does not decrypt under another account or subject', async () => {
    const { platform } = await openTestPlatform();
    const encrypted = await encrypt(platform, 'acc_1', 'src_1', 'text');
    expect(await decrypt(platform, 'acc_1', encrypted)).toBe('text');
    await expect(decrypt(platform, 'acc_2', encrypted)).rejects.toThrow();
    await expect(decrypt(platform, 'acc_1', { ...encrypted, subject: 'src_2' })).rejects.toThrow();
  });

  it('encrypts to different bytes each time', async () => {
    const { platform } = await openTestPlatform();
    expect(await encrypt(platform, 'acc_1', 'src_1', 'text')).not.toEqual(
      await encrypt(platform, 'acc_1', 'src_1', 'text'),
    );
  });
});

describe('a commit', () => {
  it('is damaged when any byte, its stream, version or a hash changed', async () => {
    const { platform, commit, bytes } = await connected();
    const altered: StoredCommit[] = [
      { ...commit, stream: 'acc_1/source/src_2' },
      { ...commit, version: 2 },
      { ...commit, prevHash: '1'.repeat(64) },
      { ...commit, hash: '1'.repeat(64) },
      ...Array.from(bytes, (byte, i) => ({ ...commit, body: { bytes: bytes.with(i, byte ^ 1) } })),
    ];
    for (const damaged of altered)
      await expect(decode(platform, damaged)).rejects.toMatchObject({ name: 'UnreadableCommit', why: 'damaged' });
  });

  it('of more than 64 KB is in a blob, and is damaged without that blob or with another one', async () => {
    const { platform } = await openTestPlatform();
    const name = 'acc_1/job/large';
    const long = (length: number) =>
      transact(
        platform,
        job,
        name,
        (): JobEvent[] => [{ type: 'JobRenamed', data: { jobId: 'large', name: 'x'.repeat(length) } }],
        cause,
      );
    await long(1000);
    await long(100_000);
    const [small, large] = await platform.events.load(name);
    if (!small || !large || !('blob' in large.body)) throw new Error('the body is not in a blob');
    expect('bytes' in small.body).toBe(true);
    expect(await decode(platform, large)).toHaveLength(1);
    expect(await auditLedger(platform, 'acc_1')).toEqual({ JobRenamed: 2 });
    const other = { ...platform, blobs: { ...platform.blobs, get: async () => Buffer.from('{}') } };
    await expect(decode(other, large)).rejects.toMatchObject({ why: 'damaged' });
    await platform.blobs.delete([large.body.blob]);
    await expect(decode(platform, large)).rejects.toMatchObject({ why: 'damaged' });
  });

  it('is not damaged when the blob store does not answer', async () => {
    const { platform, commit } = await connected();
    const down = { blobs: { ...platform.blobs, get: () => Promise.reject(new Error('no answer')) } };
    const large: StoredCommit = { ...commit, body: { blob: 'commits/acc_1/x', bytesHash: '' } };
    const error: unknown = await decode(down, large).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(UnreadableCommit);
  });

  it('of newer code is unknown, and the error names its event', async () => {
    const { platform } = await openTestPlatform();
    const newer = { ...job, versions: { ...job.versions, JobDeleted: 9 } };
    const commit = await encodeCommit(
      platform,
      newer,
      'acc_1/job/1',
      start,
      [{ type: 'JobDeleted', data: { jobId: '1' } }],
      cause,
    );
    await expect(decode(platform, commit)).rejects.toMatchObject({
      why: 'unknown',
      message: expect.stringContaining('job.deleted.v9'),
    });
  });

  it('has the same event ids for the same command, stream and version only', async () => {
    const { platform } = await openTestPlatform();
    const idsOf = async (name: string, commandId: string) => {
      const events = [
        { type: 'JobDeleted' as const, data: { jobId: '1' } },
        { type: 'JobDeleted' as const, data: { jobId: '1' } },
      ];
      const commit = await encodeCommit(platform, job, name, start, events, { ...cause, commandId });
      return (await decode(platform, commit)).map(({ id }) => id);
    };
    const ids = await idsOf('acc_1/job/1', 'a');
    expect(await idsOf('acc_1/job/1', 'a')).toEqual(ids);
    expect(new Set([...ids, ...(await idsOf('acc_1/job/1', 'b')), ...(await idsOf('acc_1/job/2', 'a'))]).size).toBe(6);
  });
});
