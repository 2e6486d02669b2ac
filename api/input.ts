/** Parses and validates requests: strict JSON, well-formed text, then the route's schemas. It coerces nothing. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { Problem } from '../domain/errors.ts';
import { inputProblem, nothingHere } from './problem.ts';
import type { RouteDefinition } from './route.ts';

const maxDepth = 64;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Accepts only `application/json` (otherwise 415). An empty body counts as no body. */
export function parseJsonBodies(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    if (bytes.length === 0) return done(null, undefined);
    let text: string;
    try {
      text = utf8.decode(bytes);
    } catch {
      return done(new Problem('invalid-input', 'The body is not valid UTF-8. Encode it as UTF-8 and send it again.'));
    }
    parseJson(request, text, (error, value) => {
      if (error) return done(new Problem('invalid-input', 'The body is not valid JSON. Correct it and send it again.'));
      done(textProblem(value) ?? null, value);
    });
  });
}

/** The schemas of a route that declares no query or no body. */
const noQuery = z.strictObject({});
const noBody = noQuery.optional();

/**
 * Validates a request and replaces its params, body and query by the parsed values. Throws Problem `invalid-input`.
 * An id in the path that has the wrong form is `not-found`, like an id that does not exist.
 */
export function validate(request: FastifyRequest, { method, params, query, body }: RouteDefinition): void {
  if (params) {
    const result = params.safeParse(request.params);
    if (!result.success) throw new Problem('not-found', result.error.issues[0]?.message ?? '');
    if (textProblem(request.params)) throw nothingHere();
    request.params = result.data;
  }
  if (method !== 'GET') request.body = parsed(body ?? noBody, request.body ?? undefined, 'body');
  const problem = textProblem(request.query);
  if (problem) throw problem;
  request.query = parsed(query ?? noQuery, request.query, '');
}

/** `where` names the input in `errors[]` if the error is at its root. */
function parsed(schema: z.ZodType, input: unknown, where: string): unknown {
  const result = schema.safeParse(input);
  if (!result.success) throw inputProblem(result.error, where);
  return result.data;
}

/** Rejects NUL and lone surrogates in values and names, because stores, paths and logs change them. */
function textProblem(value: unknown): Problem | undefined {
  const open: { value: unknown; path: string[] }[] = [{ value, path: [] }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value: inner, path } = next;
    if (path.length > maxDepth) {
      const message = `The body is nested too deeply. Nest it at most ${maxDepth} levels deep.`;
      return new Problem('invalid-input', message, { errors: [{ path: path[0] ?? '', message }] });
    }
    if (typeof inner === 'string' && !isText(inner)) return badText(path);
    if (typeof inner !== 'object' || inner === null) continue;
    for (const [name, member] of Object.entries(inner)) {
      if (!isText(name)) return badText(path);
      open.push({ value: member, path: [...path, name] });
    }
  }
  return undefined;
}

function isText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

function badText(path: string[]): Problem {
  const message = 'The text has a NUL character or a lone surrogate. Send it without.';
  return new Problem('invalid-input', message, { errors: [{ path: path.join('.'), message }] });
}
