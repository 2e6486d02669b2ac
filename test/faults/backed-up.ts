/** A data folder that holds every kind of stored data, and the API's answers over it. */
import { execFileSync } from 'node:child_process';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../../activity/commit.ts';
import { type RunningServer, startServer } from '../../infra/embedded/server.ts';
import { readSettings } from '../../infra/embedded/settings.ts';
import { type Body, type Client, client, until } from '../acceptance/client.ts';
import { silent } from '../support/embedded.ts';
import { changeCorpus, makeCorpus } from './corpus.ts';
import { allEnded, type Owner, settle } from './killable-server.ts';
import { smallLimits } from './small-limits.ts';

export type BackedUp = { data: string; source: string; owner: Owner; zip: string };

export function openServer(data: string, env: { [name: string]: string } = {}): Promise<RunningServer> {
  return startServer(
    readSettings([], { PORT: '0', LISTBACKUP_DATA: data, LISTBACKUP_RATE_LIMIT: '0', ...env }),
    silent,
    { limits: smallLimits },
  );
}

/**
 * Two backups with changes between them, a failed run, a zip and credentials. One commit and one list of skipped files
 * are so large that they rest in blobs.
 */
export async function makeBackedUp(root: string, env: { [name: string]: string } = {}): Promise<BackedUp> {
  const [data, source, gone] = [join(root, 'data'), join(root, 'source'), join(root, 'gone')];
  await makeCorpus(source);
  await mkdir(gone);
  // The commit that ends the run names the first hundred of these, and so moves to a blob. Pages in blobs hold all.
  const deep = join(source, 'x'.repeat(200), 'y'.repeat(200), 'z'.repeat(200));
  await mkdir(deep, { recursive: true });
  execFileSync(
    'mkfifo',
    Array.from({ length: 120 }, (_, i) => join(deep, `${String(i).padStart(3, '0')} pipe`)),
  );
  const deployment = await openServer(data, env);
  const owner = await settle((token) => client(deployment.url, token), source);
  const api = client(deployment.url, owner.token);
  const run = async (jobId: string, count: number) => {
    const { id } = await api.expect(202, 'POST', `/jobs/${jobId}/run`);
    await allEnded(api, count);
    return String(id);
  };
  await run(owner.jobId, 1);
  await changeCorpus(source);
  await run(owner.jobId, 2);
  const other = await api.expect(201, 'POST', '/sources', {
    body: { type: 'folder', name: 'Gone', config: { path: gone } },
  });
  const failing = await api.expect(201, 'POST', '/jobs', { body: { name: 'Fails', sourceId: other.id } });
  await rename(gone, `${gone} elsewhere`);
  await run(String(failing.id), 3);
  const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
  await api.expect(201, 'POST', '/sources', {
    body: { type: 's3', name: 'Bucket', config: { bucket: 'some-bucket' }, credentials },
  });
  const { id: zip } = await api.expect(202, 'POST', '/data/download', {
    body: { sourceId: owner.sourceId, paths: ['photos', 'a'] },
  });
  await until('the zip', async () =>
    (await api.call('GET', `/data/downloads/${zip}`)).body.status === 'ready' ? true : undefined,
  );
  await deployment.close();
  return { data, source, owner, zip: String(zip) };
}

/** Each request of a user with its answer: the content as text or hash, or `refused`. */
export type Answers = Map<string, string>;

export async function answersOf(
  deployment: RunningServer,
  { owner, zip }: BackedUp,
  activityUpTo: number,
): Promise<Answers> {
  const api = client(deployment.url, owner.token);
  const answers: Answers = new Map();
  const ask = async (name: string, get: () => Promise<string>) =>
    void answers.set(name, await get().catch(refusedOnly));
  for (const path of ['/sources', '/jobs', '/runs', '/data/files?recursive=true', '/data/files?recursive=true&asOf=']) {
    await ask(path, async () => JSON.stringify(await listed(api, path)));
  }
  await ask('/activity', async () =>
    JSON.stringify((await listed(api, '/activity')).filter(({ seq }) => Number(seq) <= activityUpTo)),
  );
  const runs = await listed(api, '/runs').catch(() => []);
  for (const { id } of runs)
    await ask(`/runs/${id}/errors`, async () => JSON.stringify(await listed(api, `/runs/${id}/errors`)));
  const files = await listed(api, '/data/files?recursive=true').catch(() => []);
  for (const { id, kind, path } of files) {
    await ask(`versions of ${path}`, async () => JSON.stringify(await listed(api, `/data/files/${id}/versions`)));
    if (kind === 'file')
      await ask(`content of ${path}`, async () =>
        download(await accepted(api.call('POST', '/data/download', { body: { fileId: id } }))),
      );
  }
  await ask('zip', async () => download(await accepted(api.call('GET', `/data/downloads/${zip}`))));
  return answers;
}

class Refused extends Error {}

function refusedOnly(error: unknown): string {
  if (error instanceof Refused) return 'refused';
  throw error;
}

async function accepted(call: ReturnType<Client['call']>): Promise<Body> {
  const { status, headers, body } = await call;
  if (status < 400) return body;
  if (headers.get('content-type')?.startsWith('application/problem+json')) throw new Refused();
  throw new Error(`The answer ${status} has no problem document.`);
}

async function listed(api: Client, path: string): Promise<Body[]> {
  const items: Body[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const more: string = `${path.includes('?') ? '&' : '?'}limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`;
    const page: Body = await accepted(api.call('GET', path + more));
    items.push(...(page.items as Body[]));
    cursor = page.next as string | null;
  }
  return items;
}

/** The hash of the whole content. A download that breaks off counts as refused. */
async function download({ url, status }: Body): Promise<string> {
  if (typeof url !== 'string') throw new Error(`There is no download address. The status is ${status}.`);
  const response = await fetch(url);
  if (!response.ok) throw new Refused();
  try {
    return sha256(new Uint8Array(await response.arrayBuffer()));
  } catch {
    throw new Refused();
  }
}
