/** Jobs that are made, renamed and deleted, a read model of them that counts, and a feed that repeats, shuffles and delays. */
import { commitHash, sha256 } from '../../activity/commit.ts';
import { transact } from '../../activity/store.ts';
import type { CommandContext } from '../../commands/context.ts';
import { streamName } from '../../domain/event.ts';
import { createJob, deleteJob, job, renameJob } from '../../domain/job.ts';
import type { Machine, Row, Wakeup } from '../../domain/ports.ts';
import { fresh } from '../../infra/contract/fresh.ts';
import type { Trouble } from '../../infra/embedded/trouble.ts';
import { foldAsOf } from '../../projections/fold.ts';
import { generationOf, readGenerations } from '../../projections/generations.ts';
import { jobs } from '../../projections/jobs.ts';
import { accountOf, type Projection } from '../../projections/projection.ts';
import { handleWakeups } from '../../projections/runner.ts';

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

export async function makeJob(machine: Machine, account: string, jobId = fresh('job')): Promise<Wakeup & { jobId: string }> {
  const data = { jobId, sourceId: 'src_1', name: `Holiday of ${jobId}` };
  const { stream, version } = await transact(machine, job, jobStream(account, jobId), createJob(data), command(account));
  return { stream, version, jobId };
}

export async function rename(machine: Machine, account: string, jobId: string, name = fresh('name')): Promise<Wakeup> {
  const { stream, version } = await transact(machine, job, jobStream(account, jobId), renameJob(jobId, name), command(account));
  return { stream, version };
}

export async function remove(machine: Machine, account: string, jobId: string): Promise<Wakeup> {
  const { stream, version } = await transact(machine, job, jobStream(account, jobId), deleteJob(jobId), command(account));
  return { stream, version };
}

/** A commit that is intact, chained, and no commit of ours. */
export async function poison(machine: Machine, stream: string): Promise<Wakeup> {
  const last = await machine.events.last(stream);
  const [version, prevHash] = [(last?.version ?? 0) + 1, last?.hash ?? '0'.repeat(64)];
  const bytes = Buffer.from('ada@example.com wrote no JSON');
  const hash = commitHash(stream, version, prevHash, sha256(bytes));
  await machine.events.append({ stream, version, at: new Date(machine.now()).toISOString(), prevHash, hash, body: { bytes } });
  return { stream, version };
}

export type Delivery = { wake(wakeup: Wakeup): void; settle(): Promise<void> };

/** Hands wake-ups to the projections as DynamoDB Streams may: several batches at once, some twice, some late, in any order. */
export function deliver(machine: Machine, projections: () => Projection[], { chance, shuffled }: Trouble): Delivery {
  let waiting: Wakeup[] = [];
  const under = new Set<Promise<void>>();
  const hand = (wakeups: Wakeup[]) => {
    const work = handleWakeups(machine, projections(), wakeups).finally(() => under.delete(work));
    under.add(work);
  };
  return {
    wake(wakeup) {
      waiting.push(wakeup);
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
export async function write(machine: Machine, accounts: string[], steps: number, { chance, shuffled }: Trouble, wake: Delivery['wake']) {
  const open: { account: string; jobId: string }[] = [];
  for (let step = 0; step < steps; step++) {
    const [account] = shuffled(accounts);
    const [some] = shuffled(open);
    if (!account) throw new Error('no accounts');
    if (!some || chance(0.4)) {
      const made = await makeJob(machine, account);
      open.push({ account, jobId: made.jobId });
      wake(made);
    } else if (chance(0.8)) wake(await rename(machine, some.account, some.jobId));
    else {
      open.splice(open.indexOf(some), 1);
      wake(await remove(machine, some.account, some.jobId));
    }
  }
}

const byKey = (a: Row, b: Row) => (a.pk === b.pk ? (a.sk < b.sk ? -1 : 1) : a.pk < b.pk ? -1 : 1);

/** All rows of the jobs' table by their generation, sorted, as the projection knows their keys. */
export async function rowsByGeneration(machine: Machine): Promise<Map<number, Row[]>> {
  const found = new Map<number, Row[]>();
  for (let cursor: string | undefined; ; ) {
    const page = await machine.rows.scan('jobs', { limit: 100, ...(cursor ? { cursor } : {}) });
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
export async function currentGeneration(machine: Machine): Promise<{ generation: number; rows: Row[] }> {
  const generation = (await readGenerations(machine)).get('jobs')?.current ?? 1;
  return { generation, rows: (await rowsByGeneration(machine)).get(generation) ?? [] };
}

/** What the log says the rows of these accounts are. */
export async function folded(machine: Machine, projection: Projection, accounts: string[]): Promise<Row[]> {
  const all = await Promise.all(accounts.map((account) => foldAsOf(machine, projection, account)));
  return all.flatMap(({ rows }) => rows).sort(byKey);
}
