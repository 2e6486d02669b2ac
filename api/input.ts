/** What comes in: strict JSON, well-formed text, and the routes' schemas. Nothing is coerced. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { Problem } from '../domain/errors.ts';
import { inputProblem, nothingHere } from './problem.ts';
import type { RouteDefinition } from './route.ts';

/** JSON nested deeper than this is nobody's input. */
const deepest = 64;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Takes `application/json` only (anything else is 415). An empty body reads as none, whatever its content type says. */
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

/** What a route takes that says nothing of it. */
const nothing = z.strictObject({});
const nothingAtAll = nothing.optional();

/**
 * Puts what the route's schemas make of a request in its place. Throws Problem `invalid-input`; for an id in the path that has the wrong form
 * `not-found`, as for one that never was.
 */
export function validate(request: FastifyRequest, { method, params, query, body }: RouteDefinition): void {
  if (params) {
    const result = textProblem(request.params) ? undefined : params.safeParse(request.params);
    if (!result?.success) throw nothingHere();
    request.params = result.data;
  }
  if (method !== 'GET') request.body = parsed(body ?? nothingAtAll, request.body ?? undefined, 'body');
  const bad = textProblem(request.query);
  if (bad) throw bad;
  request.query = parsed(query ?? nothing, request.query, '');
}

/** `at`: what the input is called in a refusal. */
function parsed(schema: z.ZodType, given: unknown, at: string): unknown {
  const result = schema.safeParse(given);
  if (!result.success) throw inputProblem(result.error, at);
  return result.data;
}

/** Refuses NUL and lone surrogates, in names too: no store, path or log keeps them unharmed. */
function textProblem(value: unknown): Problem | undefined {
  const open: { value: unknown; path: string[] }[] = [{ value, path: [] }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value: inner, path } = next;
    if (path.length > deepest) {
      const message = `Nest the body at most ${deepest} deep.`;
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
  const message = 'Give text without NUL characters and lone surrogates.';
  return new Problem('invalid-input', message, { errors: [{ path: path.join('.'), message }] });
}
