/**
 * One seed of the soak. Users make two backups with changes between them, failing runs, a zip and everyday requests.
 * The server is killed at random meanwhile. The outcome must equal that of a story without kills.
 */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { checkEverything } from '../../doctor/check-everything.ts';
import type { Finding } from '../../doctor/finding.ts';
import { type Chaos, makeChaos } from '../../infra/embedded/chaos.ts';
import { openReadOnly } from '../../infra/embedded/read-only.ts';
import { free } from '../../processors/meter.ts';
import { type Body, client, until } from '../acceptance/client.ts';
import { silent } from '../support/embedded.ts';
import { auditLedgerIn } from '../support/ledger.ts';
import { changeCorpus, hashesOf, makeCorpus } from './corpus.ts';
import { type Owner, readModels, restored, settle, startKillableServer } from './killable-server.ts';
import { type PlannedKill, type Restarts, startRestarts } from './restarts.ts';

/** A data folder to copy for each seed: a user, a source, a job, and another job whose source is gone. */
export type Beginning = {
  root: string;
  data: string;
  source: string;
  owner: Owner;
  failing: string;
  clockStart: number;
};

export async function prepare(root: string): Promise<Beginning> {
  const [data, source, gone] = [join(root, 'data'), join(root, 'source'), join(root, 'gone')];
  await makeCorpus(source);
  await mkdir(gone);
  const server = await startKillableServer(data);
  if (!server) throw new Error('the server did not start');
  const owner = await settle((token) => client(server.url, token), source);
  const api = client(server.url, owner.token);
  const other = await api.expect(201, 'POST', '/sources', {
    body: { type: 'folder', name: 'Gone', config: { path: gone } },
  });
  const failing = await api.expect(201, 'POST', '/jobs', { body: { name: 'Fails', sourceId: other.id } });
  await server.stop();
  await rename(gone, `${gone} elsewhere`);
  // The clock of every life starts after the times written here
  return { root, data, source, owner, failing: String(failing.id), clockStart: Date.now() };
}

/** Everything that must not depend on the kills. */
export type Outcome = {
  runs: Body[];
  files: Body[];
  overview: Body;
  events: { [type: string]: number };
  content: [string, string][];
};

/** How a seed kills the server, and in which order the users act. */
export type Plan = { plannedKills: PlannedKill[]; end: 'stop' | 'kill'; order: Chaos };

/**
 * Roughly the boundaries and milliseconds of a whole story. Kills spread over them, and over the start of the server.
 */
const [scenarioBoundaries, storyMilliseconds] = [430, 1500];

export function planOf(seed: number): Plan {
  const chaos = makeChaos(seed);
  const plannedKills = Array.from({ length: 1 + chaos.below(2) }, (): PlannedKill => {
    const disturbed = chaos.chance(0.5) ? { chaos: chaos.below(1e9) } : {};
    if (chaos.chance(0.3)) return { ...disturbed, killAfter: chaos.below(storyMilliseconds) };
    // Half of the kills strike soon after the start
    return { ...disturbed, fault: `*@${1 + chaos.below(chaos.chance(0.5) ? 60 : scenarioBoundaries)}` };
  });
  return { plannedKills, end: chaos.chance(0.5) ? 'kill' : 'stop', order: chaos };
}

export const undisturbed: Plan = { plannedKills: [], end: 'stop', order: makeChaos(0) };

/**
 * Runs the story in a folder of its own. Throws if anything is lost, doubled, damaged or answered wrongly. Read models
 * may be late, but must reach those of the outcome `expected`.
 */
export async function tell(
  beginning: Beginning,
  plan: Plan,
  folder: string,
  expected?: Outcome,
): Promise<{ outcome: Outcome; restarts: number }> {
  const { owner, failing, clockStart } = beginning;
  const [data, source] = [join(folder, 'data'), join(folder, 'source')];
  await cp(beginning.data, data, { recursive: true });
  // cp of node:fs refuses names that are not UTF-8
  execFileSync('cp', ['-a', beginning.source, source]);
  const restarts = startRestarts(data, owner.token, plan.plannedKills, clockStart);
  const { steadily, post } = restarts;

  await steadily((api) =>
    api.expect(200, 'PUT', `/sources/${owner.sourceId}`, { body: { name: 'Papers', config: { path: source } } }),
  );
  const backup = async (jobId: string, status: string) => {
    const { id } = await post(`/jobs/${jobId}/run`);
    await hasEnded(restarts, String(id), status);
  };
  const first = Promise.withResolvers<void>();
  async function backups(): Promise<void> {
    await backup(owner.jobId, 'succeeded');
    first.resolve();
    await changeCorpus(source);
    await backup(owner.jobId, 'succeeded');
  }
  const errands: (() => Promise<unknown>)[] = [
    () => backup(failing, 'failed').then(() => backup(failing, 'failed')),
    () => first.promise.then(() => zip(restarts, owner.sourceId)),
    () => errand(restarts, 'One'),
    () => errand(restarts, 'Two'),
    () => look(restarts, ['/runs', '/data/files?recursive=true', '/activity', '/sources', '/jobs']),
    () => post('/auth/register', { email: 'bob@example.com', password: 'another battery staple', name: 'Bob' }),
  ];
  async function inTurn(tasks: (() => Promise<unknown>)[]): Promise<void> {
    for (const task of tasks) await task();
  }
  const shuffled = plan.order.shuffled(errands);
  await Promise.all([backups(), inTurn(shuffled.slice(0, 3)), inTurn(shuffled.slice(3))]);

  const models = await settledModels(restarts, expected);
  const content = await steadily(restored);
  await restarts.end(plan.end);
  const kept = new Map([...content].sort());
  if (!isDeepStrictEqual(kept, new Map([...(await hashesOf(source))].sort())))
    throw new Error('the restored files differ from the source');
  await requireClean(data, clockStart + 61_000 * restarts.begun());
  const outcome: Outcome = { ...models, events: await eventsIn(data), content: [...kept] };
  return { outcome, restarts: restarts.begun() };
}

