/** OpenAPI 3.1, made from the schemas the routes run on, so that it cannot tell of something else. */
import swagger from '@fastify/swagger';
import Fastify from 'fastify';
import { createJsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { type ErrorCode, Problem } from '../domain/errors.ts';
import { idempotencyKeyPattern } from './command-context.ts';
import { ifMatchPattern } from './etag.ts';
import { problemSchema } from './problem.ts';
import { addressOf, fastifyPath, type RouteDefinition } from './route.ts';

type Response = { description: string; headers?: { [name: string]: unknown }; links?: { [name: string]: Link } };
type Link = { operationId: string; parameters?: { [name: string]: string }; requestBody?: { [field: string]: string } };
type Operation = {
  operationId?: string;
  security?: { [scheme: string]: string[] }[];
  parameters?: unknown[];
  responses?: { [status: string]: Response };
};
type Document = {
  paths?: { [path: string]: { [method: string]: Operation } };
  components?: { schemas?: { [name: string]: unknown } };
};

const toJsonSchema = createJsonSchemaTransform({});

/** What those routes are, as JSON. The plugin gathers them from an app of its own, which serves nobody. */
export async function describeApi(definitions: readonly RouteDefinition[], version: string): Promise<string> {
  const byOperation = new Map<string, RouteDefinition>(definitions.map((each) => [addressOf(each), each]));
  const byRoute = new Map(definitions.map((each) => [`${each.method} ${fastifyPath(each.url)}`, each]));
  if (!z.globalRegistry.has(problemSchema)) z.globalRegistry.add(problemSchema, { id: 'Problem' });
  const app = Fastify({ logger: false, exposeHeadRoutes: false });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'ListBackup',
        version,
        description:
          'Errors are problem documents (RFC 9457); decide by `code`. Times are UTC ISO 8601, sizes bytes. Unknown fields are errors.',
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'The access token of POST /auth/login, good for 15 minutes.',
          },
        },
      },
    },
    transform: (document) => {
      const definition = byRoute.get(`${document.route.method} ${document.url}`);
      if (!definition) return { schema: { hide: true }, url: document.url };
      const { summary, description, tags, params, query, body, answers } = definition;
      const schema = {
        summary,
        tags,
        ...(description ? { description } : {}),
        ...(params ? { params } : {}),
        ...(query ? { querystring: query } : {}),
        ...(body ? { body } : {}),
        response: answers,
      };
      return toJsonSchema({ ...document, schema } as Parameters<typeof toJsonSchema>[0]);
    },
    transformObject: (document) => {
      const described = jsonSchemaTransformObject(document) as Document;
      for (const [path, operations] of Object.entries(described.paths ?? {})) {
        for (const [method, operation] of Object.entries(operations)) {
          const definition = byOperation.get(`${method.toUpperCase()} ${path}`);
          if (definition) addConventions(operation, definition);
        }
      }
      const plain = withoutCycles(described);
      keepUsed(plain);
      return plain as ReturnType<typeof jsonSchemaTransformObject>;
    },
  });
  for (const { method, url } of definitions) app.route({ method, url: fastifyPath(url), handler: async () => {} });
  await app.ready();
  const text = JSON.stringify(app.swagger());
  await app.close();
  return text;
}

/** What holds for every route of its kind and is not in the schemas. */
function addConventions(operation: Operation, definition: RouteDefinition): void {
  const { method, url } = definition;
  operation.operationId = operationIdOf(`${method} ${url}`);
  operation.security = definition.public ? [] : [{ bearer: [] }];
  operation.parameters = [...(operation.parameters ?? []), ...headersOf(definition)];
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    response.description = meanings[status] ?? 'Done.';
    response.headers = { ...response.headers, ...answerHeaders(definition, status) };
    const links = linksOf(definition, Number(status));
    if (links) response.links = links;
  }
  const unchanged: { [status: string]: Response } = isResource(definition)
    ? { 304: { description: 'It is still what `If-None-Match` names; no body.' } }
    : {};
  operation.responses = { ...operation.responses, ...unchanged, ...refusals(definition) };
}

/** `GET /runs/{id}` is `getRunsId`. */
function operationIdOf(route: string): string {
  const [method = '', ...words] = route.split(/[ /{}-]+/).filter(Boolean);
  return [method.toLowerCase(), ...words.map(capitalized)].join('');
}

/** A GET of one thing, which has an ETag. */
function isResource({ method, list, public: open }: RouteDefinition): boolean {
  return method === 'GET' && !list && !open;
}

