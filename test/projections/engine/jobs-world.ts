/** A test fixture: commands on jobs, a projection that counts them, and a feed that repeats, shuffles and delays. */
import { commitHash, sha256 } from '../../../activity/commit.ts';
import { transact } from '../../../activity/store.ts';
import type { CommandContext } from '../../../commands/context.ts';
import { streamName } from '../../../domain/event.ts';
import { createJob, deleteJob, job, renameJob } from '../../../domain/job.ts';
import type { Platform, Row, StreamNotification } from '../../../domain/ports.ts';
import type { Chaos } from '../../../infra/embedded/chaos.ts';
import { foldAsOf } from '../../../projections/engine/fold.ts';
import { generationOf, readGenerations } from '../../../projections/engine/generations.ts';
import { accountOf, type Projection } from '../../../projections/engine/projection.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { jobs } from '../../../projections/jobs.ts';
import { fresh } from '../../contract/fresh.ts';

export function command(account: string): CommandContext {
  return { account, actor: { type: 'user', id: 'usr_test' }, commandId: fresh('command'), correlationId: 'test' };
}

/**
 * The projection `jobs` plus one row per account, to which every event adds 1. The count shows an event that the engine
 * applied twice or not at all.
 */
export function countingJobs(version: number): Projection {
  const count = (event: { stream: string }) =>
    ({ op: 'update', table: 'jobs', pk: accountOf(event), sk: 'count', add: { [`events-${version}`]: 1 } }) as const;
  return {
    name: 'jobs',
    version,
    streams: ['job'],
    on: {
      JobCreated: (event) => [...(jobs.on.JobCreated?.(event) ?? []), count(event)],
      JobRenamed: (event) => [...(jobs.on.JobRenamed?.(event) ?? []), count(event)],
      JobDeleted: (event) => [...(jobs.on.JobDeleted?.(event) ?? []), count(event)],
    },
  };
}

/** The projection with a fold that fails on renames. */
export function failing(projection: Projection): Projection {
  const fail = () => {
    throw new TypeError('a bug in the fold');
  };
  return { ...projection, on: { ...projection.on, JobRenamed: fail } };
}

export const jobStream = (account: string, id: string) => streamName(account, 'job', id);

export async function makeJob(
  platform: Platform,
  account: string,
  jobId = fresh('job'),
): Promise<StreamNotification & { jobId: string }> {
  const data = { jobId, sourceId: 'src_1', name: `Holiday of ${jobId}` };
  const { stream, version } = await transact(
    platform,
    job,
    jobStream(account, jobId),
    createJob(data),
    command(account),
  );
  return { stream, version, jobId };
}

export async function rename(
  platform: Platform,
  account: string,
  jobId: string,
  name = fresh('name'),
): Promise<StreamNotification> {
  const { stream, version } = await transact(
    platform,
    job,
    jobStream(account, jobId),
    renameJob(jobId, name),
    command(account),
  );
  return { stream, version };
}

export async function remove(platform: Platform, account: string, jobId: string): Promise<StreamNotification> {
  const { stream, version } = await transact(
    platform,
    job,
    jobStream(account, jobId),
    deleteJob(jobId),
    command(account),
  );
  return { stream, version };
}

/** Appends a commit with a valid hash and bytes that no code can decode. */
export async function poison(platform: Platform, stream: string): Promise<StreamNotification> {
  const last = await platform.events.last(stream);
  const [version, prevHash] = [(last?.version ?? 0) + 1, last?.hash ?? '0'.repeat(64)];
  const bytes = Buffer.from('ada@example.com wrote no JSON');
  const hash = commitHash(stream, version, prevHash, sha256(bytes));
  await platform.events.append({
    stream,
    version,
    at: new Date(platform.now()).toISOString(),
    prevHash,
    hash,
    body: { bytes },
  });
  return { stream, version };
}

export type Delivery = { notify(notification: StreamNotification): void; settle(): Promise<void> };

/** Delivers notifications like DynamoDB Streams: batches run at once, some repeat, some are late, in any order. */
export function deliver(platform: Platform, projections: () => Projection[], { chance, shuffled }: Chaos): Delivery {
  let waiting: StreamNotification[] = [];
  const running = new Set<Promise<void>>();
  const handle = (notifications: StreamNotification[]) => {
    const work = handleNotifications(platform, projections(), notifications).finally(() => running.delete(work));
    running.add(work);
  };
  return {
    notify(notification) {
      waiting.push(notification);
      if (chance(0.6)) return;
      const late = waiting.filter(() => chance(0.2));
      const now = waiting.filter((each) => !late.includes(each));
      waiting = late;
      handle(shuffled([...now, ...now.filter(() => chance(0.3))]));
    },
    async settle() {
      handle(shuffled(waiting.splice(0)));
      while (running.size > 0) await Promise.all(running);
    },
  };
}

/** Executes that many random commands in these accounts, one after another, and calls `notify` for each commit. */
export async function write(
  platform: Platform,
  accounts: string[],
  steps: number,
  { chance, shuffled }: Chaos,
  notify: Delivery['notify'],
) {
  const open: { account: string; jobId: string }[] = [];
  for (let step = 0; step < steps; step++) {
    const [account] = shuffled(accounts);
    const [existing] = shuffled(open);
    if (!account) throw new Error('no accounts');
    if (!existing || chance(0.4)) {
      const made = await makeJob(platform, account);
      open.push({ account, jobId: made.jobId });
      notify(made);
    } else if (chance(0.8)) notify(await rename(platform, existing.account, existing.jobId));
    else {
      open.splice(open.indexOf(existing), 1);
      notify(await remove(platform, existing.account, existing.jobId));
    }
  }
}

const byKey = (a: Row, b: Row) => (a.pk === b.pk ? (a.sk < b.sk ? -1 : 1) : a.pk < b.pk ? -1 : 1);

/** All rows of the table `jobs` by generation, sorted, under the keys that the projection uses. */
export async function rowsByGeneration(platform: Platform): Promise<Map<number, Row[]>> {
  const found = new Map<number, Row[]>();
  for (let cursor: string | undefined; ; ) {
    const page = await platform.rows.scan('jobs', { limit: 100, ...(cursor ? { cursor } : {}) });
    for (const row of page.items) {
      const generation = generationOf(row);
      const pk = generation === 1 ? row.pk : row.pk.slice(`g${generation}~`.length);
      found.set(generation, [...(found.get(generation) ?? []), { ...row, pk }].sort(byKey));
    }
    if (!page.next) return found;
    cursor = page.next;
  }
}

/** The generation that queries read, with its rows. */
export async function currentGeneration(platform: Platform): Promise<{ generation: number; rows: Row[] }> {
  const generation = (await readGenerations(platform)).get('jobs')?.current ?? 1;
  return { generation, rows: (await rowsByGeneration(platform)).get(generation) ?? [] };
}

/** The rows of these accounts, folded from their ledgers. */
export async function folded(platform: Platform, projection: Projection, accounts: string[]): Promise<Row[]> {
  const all = await Promise.all(accounts.map((account) => foldAsOf(platform, projection, account)));
  return all.flatMap(({ rows }) => rows).sort(byKey);
}