type Models = Pick<Outcome, 'runs' | 'files' | 'overview'>;

/** The read models once they equal `expected`, or after a minute. */
async function settledModels({ steadily }: Restarts, expected: Models | undefined): Promise<Models> {
  for (const late = performance.now() + 60_000; ; await pause(50)) {
    const { runs, files, overview } = await steadily(readModels);
    const models: Models = { runs: sorted(runs), files: files.map(({ modifiedAt: _, ...file }) => file), overview };
    if (!expected || performance.now() > late) return models;
    if (isDeepStrictEqual(models, { runs: expected.runs, files: expected.files, overview: expected.overview }))
      return models;
  }
}

async function hasEnded(restarts: Restarts, id: string, status: string): Promise<void> {
  const run = await restarts.steadily((api) =>
    until(`run ${id} to end`, async () => {
      const { status, body } = await api.call('GET', `/runs/${id}`);
      // Read models may lag behind the answer that named the run
      if (status === 404) return undefined;
      if (status !== 200) throw new Error(`GET /runs/${id} was answered ${status}`);
      return body.finishedAt === null ? undefined : body;
    }),
  );
  if (run.status !== status)
    throw new Error(`run ${id} ended ${run.status}, not ${status}: ${JSON.stringify(run.errors)}`);
}

/** Creates a job and renames it. */
async function errand({ post, steadily }: Restarts, name: string): Promise<void> {
  const { items } = (await steadily((api) => api.expect(200, 'GET', '/sources'))) as { items: Body[] };
  const sourceId = items.find((source) => source.name === 'Papers')?.id;
  const { id } = await post('/jobs', { name, sourceId });
  await steadily(async (api) => {
    await until(`job ${id}`, async () => ((await api.call('GET', `/jobs/${id}`)).status === 200 ? true : undefined));
    await api.expect(200, 'PUT', `/jobs/${id}`, { body: { name: `${name}, renamed` } });
  });
}

async function zip({ post, steadily }: Restarts, sourceId: string): Promise<void> {
  // The files projection may lag behind the runs projection
  await steadily((api) => until('a backup', async () => (await api.all('/data/files?recursive=true'))[0]));
  const { id } = await post('/data/download', { sourceId, paths: ['photos', 'a'] });
  await steadily(async (api) => {
    const url = await until('the zip', async () => {
      const { status, url, error } = await api.expect(200, 'GET', `/data/downloads/${id}`);
      if (status === 'failed') throw new Error(`the zip failed: ${JSON.stringify(error)}`);
      return url as string | undefined;
    });
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the zip was answered ${response.status}`);
    await response.arrayBuffer();
  });
}

async function look({ steadily }: Restarts, paths: string[]): Promise<void> {
  for (const path of paths) await steadily((api) => api.all(path, 3));
}

function sorted(bodies: Body[]): Body[] {
  return bodies.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** Throws if the doctor reports a failure. The source is compared too. */
async function requireClean(data: string, at: number): Promise<void> {
  const { platform, isAwaited, findings, close } = await openReadOnly(data, silent, { now: () => at });
  const deployment = {
    platform,
    connectors: () => ({ allowHosts: [], folders: { roots: 'any' as const, never: [data] } }),
    prices: free,
  };
  const found: Finding[] = [];
  try {
    found.push(...findings());
    for await (const finding of checkEverything(platform, { readData: true, isAwaited, deployment }))
      found.push(finding);
  } finally {
    await close();
  }
  const failures = found.filter(({ severity }) => severity === 'failure');
  if (failures.length > 0) throw new Error(`the doctor found ${JSON.stringify(failures, null, 2)}`);
}

/** The first account's events by type, without those of requests that have no idempotency key: a repeat adds some. */
async function eventsIn(data: string): Promise<{ [type: string]: number }> {
  const { DownloadGranted: _, SourceChanged: __, JobRenamed: ___, ...events } = await auditLedgerIn(data);
  return events;
}

/** An empty folder of that name below the root. */
export async function folderFor({ root }: Beginning, name: string): Promise<string> {
  const folder = join(root, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return folder;
}
