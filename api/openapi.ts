/** Builds the OpenAPI 3.1 document from the schemas that the routes validate with, so the two cannot differ. */
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

/** Returns the OpenAPI document of the routes as JSON. The plugin collects them from a temporary app. */
export async function describeApi(definitions: readonly RouteDefinition[], version: string): Promise<string> {
  const byOperation = new Map<string, RouteDefinition>(definitions.map((route) => [addressOf(route), route]));
  const byRoute = new Map(definitions.map((route) => [`${route.method} ${fastifyPath(route.url)}`, route]));
  if (!z.globalRegistry.has(problemSchema)) z.globalRegistry.add(problemSchema, { id: 'Problem' });
  const app = Fastify({ logger: false, exposeHeadRoutes: false });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'ListBackup',
        version,
        description:
          'ListBackup backs up folders and S3 buckets. Times are UTC in ISO 8601, sizes are bytes. Errors are problem documents ' +
          '(RFC 9457): programs decide by `code`, and `detail` says what to do. Unknown fields in a body or query are an error. ' +
          'Lists answer with `items` and `next`: send `next` as `cursor` to get the next page.',
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'The access token from POST /auth/login. It expires after 15 minutes.',
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

/** Adds the parts that follow from the conventions and not from the schemas. */
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
    ? { 304: { description: 'The resource still has the tag in `If-None-Match`. The answer has no body.' } }
    : {};
  operation.responses = { ...operation.responses, ...unchanged, ...refusals(definition) };
}

/** `GET /runs/{id}` is `getRunsId`. */
function operationIdOf(route: string): string {
  const [method = '', ...words] = route.split(/[ /{}-]+/).filter(Boolean);
  return [method.toLowerCase(), ...words.map(capitalized)].join('');
}

/** Returns whether the route reads a single resource, which has an ETag. */
function isResource({ method, list, public: open }: RouteDefinition): boolean {
  return method === 'GET' && !list && !open;
}

/** Returns the links of an answer. A list also links to its next page. */
function linksOf(
  { method, url, list, leadsTo }: RouteDefinition,
  status: number,
): { [name: string]: Link } | undefined {
  const id = list ? '$response.body#/items/0/id' : '$response.body#/id';
  const links: Link[] = (leadsTo?.[status] ?? []).map((followUp) => {
    if (typeof followUp === 'string') return { operationId: operationIdOf(followUp), parameters: { id } };
    const { to, parameters, body } = followUp;
    return {
      operationId: operationIdOf(to),
      ...(parameters ? { parameters } : {}),
      ...(body ? { requestBody: body } : {}),
    };
  });
  // The next page of a search needs the same body, and a link cannot repeat a body.
  if (list && method === 'GET')
    links.push({ operationId: operationIdOf(`${method} ${url}`), parameters: { cursor: '$response.body#/next' } });
  return links.length === 0 ? undefined : Object.fromEntries(links.map((link) => [link.operationId, link]));
}

const meanings: { [status: string]: string } = {
  200: 'OK.',
  201: 'Created.',
  202: 'Accepted. The work continues in the background.',
  204: 'Done. The answer has no body.',
  206: 'The requested range.',
  307: 'The content is at the URL in `Location`.',
};

function answerHeaders(definition: RouteDefinition, status: string): { [name: string]: unknown } {
  const { method } = definition;
  const header = (description: string) => ({ description, schema: { type: 'string' } });
  return {
    ...(isResource(definition)
      ? { ETag: header('The version of the resource, for `If-Match` and `If-None-Match`.') }
      : {}),
    ...(method !== 'GET'
      ? {
          'Consistency-Token': header(
            'Names the write, if there was one. Send it with a read that has to include the write.',
          ),
        }
      : {}),
    ...(status === '201' ? { Location: header('The URL of the created resource.') } : {}),
  };
}

/**
 * Replaces references to schemas that the document does not have by `{}`. The schema of `z.json()` refers to itself
 * in this way, and `{}` also means any JSON.
 */
function withoutCycles(document: Document): Document {
  const named = Object.keys(document.components?.schemas ?? {}).filter((name) => !name.startsWith('__'));
  const known = new Set(named.map((name) => `#/components/schemas/${name}`));
  return JSON.parse(JSON.stringify(document), (_key, value: { $ref?: unknown } | null) =>
    typeof value?.$ref === 'string' && !known.has(value.$ref) ? {} : value,
  );
}

/**
 * Removes schemas without a reference and sorts the others. The plugin adds each named schema for input and for
 * output.
 */
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
    const stored = 'For a day, repeats with the same key and input get the first answer.';
    const repeated = 'A repeated request has no second effect. Its answer holds new credentials.';
    headers.push(
      header('Idempotency-Key', credentials ? repeated : stored, { pattern: idempotencyKeyPattern, maxLength: 255 }),
    );
  }
  if (method === 'PUT' || method === 'DELETE') {
    headers.push(
      header('If-Match', 'The ETag of the resource. If it has changed since, the answer is a 412.', {
        pattern: ifMatchPattern,
      }),
    );
  }
  if (reads)
    headers.push(header('Consistency-Token', 'The token of an earlier write. The answer includes that write.'));
  if (isResource(definition))
    headers.push(header('If-None-Match', 'The ETag of your copy. If it is current, the answer is a 304.'));
  return headers;
}

/** Returns the problems that a route can answer with, grouped by status. */
function refusals(definition: RouteDefinition): { [status: string]: Response } {
  const { method, query, params, body, reads, problems } = definition;
  const codes = new Set<ErrorCode>(problems ?? []);
  const add = (condition: unknown, ...added: ErrorCode[]) => {
    if (condition) for (const code of added) codes.add(code);
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
    [...byStatus].map(([status, group]) => [
      String(status),
      {
        description: group.map(({ code, title }) => `\`${code}\`: ${title}.`).join(' '),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}