/** Where an answer leads, as OpenAPI tells it; of a list, to its next page too. */
function linksOf(
  { method, url, list, leadsTo }: RouteDefinition,
  status: number,
): { [name: string]: Link } | undefined {
  const id = list ? '$response.body#/items/0/id' : '$response.body#/id';
  const links: Link[] = (leadsTo?.[status] ?? []).map((lead) => {
    if (typeof lead === 'string') return { operationId: operationIdOf(lead), parameters: { id } };
    const { to, parameters, body } = lead;
    return {
      operationId: operationIdOf(to),
      ...(parameters ? { parameters } : {}),
      ...(body ? { requestBody: body } : {}),
    };
  });
  // the page after a search is of the same search, whose body a link cannot repeat
  if (list && method === 'GET')
    links.push({ operationId: operationIdOf(`${method} ${url}`), parameters: { cursor: '$response.body#/next' } });
  return links.length === 0 ? undefined : Object.fromEntries(links.map((link) => [link.operationId, link]));
}

const meanings: { [status: string]: string } = {
  200: 'OK.',
  201: 'Created.',
  202: 'Accepted: it is being worked on.',
  204: 'Done; no body.',
};

function answerHeaders(definition: RouteDefinition, status: string): { [name: string]: unknown } {
  const { method } = definition;
  const header = (description: string) => ({ description, schema: { type: 'string' } });
  return {
    ...(isResource(definition) ? { ETag: header('Changes whenever the resource does.') } : {}),
    ...(method !== 'GET'
      ? { 'Consistency-Token': header('Where this was written, if it was: send it with a read that has to see it.') }
      : {}),
    ...(status === '201' ? { Location: header('The address of what was created.') } : {}),
  };
}

/** The schema of any JSON (`z.json()`) refers to itself under names that are not in the document: any JSON is the schema `{}`. */
function withoutCycles(document: Document): Document {
  const named = Object.keys(document.components?.schemas ?? {}).filter((name) => !name.startsWith('__'));
  const known = new Set(named.map((name) => `#/components/schemas/${name}`));
  return JSON.parse(JSON.stringify(document), (_key, value: { $ref?: unknown } | null) =>
    typeof value?.$ref === 'string' && !known.has(value.$ref) ? {} : value,
  );
}

/** Each schema with a name is put in for input and for output, in the order in which files were read; most are used for one of them. */
function keepUsed(document: Document): void {
  const { schemas = {} } = document.components ?? {};
  const used = new Set(
    [...JSON.stringify(document.paths).matchAll(/#\/components\/schemas\/([^"]+)/g)].map(([, name]) => name ?? ''),
  );
  for (const name of used) {
    for (const [, inner] of JSON.stringify(schemas[name] ?? {}).matchAll(/#\/components\/schemas\/([^"]+)/g))
      used.add(inner ?? '');
  }
  const kept = Object.entries(schemas).filter(([name]) => used.has(name));
  if (document.components) document.components.schemas = Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function headersOf(definition: RouteDefinition): unknown[] {
  const { method, reads, credentials } = definition;
  const header = (name: string, description: string, more = {}) => ({
    in: 'header',
    name,
    required: false,
    description,
    schema: { type: 'string', ...more },
  });
  const headers: unknown[] = [];
  if (method === 'POST') {
    const stored = 'Repeats with the same key and input get the first answer, for a day.';
    const anew = 'Repeats do nothing twice. The answer carries credentials, so it is made anew.';
    headers.push(
      header('Idempotency-Key', credentials ? anew : stored, { pattern: idempotencyKeyPattern, maxLength: 255 }),
    );
  }
  if (method === 'PUT' || method === 'DELETE') {
    headers.push(
      header('If-Match', 'The ETag of what you read: 412 if it was changed since.', { pattern: ifMatchPattern }),
    );
  }
  if (reads)
    headers.push(header('Consistency-Token', 'Of an earlier answer to a write: the answer includes that write.'));
  if (isResource(definition))
    headers.push(header('If-None-Match', 'The ETag of what you have: 304 if it is still that.'));
  return headers;
}

/** The problems a route may answer with, grouped by status. */
function refusals(definition: RouteDefinition): { [status: string]: Response } {
  const { method, query, params, body, reads, problems } = definition;
  const codes = new Set<ErrorCode>(problems ?? []);
  const add = (when: unknown, ...more: ErrorCode[]) => {
    if (when) for (const code of more) codes.add(code);
  };
  add(query || body || reads || method !== 'GET', 'invalid-input');
  add(method !== 'GET', 'payload-too-large', 'unsupported-media-type', 'storage-full');
  add(!definition.public, 'unauthenticated', 'invalid-token', 'rate-limited');
  add(definition.url.startsWith('/auth/'), 'rate-limited');
  add(params, 'not-found');
  add(method === 'POST' && !definition.credentials, 'idempotency-in-progress');
  add(method === 'POST' && !(definition.credentials && definition.public), 'idempotency-mismatch');
  add(method === 'PUT' || method === 'DELETE', 'precondition-failed', 'conflict');
  add(reads, 'unavailable');
  add(true, 'internal');
  const byStatus = Map.groupBy(
    [...codes].map((code) => new Problem(code, '')),
    ({ status }) => status,
  );
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      String(status),
      {
        description: some.map(({ code, title }) => `\`${code}\` ${title}.`).join(' '),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}
