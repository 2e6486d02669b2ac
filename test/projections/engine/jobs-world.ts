/** Jobs that are made, renamed and deleted, a read model of them that counts, and a feed that repeats, shuffles and delays. */
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

/** The jobs' read model with a row an account that every event of any job adds to: what is applied twice or never shows there. */
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

/** The model with a fold that fails on renames. */
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

/** A commit that is intact, chained, and no commit of ours. */
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

export type Delivery = { wake(notification: StreamNotification): void; settle(): Promise<void> };

/** Hands wake-ups to the projections as DynamoDB Streams may: several batches at once, some twice, some late, in any order. */
export function deliver(platform: Platform, projections: () => Projection[], { chance, shuffled }: Chaos): Delivery {
  let waiting: StreamNotification[] = [];
  const under = new Set<Promise<void>>();
  const hand = (notifications: StreamNotification[]) => {
    const work = handleNotifications(platform, projections(), notifications).finally(() => under.delete(work));
    under.add(work);
  };
  return {
    wake(notification) {
      waiting.push(notification);
      if (chance(0.6)) return;
      const late = waiting.filter(() => chance(0.2));
      const now = waiting.filter((each) => !late.includes(each));
      waiting = late;
      hand(shuffled([...now, ...now.filter(() => chance(0.3))]));
    },
    async settle() {
      hand(shuffled(waiting.splice(0)));
      while (under.size > 0) await Promise.all(under);
    },
  };
}

/** So many random commands in these accounts, one after another, each told to `wake`. */
export async function write(
  platform: Platform,
  accounts: string[],
  steps: number,
  { chance, shuffled }: Chaos,
  wake: Delivery['wake'],
) {
  const open: { account: string; jobId: string }[] = [];
  for (let step = 0; step < steps; step++) {
    const [account] = shuffled(accounts);
    const [some] = shuffled(open);
    if (!account) throw new Error('no accounts');
    if (!some || chance(0.4)) {
      const made = await makeJob(platform, account);
      open.push({ account, jobId: made.jobId });
      wake(made);
    } else if (chance(0.8)) wake(await rename(platform, some.account, some.jobId));
    else {
      open.splice(open.indexOf(some), 1);
      wake(await remove(platform, some.account, some.jobId));
    }
  }
}

const byKey = (a: Row, b: Row) => (a.pk === b.pk ? (a.sk < b.sk ? -1 : 1) : a.pk < b.pk ? -1 : 1);

/** All rows of the jobs' table by their generation, sorted, as the projection knows their keys. */
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

/** The rows that are read. */
export async function currentGeneration(platform: Platform): Promise<{ generation: number; rows: Row[] }> {
  const generation = (await readGenerations(platform)).get('jobs')?.current ?? 1;
  return { generation, rows: (await rowsByGeneration(platform)).get(generation) ?? [] };
}

/** What the log says the rows of these accounts are. */
export async function folded(platform: Platform, projection: Projection, accounts: string[]): Promise<Row[]> {
  const all = await Promise.all(accounts.map((account) => foldAsOf(platform, projection, account)));
  return all.flatMap(({ rows }) => rows).sort(byKey);
}
