/** Calls the API as an outside program does: through HTTP only. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

export type Body = { [field: string]: unknown };
export type Answer = { status: number; headers: Headers; body: Body };

export type Client = {
  call(
    method: string,
    path: string,
    options?: { body?: unknown; headers?: { [name: string]: string } },
  ): Promise<Answer>;
  /** The body of the answer. Throws if it has another status. */
  expect(
    status: number,
    method: string,
    path: string,
    options?: { body?: unknown; headers?: { [name: string]: string } },
  ): Promise<Body>;
  /** Every item of a list, page by page. */
  all(path: string, limit?: number): Promise<Body[]>;
};

export function client(url: string, token?: string): Client {
  const self: Client = {
    async call(method, path, { body, headers = {} } = {}) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        redirect: 'manual',
      });
      const text = await response.text();
      const json = /json/.test(response.headers.get('content-type') ?? '');
      return { status: response.status, headers: response.headers, body: json && text !== '' ? JSON.parse(text) : {} };
    },
    async expect(status, method, path, options) {
      const answer = await self.call(method, path, options);
      assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
    async all(path, limit = 200) {
      const items: Body[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const more = `${path.includes('?') ? '&' : '?'}limit=${limit}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`;
        const page = await self.expect(200, 'GET', path + more);
        items.push(...(page.items as Body[]));
        cursor = page.next as string | null;
      }
      return items;
    },
  };
  return self;
}

/** Repeats `probe` until it returns a value. Throws after `seconds`. */
export async function until<T>(what: string, probe: () => Promise<T | undefined>, seconds = 90): Promise<T> {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; await pause(50)) {
    const found = await probe();
    if (found !== undefined) return found;
  }
  throw new Error(`Waited ${seconds} s for: ${what}`);
}

/** Reads with the consistency token of a write. Repeats while the API answers that the read model is behind. */
export async function seen(api: Client, written: Answer, status: number, path: string): Promise<Body> {
  const headers = { 'consistency-token': written.headers.get('consistency-token') ?? '' };
  return until(`${path} shows what was written`, async () => {
    const answer = await api.call('GET', path, { headers });
    if (answer.status === 503 && answer.headers.has('retry-after')) return undefined;
    assert.equal(answer.status, status, `GET ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  });
}

export type Person = {
  email: string;
  password: string;
  token: string;
  refreshToken: string;
  account: string;
  api: Client;
};

/** Registers a new user and signs in. */
export async function newPerson(url: string): Promise<Person> {
  const email = `${randomUUID()}@example.com`;
  const password = `correct horse ${randomUUID()}`;
  const nobody = client(url);
  const { account } = (await nobody.expect(201, 'POST', '/auth/register', {
    body: { email, password, name: 'Ada' },
  })) as {
    account: { id: string };
  };
  const tokens = await nobody.expect(200, 'POST', '/auth/login', { body: { email, password } });
  const token = tokens.accessToken as string;
  return {
    email,
    password,
    token,
    refreshToken: tokens.refreshToken as string,
    account: account.id,
    api: client(url, token),
  };
}

export type Run = Body & {
  id: string;
  status: string;
  progress: { [count: string]: number | null };
  errors: { path: string; code: string; message: string }[];
  cost: { requests: number; usd: number };
};

const ended = ['succeeded', 'partial', 'failed', 'cancelled'];

/** Runs a job to its end. Returns each observed progress too. */
export async function runJob(api: Client, jobId: string): Promise<Run & { seen: Run[] }> {
  const requested = await api.expect(202, 'POST', `/jobs/${jobId}/run`);
  const seen: Run[] = [];
  const run = await until(`run ${requested.id} ends`, async () => {
    const answer = await api.call('GET', `/runs/${requested.id}`);
    if (answer.status === 404) return undefined;
    assert.equal(answer.status, 200);
    seen.push(answer.body as Run);
    return ended.includes(answer.body.status as string) ? (answer.body as Run) : undefined;
  });
  return { ...run, seen };
}

export type File = Body & {
  id: string;
  path: string;
  kind: string;
  size: number;
  sha256: string | null;
  versions: number;
};

export async function listFiles(api: Client, query: string): Promise<File[]> {
  return (await api.all(`/data/files?${query}`)) as File[];
}

/** The download address of a file. On AWS a large file is prepared first. */
export async function addressOf(api: Client, fileId: string): Promise<string> {
  const { status, body } = await api.call('POST', '/data/download', { body: { fileId } });
  if (status === 200) return String(body.url);
  if (status !== 202) throw new Error(`the download of a file answered ${status}: ${JSON.stringify(body)}`);
  const { url } = await until('the file is prepared', async () => {
    const look = await api.expect(200, 'GET', `/data/downloads/${body.id}`);
    if (look.error) throw new Error(`the file was not prepared: ${JSON.stringify(look.error)}`);
    return look.status === 'ready' ? look : undefined;
  });
  return String(url);
}

/** The bytes of a download address. The address is the only credential. */
export async function download(
  api: Client,
  fileId: string,
  headers: { [name: string]: string } = {},
): Promise<{ response: Response; bytes: Buffer }> {
  const response = await fetch(await addressOf(api, fileId), { headers });
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
}
