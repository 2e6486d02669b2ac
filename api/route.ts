/**
 * Declares and serves routes. A route file gives schemas and a handler that runs a command or a query. This file does
 * the rest of HTTP: idempotency keys, consistency tokens, entity tags, cursors and the check of answers.
 */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type * as z from 'zod';
import type { CommandContext, Written } from '../commands/context.ts';
import type { ConnectorContext } from '../connectors/connector.ts';
import { type ErrorCode, Problem } from '../domain/errors.ts';
import type { Page, Platform } from '../domain/ports.ts';
import { type Intent, intentOf, type RequestCause, requestCause } from './command-context.ts';
import { consistencyHeader, consistencyToken } from './consistency.ts';
import { etagOf, matchedVersions, noneMatch } from './etag.ts';
import type { StoredAnswer } from './idempotency.ts';
import { decryptCursor, encryptCursor, listOf, listQuery, pageThatFits } from './lists.ts';
import { problemDocument, problemHeaders } from './problem.ts';
import type { Principal } from './sessions.ts';

/**
 * For deployments that limit the size of answers: a download of more than `over` bytes redirects to a link to a blob.
 */
export type ExportLinks = { over: number; link(key: string, as: { fileName: string; type: string }): Promise<string> };

/** The deployment, as handlers see it. */
export type ApiContext = {
  platform: Platform;
  deployment: 'self-hosted' | 'aws';
  connectorContext(account: string): ConnectorContext;
  /** Returns the API's public URL for URLs in answers: `https://host`, without a final slash. */
  origin(headers: FastifyRequest['headers']): string;
  /** Returns the live socket's public URL: `wss://host/…`, without query. */
  live(headers: FastifyRequest['headers']): string;
  version: string;
  /** Multiplies all rate limits, 0 turns them off. */
  rateScale: number;
  exports: ExportLinks | undefined;
};

type AnswerExtras = {
  /** The stream versions that the command wrote. They become the `Consistency-Token`. */
  written?: Written | readonly Written[];
  /** The version of the resource's stream. It becomes part of the `ETag`, and `If-Match` compares it. */
  version?: number;
  headers?: { [name: string]: string | undefined };
};
/** A stream or bytes are sent unchanged, with the headers that the route sets. */
export type Answer<Status extends number = number, Body = unknown> = AnswerExtras & {
  status: Status;
  body: Body | Readable | Uint8Array;
};
type AnswerOf<Answers> = {
  [S in keyof Answers & number]: Answer<S, Answers[S] extends z.ZodType ? z.output<Answers[S]> : never>;
}[keyof Answers & number];

type Incoming<Params, Query, Body, Public> = {
  context: ApiContext;
  platform: Platform;
  principal: Public extends true ? undefined : Principal;
  params: Params;
  query: Query;
  body: Body;
  /** The context for commands. On a public route, the handler adds account and actor. */
  command: Public extends true ? RequestCause : CommandContext;
  /** The versions that `If-Match` allows. Pass them to the command as `ifVersion`. Undefined: any version. */
  ifMatch: readonly number[] | undefined;
  headers: FastifyRequest['headers'];
  isHead: boolean;
  /** The caller's IP address. */
  address: string;
};

/**
 * An operation that can follow an answer. A bare address, for example `GET /sources/{id}`, takes the answer's `id`,
 * or that of a list's first item. Otherwise `parameters` and `body` are OpenAPI runtime expressions.
 */
export type FollowUp =
  | `${RouteDefinition['method']} /${string}`
  | {
      to: `${RouteDefinition['method']} /${string}`;
      parameters?: { [name: string]: `$${string}` };
      body?: { [field: string]: `$${string}` };
    };

type Described = {
  /** In the notation of OpenAPI: `/runs/{id}`. */
  url: `/${string}`;
  summary: string;
  description?: string;
  tags: [string, ...string[]];
  /** The read models of the route. A request with a `Consistency-Token` waits for them. */
  reads?: readonly string[];
  /** By status: operations that use a value of the answer. They become OpenAPI links. */
  leadsTo?: { [status: number]: readonly FollowUp[] };
  /** The problems to document besides those of every route. */
  problems?: readonly ErrorCode[];
};

type None = z.ZodUndefined;
type Spec<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType, Answers, Public> = Described & {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Needs no credential. Such a route gets no `principal`. */
  public?: Public;
  /** Its answers hold tokens, keys or signed URLs. They are never stored, and a repeat runs the handler again. */
  credentials?: boolean;
  params?: Params;
  query?: Query;
  body?: Body;
  /** The schema of each status. `z.undefined()` stands for no body. */
  answers: Answers;
  handler(incoming: Incoming<z.output<Params>, z.output<Query>, z.output<Body>, Public>): Promise<AnswerOf<Answers>>;
};

