/** The usage of commands, of their projections and relay, and of whole runs. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { awsList } from '../../infra/aws/prices.ts';
import { relayAgain } from '../../infra/aws/relay-notifications.ts';
import { maintain } from '../../processors/maintain.ts';
import { maintainProjections } from '../../projections/engine/maintain.ts';
import { projections } from '../../projections/index.ts';
import type { Applied, Stage, Worked } from './stage.ts';
import { plus, type Usage } from './usage.ts';

/** `append` counts the table `activity`, `rest` everything else of the request. */
export type Command = { name: string; events: number; append: number; rest: Usage; projections: Usage; relay: Usage };

export type Run = { files: number; first: Worked; unchanged: Worked };

export type Measured = { commands: Command[]; applied: Applied[]; runs: Run[]; minute: Usage };

const person = { email: 'ada@example.com', password: 'correct horse battery', name: 'Ada Lovelace' };

/** `sizes` are the numbers of files. Each has its own source and job. */
export async function measure(
  stage: Stage,
  folder: string,
  sizes: number[],
  say: (line: string) => void,
): Promise<Measured> {
  const commands: Command[] = [];
  const applied: Applied[] = [];

  async function command<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { result, usage } = await stage.counter.during(work);
    const followed = await stage.follow();
    applied.push(...followed.applied);
    const append = usage.get('WRU activity') ?? 0;
    const rest = new Map([...usage].filter(([kind]) => kind !== 'WRU activity'));
    commands.push({
      name,
      events: followed.commits,
      append,
      rest,
      projections: followed.projections,
      relay: followed.relay,
    });
    return result;
  }

  const unrecorded: typeof command = async (_, work) => {
    const result = await work();
    await stage.follow();
    return result;
  };

  await command('sign up', () => stage.call('POST', '/auth/register', person));
  const { accessToken } = await command('sign in', () =>
    stage.call('POST', '/auth/login', { email: person.email, password: person.password }),
  );
  const token = String(accessToken);
  const runs: Run[] = [];
  for (const [index, files] of sizes.entries()) {
    const path = await makeFiles(join(folder, `source-${index}`), files);
    const record: typeof command = index === 0 ? command : unrecorded;
    const source = await record('connect a source', () =>
      stage.call('POST', '/sources', { type: 'folder', name: 'Holiday pictures', config: { path } }, token),
    );
    const job = await record('create a job', () =>
      stage.call('POST', '/jobs', { name: 'Every night', sourceId: source.id ?? null }, token),
    );
    const url = `/jobs/${job.id}`;
    if (index === 0) {
      await command('rename the job', () => stage.call('PUT', url, { name: 'Every other night' }, token));
      await command('read the job', () => stage.call('GET', url, undefined, token));
      await command('list jobs', () => stage.call('GET', '/jobs', undefined, token));
      await command('read the numbers of the account', () =>
        stage.call('GET', '/analytics/overview', undefined, token),
      );
    }
    await record('ask for a run', () => stage.call('POST', `${url}/run`, {}, token));
    const first = await stage.work();
    applied.push(...(index === 0 ? first.applied : []));
    const again = () => unrecorded('ask for a run', () => stage.call('POST', `${url}/run`, {}, token));
    if (index === 0) {
      // The first run with a restore point checks all packs of the account. The others of that hour do not.
      await again();
      await stage.work();
    }
    await again();
    const unchanged = await stage.work();
    runs.push({ files, first, unchanged });
    say(`${files} files: counted`);
  }
  return { commands, applied, runs, minute: await idleMinute(stage) };
}

/** Small JSON files with unique content, a thousand per folder. */
async function makeFiles(folder: string, count: number): Promise<string> {
  for (let first = 0; first < count; first += 1000) {
    const into = join(folder, `folder-${first / 1000}`);
    await mkdir(into, { recursive: true });
    for (let number = first; number < Math.min(first + 1000, count); number++) {
      const text = JSON.stringify({ number, of: folder, note: `what is said of ${number} `.repeat(40) });
      await writeFile(join(into, `note-${number}.json`), text);
    }
  }
  return folder;
}

/** The usage of the functions that run every minute. */
async function idleMinute({ platform, counter }: Stage): Promise<Usage> {
  const deployment = { platform, connectors: () => ({ allowHosts: [] }), prices: awsList };
  const rounds = [
    () => relayAgain(platform),
    () => maintain(deployment),
    () => maintainProjections(platform, projections),
  ];
  // Do not count the first times: a rebuild may be due, and the daily round over the keys takes two passes
  for (const round of [...rounds, ...rounds]) await round();
  const used: Usage[] = [];
  for (const round of rounds) used.push((await counter.during(async () => round())).usage);
  return plus(...used, new Map([['Lambda', rounds.length]]));
}
