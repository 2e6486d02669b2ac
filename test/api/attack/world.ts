/** Two accounts that each own one of every resource, so that tests can try the ids of the other account. */
import assert from 'node:assert/strict';
import { type Body, type Client, listFiles, newPerson, type Person, runJob, until } from '../../acceptance/client.ts';

export type Owned = Person & {
  /** The id of a resource of the account, by the URL of its collection. */
  ids: { [collection: string]: string };
  /** The same ids by their prefix, if they have one. */
  byPrefix: { [prefix: string]: string };
  cursor: string;
  consistencyToken: string;
};
export type World = { url: string; ada: Owned; eve: Owned; expired: string | undefined };

async function own(url: string, connect: (api: Client) => Promise<Body>): Promise<Owned> {
  const person = await newPerson(url);
  const { api } = person;
  const source = String((await connect(api)).id);
  const created = await api.call('POST', '/jobs', { body: { name: 'Nightly', sourceId: source } });
  assert.equal(created.status, 201);
  const job = String(created.body.id);
  const run = (await runJob(api, job)).id;
  const file = (await listFiles(api, `sourceId=${source}`)).find(({ kind }) => kind === 'file')?.id ?? '';
  const address = String((await api.expect(200, 'POST', '/data/download', { body: { fileId: file } })).url);
  const zip = await api.expect(202, 'POST', '/data/download', { body: { sourceId: source, paths: [''] } });
  const { next } = await until('the log has a second page', async () => {
    const page = await api.expect(200, 'GET', '/activity?limit=1');
    return page.next === null ? undefined : page;
  });
  const ids = {
    sources: source,
    jobs: job,
    runs: run,
    'data/files': file,
    'data/downloads': String(zip.id),
    downloads: address.split('/downloads/')[1] ?? '',
  };
  const byPrefix = Object.fromEntries([source, job, run, String(zip.id)].map((id) => [id.slice(0, 3), id]));
  const consistencyToken = created.headers.get('consistency-token') ?? '';
  return { ...person, ids, byPrefix, cursor: String(next), consistencyToken };
}

export async function makeWorld(
  url: string,
  connect: (api: Client) => Promise<Body>,
  expired?: string,
): Promise<World> {
  const [ada, eve] = [await own(url, connect), await own(url, connect)];
  return { url, ada, eve, expired };
}

/** Returns an id of the same form that does not exist. */
export function unknownLike(id: string): string {
  return `${id.slice(0, 4)}${[...id.slice(4)].map((letter) => (letter === 'z' ? 'y' : 'z')).join('')}`;
}