/** A route without the types of its schemas, which `route` has checked. */
export type RouteDefinition = Described & {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  public?: boolean;
  credentials?: boolean;
  list?: boolean;
  params?: z.ZodType;
  query?: z.ZodType;
  body?: z.ZodType;
  answers: { [status: number]: z.ZodType };
  handler(incoming: Incoming<unknown, unknown, unknown, boolean>): Promise<Answer>;
};
/** The export of a file in `routes/`. */
export type RouteModule = readonly RouteDefinition[];

/** Method and URL: `GET /runs/{id}`. */
export type Address = `${RouteDefinition['method']} /${string}`;
/** A file in `routes/` that is not loaded yet, with the addresses it defines. */
export type RouteFile = { addresses: readonly Address[]; load(): Promise<RouteModule> };

/** Loads the files and returns their routes in order. */
export async function readRoutes(files: readonly RouteFile[]): Promise<RouteDefinition[]> {
  return (await Promise.all(files.map(({ load }) => load()))).flat();
}

export function addressOf({ method, url }: RouteDefinition): Address {
  return `${method} ${url}`;
}

/** Defines a route. The types of params, query, body and answers follow from its schemas. */
export function route<
  Answers extends { [status: number]: z.ZodType },
  Params extends z.ZodType = None,
  Query extends z.ZodType = None,
  Body extends z.ZodType = None,
  Public extends boolean = false,
>(spec: Spec<Params, Query, Body, Answers, Public>): RouteDefinition {
  return spec as unknown as RouteDefinition;
}

/**
 * Defines a list: a GET, or a POST if the filters are in a body. The handler gets the limit and the decrypted
 * position, and returns a page with the next position. This function handles `limit` and `cursor`, and ends a page
 * early that is too large for an answer of Lambda. So it may call the handler again with a smaller limit.
 */
export function listRoute<
  Item extends z.ZodType,
  Filters extends z.ZodRawShape = Record<never, never>,
  Params extends z.ZodType = None,
  Body extends z.ZodType = None,
>(
  spec: Described & {
    item: Item;
    params?: Params;
    filters?: Filters;
    body?: Body;
    handler(
      incoming: Incoming<z.output<Params>, z.output<z.ZodObject<Filters>>, z.output<Body>, false> & {
        page: { limit: number; cursor?: string };
      },
    ): Promise<Page<z.output<Item>>>;
  },
): RouteDefinition {
  const { item, filters, handler, ...described } = spec;
  const method = spec.body ? 'POST' : 'GET';
  return {
    ...described,
    method,
    list: true,
    query: listQuery(filters ?? {}),
    answers: { 200: listOf(item) },
    problems: [...(spec.problems ?? []), 'invalid-cursor'],
    async handler(incoming) {
      const { limit, cursor, ...chosen } = incoming.query as { limit: number; cursor?: string };
      const { platform } = incoming;
      const account = (incoming.principal as Principal).account;
      const filters = { ...chosen, ...(incoming.params as object), ...(incoming.body as object) };
      const scope = { account, route: `${method} ${spec.url}`, filters };
      const position = cursor === undefined ? {} : { cursor: await decryptCursor(platform, scope, cursor) };
      const read = (limit: number) => {
        const listing = { ...incoming, query: chosen, page: { limit, ...position } };
        return handler(listing as unknown as Parameters<typeof handler>[0]);
      };
      const { items, next } = await pageThatFits(read, limit).catch(async (error: unknown) => {
        // A problem may tell where the list goes on behind it.
        if (!(error instanceof Problem) || typeof error.extra.next !== 'string') throw error;
        const cursor = await encryptCursor(platform, scope, error.extra.next);
        throw new Problem(error.code, error.message, { extra: { ...error.extra, next: cursor } });
      });
      return ok({ items, next: next === null ? null : await encryptCursor(platform, scope, next) });
    },
  };
}

/** Converts `/runs/{id}` to Fastify's notation. */
export function fastifyPath(url: string): string {
  return url.replaceAll(/\{(\w+)\}/g, ':$1');
}

export function ok<Body>(body: Body, extras: AnswerExtras = {}) {
  return { status: 200 as const, body, ...extras };
}

export function created<Body>(location: string, body: Body, extras: AnswerExtras = {}) {
  return { status: 201 as const, body, ...extras, headers: { location, ...extras.headers } };
}

export function accepted<Body>(body: Body, extras: AnswerExtras & { location?: string } = {}) {
  const { location, ...rest } = extras;
  return { status: 202 as const, body, ...rest, headers: { location, ...extras.headers } };
}

export function noContent(extras: AnswerExtras = {}) {
  return { status: 204 as const, body: undefined, ...extras };
}

/**
 * Answers a validated request. A POST with an `Idempotency-Key` runs its handler once, repeats get the stored answer.
 */
