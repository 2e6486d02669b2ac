/** Two accounts with one of everything, so that either can be tried with what is the other's. */
import assert from 'node:assert/strict';
import { type Body, type Client, listFiles, newPerson, type Person, runJob, until } from '../../acceptance/client.ts';

export type Owned = Person & {
  /** The id of one of their own, by the address below which it is looked for. */
  ids: { [collection: string]: string };
  /** The same by the prefix of the id, where ids have one. */
  byPrefix: { [prefix: string]: string };
  cursor: string;
  consistencyToken: string;
};
export type World = { url: string; ada: Owned; eve: Owned; expired: string | undefined };

async function own(url: string, connect: (api: Client) => Promise<Body>): Promise<Owned> {
  const person = await newPerson(url);
  const { api } = person;
  const source = String((await connect(api)).id);
  const made = await api.call('POST', '/jobs', { body: { name: 'Nightly', sourceId: source } });
  assert.equal(made.status, 201);
  const job = String(made.body.id);
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
  const consistencyToken = made.headers.get('consistency-token') ?? '';
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

/** An id like it that nothing has. */
export function unknownLike(id: string): string {
  return `${id.slice(0, 4)}${[...id.slice(4)].map((letter) => (letter === 'z' ? 'y' : 'z')).join('')}`;
}
