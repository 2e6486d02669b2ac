/** Client of the API: typed by its OpenAPI document, signed in, with retries when the server asks for them. */
import { setTimeout as pause } from 'node:timers/promises';
import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from './api-types.ts';
import { fromServer, type ProblemDocument, type Refusal, refusal } from './refusal.ts';
import { forgetSession, keepSession, readSession, refreshSession, type Session } from './session.ts';

export type Schemas = components['schemas'];

export type Api = Client<paths> & {
  url: string;
  /** Returns the current session at this server. Throws a refusal that says to sign in. */
  session(): Promise<Session>;
};

const maxAttempts = 4;
const longestWaitMs = 10_000;
/** A token is refreshed this long before it expires, because clocks differ and requests take time. */
const refreshMarginMs = 30_000;
/** Shorter than the time after which the lock on the session file counts as stale. */
const longestRefreshMs = 10_000;

/**
 * Opens a client that uses the session at `url` and refreshes it when needed. A read sees every earlier write of this
 * client.
 */
export function openApi(url: string): Api {
  let current: Session | undefined;
  let consistencyToken: string | null = null;

  const session = async () => {
    current ??= await readSession(url);
    if (!current) throw signedOut(url);
    if (current.accessExpiresAt - refreshMarginMs < Date.now()) current = await refreshed(url, current);
    return current;
  };

  const send = async (request: Request): Promise<Response> => {
    if (consistencyToken !== null && request.method === 'GET')
      request.headers.set('consistency-token', consistencyToken);
    // A retry after a lost answer must not execute the command twice.
    if (request.method === 'POST' && !request.headers.has('idempotency-key'))
      request.headers.set('idempotency-key', crypto.randomUUID());
    const used = await session();
    let response = await sendWithRetries(url, withToken(request, used.accessToken));
    if (response.status === 401) {
      // Of several requests at once, the first refreshes the session and the others use the result.
      current = await refreshed(url, used);
      response = await sendWithRetries(url, withToken(request, current.accessToken));
    }
    consistencyToken = response.headers.get('consistency-token') ?? consistencyToken;
    return response;
  };
  return Object.assign(createClient<paths>({ baseUrl: url, fetch: send }), { url, session });
}

/** Returns the data of a response. Throws its problem as a refusal. */
export async function answered<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  throw problemOf(error, response);
}

/** Yields every item of a list, page by page, at most `limit` items. `page` requests one page with the given query. */
export async function* itemsOf<T>(
  page: (query: {
    limit: number;
    cursor?: string;
  }) => Promise<{ data?: { items: T[]; next: string | null }; error?: unknown; response: Response }>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<T> {
  let remaining = limit;
  let cursor: string | null | undefined;
  while (remaining > 0 && cursor !== null) {
    const { items, next }: { items: T[]; next: string | null } = await answered(
      page({ limit: Math.min(200, remaining), ...(cursor === undefined ? {} : { cursor }) }),
    );
    yield* items;
    remaining -= items.length;
    cursor = next;
  }
}

/** Yields the first `limit` items. Calls `more` if the list has further items. */
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

/** Collects all items. For short lists only. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Opens a client for public routes, which need no session. */
export function openPublicApi(url: string): Client<paths> {
  return createClient<paths>({ baseUrl: url, fetch: (request) => sendWithRetries(url, request) });
}

export async function signIn(url: string, email: string, password: string): Promise<void> {
  const tokens = await answered(openPublicApi(url).POST('/auth/login', { body: { email, password } }));
  if (!('accessToken' in tokens)) {
    throw refusal(
      'second-factor',
      'The account needs a second factor',
      'This version of the CLI does not support second factors. Use an account without one.',
    );
  }
  await keepSession(url, sessionOf(email, tokens));
}

/** Ends the session on the server and forgets it on this computer. Returns false if there was no session. */
export async function signOut(url: string): Promise<boolean> {
  const session = await readSession(url);
  if (!session) return false;
  const { response, error } = await openPublicApi(url).POST('/auth/logout', {
    body: { refreshToken: session.refreshToken },
  });
  // A token that the server does not know belongs to no session.
  if (!response.ok && response.status !== 401) throw problemOf(error, response);
  await forgetSession(url);
  return true;
}

async function refreshed(url: string, stale: Session): Promise<Session> {
  const fresh = await refreshSession(url, stale, async (refreshToken) => {
    const { data, error, response } = await openPublicApi(url).POST('/auth/refresh', {
      body: { refreshToken },
      signal: AbortSignal.timeout(longestRefreshMs),
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
  return refusal(
    'not-signed-in',
    'Sign in first',
    `You are not signed in at ${url}. Run \`listbackup login\`, or choose another server with --url.`,
  );
}

function withToken(request: Request, accessToken: string): Request {
  const copy = request.clone();
  copy.headers.set('authorization', `Bearer ${accessToken}`);
  return copy;
}

/** Sends a request. Repeats it a few times if the server asks for it (429 or 503 with `Retry-After`). */
async function sendWithRetries(url: string, request: Request): Promise<Response> {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(request.clone()).catch((error) => {
      throw unreachable(url, error);
    });
    const wait = Number(response.headers.get('retry-after') ?? Number.NaN) * 1000;
    const json = /[/+]json/.test(response.headers.get('content-type') ?? '');
    if (response.ok && response.status !== 204 && !json) throw notListBackup(response);
    if (![429, 503].includes(response.status) || !(wait <= longestWaitMs) || attempt === maxAttempts) return response;
    await response.body?.cancel();
    await pause(wait);
  }
}

export function unreachable(url: string, error: unknown): Refusal {
  const cause = (error as { cause?: { code?: string } }).cause?.code;
  const next = 'Start it with `npm start`, or name another server with --url or LISTBACKUP_URL.';
  return refusal(
    'unreachable',
    'The server cannot be reached',
    `No server answers at ${url}${cause ? ` (${cause})` : ''}. ${next}`,
  );
}

export function problemOf(error: unknown, response: Response): Refusal {
  const { detail, code, title } = (error ?? {}) as Partial<ProblemDocument>;
  if (typeof detail === 'string' && typeof code === 'string' && typeof title === 'string')
    return fromServer(error as ProblemDocument, response.url);
  return notListBackup(response);
}

function notListBackup(response: Response): Refusal {
  const { origin } = new URL(response.url);
  return refusal(
    'not-listbackup',
    'The server is not ListBackup',
    `The answer of ${origin} (status ${response.status}) is not from ListBackup. Check --url or LISTBACKUP_URL.`,
  );
}
