/** The commits that relay and projections process. */
import { hash } from 'node:crypto';
import { type Head, start } from '../../activity/commit.ts';
import { encodeCommit } from '../../activity/encode.ts';
import { makeId, type IdKind as Named } from '../../crypto/ids.ts';
import { account as accountAggregate } from '../../domain/account.ts';
import type { Aggregate } from '../../domain/aggregate.ts';
import { backupChain, backupChainId, nothing } from '../../domain/backup-chain.ts';
import { type Cause, type DomainEvent, streamName } from '../../domain/event.ts';
import { job } from '../../domain/job.ts';
import { inParallel } from '../../domain/parallel.ts';
import type { Platform, StoredCommit, StreamNotification } from '../../domain/ports.ts';
import { source } from '../../domain/source.ts';
import { user } from '../../domain/user.ts';

/** A commit of one event. */
type Planned = { stream: string; encode(platform: Platform, head: Head): Promise<StoredCommit> };

export type Shape = {
  title: string;
  /** A hundred commits for each reader. `set` separates several sets of one shape. */
  wave(number: number, set: string, hundreds: number): Planned[];
  /** Numbers of concurrent readers to measure besides one. A stream has only one reader. */
  concurrentReaders: number[];
};

/** The benchmark never decrypts these fields. */
const key = new Uint8Array(32);
const cause: Cause = {
  actor: { type: 'user', id: idOf('user', 'ada') },
  commandId: 'c'.repeat(64),
  correlationId: 'bench',
};

function idOf(aggregate: Named, name: string): string {
  return makeId(aggregate, hash('sha256', name, 'buffer'));
}

function plan<S, E extends DomainEvent>(
  aggregate: Aggregate<S, E>,
  account: string,
  id: string,
  event: NoInfer<E>,
): Planned {
  const stream = streamName(account, aggregate.stream, id);
  return { stream, encode: (platform, head) => encodeCommit(platform, aggregate, stream, head, [event], cause) };
}

const sourceId = idOf('source', 'shared');
const name = 'Nightly backup of the office share';

/** The next commit of a job: its creation, then renames. */
function aboutJob(account: string, number: string, version: number): Planned {
  const jobId = idOf('job', `${account} ${number}`);
  if (version === 1) return plan(job, account, jobId, { type: 'JobCreated', data: { jobId, sourceId, name } });
  return plan(job, account, jobId, { type: 'JobRenamed', data: { jobId, name: `${name}, ${version}` } });
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Ten commits: a user signs up, connects a source, creates a job and makes a first backup. */
function firstBackup(number: string): Planned[] {
  const account = idOf('account', number);
  const [userId, sourceId] = [idOf('user', number), idOf('source', number)];
  const [jobId, runId] = [idOf('job', number), idOf('run', number)];
  const runRef = { runId, jobId, sourceId };
  const manifest = { id: hash('sha256', runId).slice(0, 32), hash: hash('sha256', runId) };
  const at = '2026-11-22T10:00:00.000Z';
  const totals = { files: 800, folders: 40, links: 0, bytes: 50_000_000 };
  const counts = {
    filesDone: 800,
    filesDeleted: 0,
    filesFailed: 0,
    filesSkipped: 0,
    bytesRead: 50_000_000,
    bytesStored: 30_000_000,
  };
  const cost = { requests: 900, usd: 0.0031 };
  const open = { openRun: { runId, requestedAt: at }, newestRestorePoint: null, runs: 1 };
  const done = { openRun: null, newestRestorePoint: { runId, at, manifest, totals, since: null }, runs: 1 };
  return [
    plan(user, account, userId, {
      type: 'UserRegistered',
      data: { userId, accountId: account, email: 'ada@example.com', name: 'Ada' },
    }),
    plan(accountAggregate, account, account, {
      type: 'AccountOpened',
      data: { accountId: account, ownerId: userId, name: 'Ada' },
    }),
    plan(source, account, sourceId, {
      type: 'SourceConnected',
      data: { sourceId, kind: 'folder', name, config: { path: '/home/ada' } },
    }),
    plan(job, account, jobId, { type: 'JobCreated', data: { jobId, sourceId, name } }),
    plan(backupChain, account, backupChainId(jobId, sourceId), {
      type: 'RunRequested',
      data: { ...runRef, backupChain: open },
    }),
    plan(backupChain, account, backupChainId(jobId, sourceId), {
      type: 'RestorePointCreated',
      data: {
        ...{ ...runRef, outcome: 'succeeded', manifest, totals, before: nothing, backupChain: done },
        ...{
          startedAt: at,
          counts: { ...counts, filesTotal: 800, filesUnchanged: 0 },
          cost,
          errors: [],
          errorPages: 0,
        },
      },
    }),
  ];
}

export const shapes: Shape[] = [
  {
    title: 'one stream',
    concurrentReaders: [],
    wave: (number, set) =>
      upTo(100).map((i) => aboutJob(idOf('account', `one stream, ${set}`), 'one', number * 100 + i + 1)),
  },
  {
    title: 'one account, each in a stream of its own',
    concurrentReaders: [2, 4, 10],
    wave: (number, set, hundreds) =>
      upTo(100 * hundreds).map((i) => aboutJob(idOf('account', `one account, ${set}`), String(i), number + 1)),
  },
  {
    title: '50 accounts, each in a stream of its own',
    concurrentReaders: [10],
    wave: (number, set, hundreds) =>
      upTo(100 * hundreds).map((i) => aboutJob(idOf('account', `${i % 50}, ${set}`), String(i), number + 1)),
  },
  {
    title: 'first backups, ten commits in each account',
    concurrentReaders: [10],
    wave: (number, set, hundreds) => upTo(10 * hundreds).flatMap((i) => firstBackup(`${set} ${number} ${i}`)),
  },
];

/** Appends the commits. Returns their notifications in order. Updates the versions in `heads`. */
export async function append(
  platform: Platform,
  heads: Map<string, Head>,
  planned: Planned[],
): Promise<StreamNotification[]> {
  const notifications = new Map<Planned, StreamNotification>();
  const applying = { ...platform, keys: { ...platform.keys, subjectKey: async () => key } };
  await inParallel(
    64,
    Map.groupBy(planned, ({ stream }) => stream),
    async ([stream, commits]) => {
      for (const each of commits) {
        const commit = await each.encode(applying, heads.get(stream) ?? start);
        if ((await platform.events.append(commit)) !== 'appended')
          throw new Error(`${stream} was not at version ${commit.version - 1}`);
        heads.set(stream, commit);
        notifications.set(each, { stream, version: commit.version });
      }
    },
  );
  return planned.flatMap((each) => notifications.get(each) ?? []);
}

/** Splits notifications as the mapping of a shard does: batches of up to 100, and each stream for one reader only. */
export function handOut(notifications: StreamNotification[], readers: number): StreamNotification[][][] {
  const readerOf = ({ stream }: StreamNotification) => hash('sha256', stream, 'buffer').readUInt32BE() % readers;
  const shares = [...Map.groupBy(notifications, readerOf).values()];
  return shares.map((share) => upTo(Math.ceil(share.length / 100)).map((i) => share.slice(100 * i, 100 * (i + 1))));
}
