/** The API as this program calls it: typed by its OpenAPI document, signed in, patient where the server asks for patience. */
import { setTimeout as pause } from 'node:timers/promises';
import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from './api-types.ts';
import { fromServer, type ProblemDocument, type Refusal, refusal } from './refusal.ts';
import { forgetSession, keepSession, readSession, refreshSession, type Session } from './session.ts';

export type Schemas = components['schemas'];

export type Api = Client<paths> & {
  url: string;
  /** The session that this program holds there. Throws a refusal that says to sign in. */
  session(): Promise<Session>;
};

const tries = 4;
const longestWait = 10_000;
/** Ours and the server's clock may differ, and a request takes a while. */
const margin = 30_000;
/** Milliseconds: shorter than the lock on the session file is respected. */
const longestRefresh = 10_000;

/** Calls with the credentials of the session at `url`, refreshed when needed. What was written is seen by what is read after it. */
export function openApi(url: string): Api {
  let held: Session | undefined;
  let written: string | null = null;

  const session = async () => {
    held ??= await readSession(url);
    if (!held) throw signedOut(url);
    if (held.accessExpiresAt - margin < Date.now()) held = await refreshed(url, held);
    return held;
  };

  const send = async (request: Request): Promise<Response> => {
    if (written !== null && request.method === 'GET') request.headers.set('consistency-token', written);
    // a retry after a lost answer must not do it twice
    if (request.method === 'POST' && !request.headers.has('idempotency-key'))
      request.headers.set('idempotency-key', crypto.randomUUID());
    const used = await session();
    let response = await patiently(url, withToken(request, used.accessToken));
    if (response.status === 401) {
      // of several at once the first exchanges it, and the others take what it got
      held = await refreshed(url, used);
      response = await patiently(url, withToken(request, held.accessToken));
    }
    written = response.headers.get('consistency-token') ?? written;
    return response;
  };
  return Object.assign(createClient<paths>({ baseUrl: url, fetch: send }), { url, session });
}

/** The data of an answer, or its problem as a refusal. */
export async function answered<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  throw problemOf(error, response);
}

/** Every item of a list, page after page, at most `limit` of them. `page` is given the query of its page. */
export async function* itemsOf<T>(
  page: (query: {
    limit: number;
    cursor?: string;
  }) => Promise<{ data?: { items: T[]; next: string | null }; error?: unknown; response: Response }>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<T> {
  let left = limit;
  let cursor: string | null | undefined;
  while (left > 0 && cursor !== null) {
    const { items, next }: { items: T[]; next: string | null } = await answered(
      page({ limit: Math.min(200, left), ...(cursor === undefined ? {} : { cursor }) }),
    );
    yield* items;
    left -= items.length;
    cursor = next;
  }
}

/** The first `limit` of them; `more` is called when there are others. */
export async function* atMost<T>(
  limit: number,
  items: (limit: number) => AsyncIterable<T>,
  more: () => void,
): AsyncGenerator<T> {
  let count = 0;
  for await (const item of items(limit + 1)) {
    count += 1;
    if (count > limit) return more();
    yield item;
  }
}

/** All of them at once, for lists that are short by their nature. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** A client for the routes that are open to all. */
export function openPublicApi(url: string): Client<paths> {
  return createClient<paths>({ baseUrl: url, fetch: (request) => patiently(url, request) });
}

export async function signIn(url: string, email: string, password: string): Promise<void> {
  const tokens = await answered(openPublicApi(url).POST('/auth/login', { body: { email, password } }));
  if (!('accessToken' in tokens)) {
    throw refusal(
      'second-factor',
      'A second factor is asked for',
      'This version of the program cannot give one. Use an account without it.',
    );
  }
  await keepSession(url, sessionOf(email, tokens));
}

/** Ends the session here and there. False when nobody was signed in. */
export async function signOut(url: string): Promise<boolean> {
  const session = await readSession(url);
  if (!session) return false;
  const { response, error } = await openPublicApi(url).POST('/auth/logout', {
    body: { refreshToken: session.refreshToken },
  });
  // a token the server no longer knows has nothing left to end
  if (!response.ok && response.status !== 401) throw problemOf(error, response);
  await forgetSession(url);
  return true;
}

async function refreshed(url: string, stale: Session): Promise<Session> {
  const fresh = await refreshSession(url, stale, async (refreshToken) => {
    const { data, error, response } = await openPublicApi(url).POST('/auth/refresh', {
      body: { refreshToken },
      signal: AbortSignal.timeout(longestRefresh),
    });
    if (response.status === 401) return undefined;
    if (!data) throw problemOf(error, response);
    return sessionOf(stale.email, data);
  });
  if (!fresh) throw signedOut(url);
  return fresh;
}

function sessionOf(email: string, tokens: Schemas['Tokens']): Session {
  const { accessToken, refreshToken, expiresIn } = tokens;
  return { email, accessToken, refreshToken, accessExpiresAt: Date.now() + expiresIn * 1000 };
}

function signedOut(url: string): Refusal {
  return refusal('not-signed-in', 'Sign in first', `You are not signed in at ${url}. Sign in: \`listbackup login\`.`);
}

function withToken(request: Request, accessToken: string): Request {
  const copy = request.clone();
  copy.headers.set('authorization', `Bearer ${accessToken}`);
  return copy;
}

/** Sends it, and again when the server asks for that (429, 503 with `Retry-After`), a few times. */
async function patiently(url: string, request: Request): Promise<Response> {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(request.clone()).catch((error) => {
      throw unreachable(url, error);
    });
    const wait = Number(response.headers.get('retry-after') ?? Number.NaN) * 1000;
    const json = /[/+]json/.test(response.headers.get('content-type') ?? '');
    if (response.ok && response.status !== 204 && !json) throw notListBackup(response);
    if (![429, 503].includes(response.status) || !(wait <= longestWait) || attempt === tries) return response;
    await response.body?.cancel();
    await pause(wait);
  }
}

export function unreachable(url: string, error: unknown): Refusal {
  const cause = (error as { cause?: { code?: string } }).cause?.code;
  const start = 'Start it with `npm start`, or name another server with --url or LISTBACKUP_URL.';
  return refusal('unreachable', 'No answer', `Nothing answers at ${url}${cause ? ` (${cause})` : ''}. ${start}`);
}

export function problemOf(error: unknown, response: Response): Refusal {
  const { detail, code, title } = (error ?? {}) as Partial<ProblemDocument>;
  if (typeof detail === 'string' && typeof code === 'string' && typeof title === 'string')
    return fromServer(error as ProblemDocument);
  return notListBackup(response);
}

function notListBackup(response: Response): Refusal {
  const where = `${new URL(response.url).origin} answered ${response.status}`;
  return refusal(
    'not-listbackup',
    'Not an answer of ListBackup',
    `${where}, not as ListBackup would. Check --url or LISTBACKUP_URL.`,
  );
}
