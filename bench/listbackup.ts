/** ListBackup as users run it: started by `npm start` and used through its API. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, client, type Run } from '../test/acceptance/client.ts';
import { npmStart, type Started } from '../test/support/npm-start.ts';
import { type Contestant, measurePhases } from './contestant.ts';
import type { Corpus } from './corpus.ts';
import { type Usage, watchChildren } from './processes.ts';

export const listbackup: Contestant = {
  name: 'ListBackup',
  settings: '`npm start`, a `folder` source, blobs in files, all defaults',
  install: '',
  version: async () => `listbackup ${JSON.parse(await readFile('package.json', 'utf8')).version}`,
  async round(corpus, work) {
    const data = join(work, 'data');
    const product = await startProduct(corpus, { LISTBACKUP_DATA: data });
    try {
      return await measurePhases(corpus, { work, stored: join(data, 'blobs') }, () => product.run());
    } finally {
      await product.stop();
    }
  },
};

export type Server = {
  started: Started;
  /** A signed-in client. It signs in again before its access token expires after 15 minutes. */
  api(): Promise<Client>;
  stop(): Promise<void>;
};

const who = { email: 'bench@example.com', password: 'correct horse battery' };

/** Starts the product. The data folder may be new or have the data of an earlier server of the benchmark. */
export async function startServer(env: { [name: string]: string }): Promise<Server> {
  const started = await npmStart(env);
  const nobody = client(started.url);
  let signedIn = { api: nobody, at: Number.NEGATIVE_INFINITY };
  return {
    started,
    async api() {
      if (performance.now() - signedIn.at > 5 * 60_000) {
        const { accessToken } = await nobody.expect(200, 'POST', '/auth/login', { body: who });
        signedIn = { api: client(started.url, accessToken as string), at: performance.now() };
      }
      return signedIn.api;
    },
    async stop() {
      await started.stop();
    },
  };
}

export type Product = Server & {
  sourceId: string;
  /** Measures one run, from the request until the API reports its end. Throws unless it succeeded. */
  run(): Promise<Usage & { finished: Run }>;
};

/** Starts the product and creates a job on the corpus. */
export async function startProduct(corpus: Corpus, env: { [name: string]: string }): Promise<Product> {
  const server = await startServer(env);
  const { started, api } = server;
  await client(started.url).expect(201, 'POST', '/auth/register', { body: { ...who, name: 'Bench' } });
  const source = await (await api()).expect(201, 'POST', '/sources', {
    body: { type: 'folder', name: 'Corpus', config: { path: corpus.tree } },
  });
  const sourceId = source.id as string;
  const job = await (await api()).expect(201, 'POST', '/jobs', { body: { name: 'Corpus', sourceId } });
  return {
    ...server,
    sourceId,
    async run() {
      await api();
      const done = watchChildren(started.process.pid as number);
      const { id } = await (await api()).expect(202, 'POST', `/jobs/${job.id}/run`);
      const finished = await ended(api, id as string);
      const usage = done();
      if (finished.status !== 'succeeded')
        throw new Error(`the run ended ${finished.status}: ${JSON.stringify(finished.errors)}`);
      return { ...usage, finished };
    },
  };
}

/** Polls 20 times a second, as a client would. The measures include the cost and the delay of polling. */
async function ended(api: () => Promise<Client>, runId: string): Promise<Run> {
  for (;;) {
    const { status, body } = await (await api()).call('GET', `/runs/${runId}`);
    if (status === 200 && typeof body.finishedAt === 'string') return body as Run;
    if (status !== 200 && status !== 404)
      throw new Error(`GET /runs/${runId} answered ${status}: ${JSON.stringify(body)}`);
    await pause(50);
  }
}