export async function serve(
  context: ApiContext,
  definition: RouteDefinition,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { platform } = context;
  const intent = intentOf(request);
  const { key } = intent;
  if (key === undefined) return send(await run(context, definition, request, intent), request, reply);
  // Loaded with the first such request, because Powertools is large.
  const { answerOnce, requireSameInput } = await import('./idempotency.ts');
  if (definition.credentials) {
    // On public routes, callers are unknown and may use the same key by chance.
    if (!definition.public) await requireSameInput(platform, { ...intent, key });
    return send(await run(context, definition, request, intent), request, reply);
  }
  let ran = false;
  const answer = await answerOnce(platform, { ...intent, key }, async () => {
    ran = true;
    return run(context, definition, request, intent).then(storable, (error) => storableProblem(definition, error));
  });
  if (!ran) reply.header('idempotent-replayed', 'true');
  return send(answer, request, reply);
}

type ReadyAnswer = Omit<StoredAnswer, 'body'> & { body: string | null | Readable | Uint8Array };

async function run(
  context: ApiContext,
  definition: RouteDefinition,
  request: FastifyRequest,
  intent: Intent,
): Promise<ReadyAnswer> {
  const { platform } = context;
  const { principal } = request;
  const cause = await requestCause(platform, request, intent);
  const command = principal
    ? { ...cause, account: principal.account, actor: { type: 'user' as const, id: principal.user } }
    : cause;
  const answer = await definition.handler({
    context,
    platform,
    principal,
    command,
    params: request.params,
    query: request.query,
    body: request.body,
    headers: request.headers,
    isHead: request.method === 'HEAD',
    address: request.ip,
    ifMatch: matchedVersions(request.headers['if-match']),
  });
  return ready(platform, definition, answer);
}

/** Checks the answer against its schema and returns it as JSON text with its headers. */
async function ready(platform: Platform, definition: RouteDefinition, answer: Answer): Promise<ReadyAnswer> {
  const { status, body, written, version } = answer;
  const headers: StoredAnswer['headers'] = {};
  for (const [name, value] of Object.entries(answer.headers ?? {})) if (value !== undefined) headers[name] = value;
  if (written) headers[consistencyHeader] = await consistencyToken(platform, written);
  if (body instanceof Readable || body instanceof Uint8Array) return { status, headers, body };
  const schema = definition.answers[status];
  if (!schema) throw new TypeError(`${definition.method} ${definition.url} declares no answer ${status}`);
  const encoded = schema.encode(body);
  if (encoded === undefined) return { status, headers, body: null };
  const text = JSON.stringify(encoded);
  headers['content-type'] = 'application/json; charset=utf-8';
  const isResource = definition.method === 'GET' && !definition.list && !definition.public;
  if (isResource || version !== undefined) headers.etag = etagOf(text, version);
  return { status, headers, body: text };
}

function storable(answer: ReadyAnswer): StoredAnswer {
  const { body } = answer;
  if (body !== null && typeof body !== 'string') throw new TypeError('the answer to a POST cannot be a stream');
  return { ...answer, body };
}

/** Problems that a retry of the same request may not have. They are not stored. */
const transient: readonly ErrorCode[] = [
  'conflict',
  'idempotency-in-progress',
  'rate-limited',
  'unauthenticated',
  'invalid-token',
  'invalid-credentials',
];

/**
 * Converts a Problem to an answer that repeats get too. Rethrows transient problems, and the 404 of a route that
 * reads a read model: the model may only be behind.
 */
function storableProblem({ reads }: RouteDefinition, error: unknown): StoredAnswer {
  if (!(error instanceof Problem) || error.status >= 500 || transient.includes(error.code)) throw error;
  if (reads && error.code === 'not-found') throw error;
  return { status: error.status, headers: problemHeaders(error), body: JSON.stringify(problemDocument(error)) };
}

async function send(answer: ReadyAnswer, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { etag } = answer.headers;
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (isRead && answer.status === 200 && etag !== undefined && !noneMatch(request.headers['if-none-match'], etag)) {
    return reply.code(304).header('etag', etag).send();
  }
  const body = answer.body instanceof Readable && request.method === 'HEAD' ? discard(answer.body) : answer.body;
  if (body instanceof Readable) {
    // An error before Fastify listens must not end the process.
    body.on('error', () => {});
    // An error before the first byte still becomes a problem. Later it can only break the connection.
    await once(body, 'readable');
  }
  reply.code(answer.status).headers(answer.headers);
  return body === null ? reply.send() : reply.send(body);
}

/** Replaces the stream of a HEAD request by an empty one, because Fastify would read it to its end. */
function discard(body: Readable): Readable {
  body.destroy();
  return Readable.from([]);
}
