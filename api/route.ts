/** How a route file declares its routes: schema in, a command or query, schema out. Everything else about HTTP happens here. */
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
import { decryptCursor, encryptCursor, listOf, listQuery } from './lists.ts';
import { problemDocument, problemHeaders } from './problem.ts';
import type { Principal } from './sessions.ts';

/** For homes whose answers are bounded: a download over `over` bytes becomes an export blob, and a link to it is given. */
export type ExportLinks = { over: number; link(key: string, as: { fileName: string; type: string }): Promise<string> };

/** What every handler is given of the place it runs in. */
export type ApiContext = {
  platform: Platform;
  deployment: 'self-hosted' | 'aws';
  connectorContext(account: string): ConnectorContext;
  /** Where this API is reached, for addresses in answers: `https://host`, no slash at the end. */
  origin(headers: FastifyRequest['headers']): string;
  /** Where the live socket is reached: `wss://host/…`, no query. */
  live(headers: FastifyRequest['headers']): string;
  version: string;
  /** Multiplies how often something may be tried; 0: as often as one likes. */
  rateScale: number;
  exports: ExportLinks | undefined;
};

type AnswerExtras = {
  /** Where the command wrote: becomes the `Consistency-Token`. */
  written?: Written | readonly Written[];
  /** The version of the resource's stream: becomes part of the `ETag`, and what `If-Match` is about. */
  version?: number;
  headers?: { [name: string]: string | undefined };
};
/** A body that is a stream or bytes is sent as it is; the route gives its headers. */
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
  /** What to run a command with. On a public route, account and actor are still to be found out. */
  command: Public extends true ? RequestCause : CommandContext;
  /** The versions that `If-Match` allows, for the command to hold as `ifVersion`; undefined: any. */
  ifMatch: readonly number[] | undefined;
  headers: FastifyRequest['headers'];
  /** The IP address that the call comes from. */
  address: string;
};

/** `GET /sources/{id}`, which takes the answer's id (a list's: that of its first item), or what it takes, as runtime expressions. */
export type Lead =
  | `${RouteDefinition['method']} /${string}`
  | {
      to: `${RouteDefinition['method']} /${string}`;
      parameters?: { [name: string]: `$${string}` };
      body?: { [field: string]: `$${string}` };
    };

type Described = {
  /** As in the contract: `/runs/{id}`. */
  url: `/${string}`;
  summary: string;
  description?: string;
  tags: [string, ...string[]];
  /** The read models the route reads: a request that brings a `Consistency-Token` waits for them. */
  reads?: readonly string[];
  /** By status, where an answer leads: operations that take something of it (OpenAPI links). */
  leadsTo?: { [status: number]: readonly Lead[] };
  /** Problems of its own to document, besides those every route has. */
  problems?: readonly ErrorCode[];
};

type None = z.ZodUndefined;
type Spec<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType, Answers, Public> = Described & {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Open to callers without a credential; else there is a principal. */
  public?: Public;
  /** Its answers carry tokens, keys or signed URLs: they are never stored, a repeat is made anew. */
  credentials?: boolean;
  params?: Params;
  query?: Query;
  body?: Body;
  /** The schema of each status it answers with; `z.undefined()` where there is no body. */
  answers: Answers;
  handler(incoming: Incoming<z.output<Params>, z.output<Query>, z.output<Body>, Public>): Promise<AnswerOf<Answers>>;
};

/** A route as the app registers it, its types checked and forgotten. */
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
/** What a file in `routes/` exports. */
export type RouteModule = readonly RouteDefinition[];

/** As in the contract: `GET /runs/{id}`. */
export type Address = `${RouteDefinition['method']} /${string}`;
/** A file in `routes/` before it is read: all addresses it has. */
export type RouteFile = { addresses: readonly Address[]; load(): Promise<RouteModule> };

/** Every route of those files, in their order. */
export async function readRoutes(files: readonly RouteFile[]): Promise<RouteDefinition[]> {
  return (await Promise.all(files.map(({ load }) => load()))).flat();
}

export function addressOf({ method, url }: RouteDefinition): Address {
  return `${method} ${url}`;
}

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
 * A GET that lists, or a POST where what is asked for takes a body: the handler gets a page to fetch and gives a port's page; limits and
 * cursors, in the query of both, are dealt with here.
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
      const page = { limit, ...(cursor === undefined ? {} : { cursor: await decryptCursor(platform, scope, cursor) }) };
      const { items, next } = await handler({ ...incoming, query: chosen, page } as unknown as Parameters<
        typeof handler
      >[0]);
      return ok({ items, next: next === null ? null : await encryptCursor(platform, scope, next) });
    },
  };
}

/** Route files write paths as the contract does (`/runs/{id}`). */
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

/** Answers a validated request: once per `Idempotency-Key` on a POST, else by running the handler. */
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
  // read when the first such request comes: it is much code
  const { answerOnce, requireSameInput } = await import('./idempotency.ts');
  if (definition.credentials) {
    // Where nobody is known yet, strangers may have the same key.
    if (!definition.public) await requireSameInput(platform, { ...intent, key });
    return send(await run(context, definition, request, intent), request, reply);
  }
  let ran = false;
  const answer = await answerOnce(platform, { ...intent, key }, async () => {
    ran = true;
    return run(context, definition, request, intent).then(storable, (error) => storableRefusal(definition, error));
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
    address: request.ip,
    ifMatch: matchedVersions(request.headers['if-match']),
  });
  return ready(platform, definition, answer);
}

/** The answer as it goes out: checked against its schema, as JSON text, with the headers its extras stand for. */
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
  const single = definition.method === 'GET' && !definition.list && !definition.public;
  if (single || version !== undefined) headers.etag = etagOf(text, version);
  return { status, headers, body: text };
}

function storable(answer: ReadyAnswer): StoredAnswer {
  const { body } = answer;
  if (body !== null && typeof body !== 'string') throw new TypeError('an answer to a POST is not a stream');
  return { ...answer, body };
}

/** Refusals that are about the moment, not about the request: the next try may go better, so they are not stored. */
const momentary: readonly ErrorCode[] = [
  'conflict',
  'idempotency-in-progress',
  'rate-limited',
  'unauthenticated',
  'invalid-token',
  'invalid-credentials',
];

/** A refusal is an answer too, unless trying again is what it asks for, or it was a read model that did not have the thing yet. */
function storableRefusal({ reads }: RouteDefinition, error: unknown): StoredAnswer {
  if (!(error instanceof Problem) || error.status >= 500 || momentary.includes(error.code)) throw error;
  if (reads && error.code === 'not-found') throw error;
  return { status: error.status, headers: problemHeaders(error), body: JSON.stringify(problemDocument(error)) };
}

function send(answer: ReadyAnswer, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { etag } = answer.headers;
  const reading = request.method === 'GET' || request.method === 'HEAD';
  if (reading && answer.status === 200 && etag !== undefined && !noneMatch(request.headers['if-none-match'], etag)) {
    return reply.code(304).header('etag', etag).send();
  }
  reply.code(answer.status).headers(answer.headers);
  if (answer.body === null) return reply.send();
  return reply.send(request.method === 'HEAD' && answer.body instanceof Readable ? unread(answer.body) : answer.body);
}

/** Of a stream whose headers are all that is asked for: Fastify would read it to its end. */
function unread(body: Readable): Readable {
  body.destroy();
  return Readable.from([]);
}
