/** Every error as the caller sees it: an RFC 9457 problem document, whatever went wrong and wherever. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { type ErrorCode, type InputError, Problem } from '../domain/errors.ts';
import type { JsonObject, Log } from '../domain/ports.ts';

export const problemType = 'application/problem+json; charset=utf-8';

/** The wire format, also for the OpenAPI document. `type` is a name, not a page: `code` is the same without the prefix. */
export const problemSchema = z
  .looseObject({
    type: z.string().meta({ examples: ['urn:listbackup:problem:not-found'] }),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What happened and what to do next.' }),
    code: z.string().meta({ description: 'Stable; what programs decide by.' }),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details.' });

/** For whoever asks at an address that nothing is at. */
export function nothingHere(): Problem {
  return new Problem('not-found', 'There is nothing at this address.');
}

/** The document of a Problem. Its own members come last: `extra` can add but not replace. */
export function problemDocument(problem: Problem): JsonObject {
  return {
    ...problem.extra,
    type: `urn:listbackup:problem:${problem.code}`,
    title: problem.title,
    status: problem.status,
    detail: problem.message,
    code: problem.code,
    ...(problem.errors ? { errors: problem.errors } : {}),
  };
}

/** Headers that a Problem stands for: `Retry-After` in seconds (RFC 9110), and on 401 the challenge of RFC 6750. */
export function problemHeaders(problem: Problem): { [name: string]: string } {
  const headers: { [name: string]: string } = { 'content-type': problemType };
  if (typeof problem.extra.retryAfter === 'number')
    headers['retry-after'] = String(Math.max(1, Math.ceil(problem.extra.retryAfter)));
  if (problem.status === 401)
    headers['www-authenticate'] =
      `Bearer realm="listbackup"${problem.code === 'invalid-token' ? ', error="invalid_token"' : ''}`;
  return headers;
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply
    .code(problem.status)
    .headers(problemHeaders(problem))
    .send(JSON.stringify(problemDocument(problem)));
}

/** What was thrown, as a Problem. Anything unknown becomes `internal` with an id to quote; what it was is only in the log. */
export function toProblem(error: unknown, request: FastifyRequest, log: Log): Problem {
  if (error instanceof Problem) {
    if (error.status >= 500) logFailure(log, error, request);
    return error;
  }
  const known = frameworkProblem(error);
  if (known) return known;
  logFailure(log, error, request);
  return new Problem('internal', `Try again. If it happens again, tell us and quote ${request.id}.`, {
    extra: { requestId: request.id },
  });
}

const byStatus: { [status: number]: { code: ErrorCode; detail: string } } = {
  400: { code: 'invalid-input', detail: 'The request is malformed. Correct it and send it again.' },
  404: { code: 'not-found', detail: 'There is nothing at this address.' },
  413: { code: 'payload-too-large', detail: 'Send a body of at most 1 MiB.' },
  415: { code: 'unsupported-media-type', detail: 'Send the body as application/json.' },
};

/** Fastify's own refusals of a request, which carry a status below 500. */
function frameworkProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, statusCode } = error as Partial<FastifyError>;
  if (!code?.startsWith('FST_') || statusCode === undefined || statusCode >= 500) return undefined;
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') return nothingHere();
  if (code === 'FST_ERR_BAD_URL')
    return new Problem(
      'invalid-input',
      'The address is not valid percent-encoded UTF-8. Correct it and send it again.',
    );
  const known = byStatus[statusCode] ?? byStatus[400];
  return known && new Problem(known.code, known.detail);
}

function logFailure(log: Log, error: unknown, request: FastifyRequest): void {
  const route = request.routeOptions?.url ?? 'none';
  log.error('request failed', { requestId: request.id, method: request.method, route }, withoutData(error));
}

/** Messages of these tell of code; those of others may quote what they were given (a path, a piece of JSON). */
const tellsOfCode = new Set(['TypeError', 'ReferenceError', 'RangeError', 'Problem']);

/** The error for the log: its name, code, stack and cause, its message only where that cannot hold personal data. */
function withoutData(error: unknown, depth = 0): Error {
  if (!(error instanceof Error)) return new Error('something that is no Error was thrown');
  const { code } = error as { code?: unknown };
  const said = tellsOfCode.has(error.name) ? error.message : typeof code === 'string' ? code : 'message withheld';
  const safe = new Error(
    said,
    error.cause instanceof Error && depth < 3 ? { cause: withoutData(error.cause, depth + 1) } : {},
  );
  safe.name = error.name;
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? [];
  safe.stack = [`${error.name}: ${said}`, ...frames].join('\n');
  return safe;
}

/** The Problem for input that does not fit its schema; `where` is the header or the part that a root error is about. */
export function inputProblem(error: z.core.$ZodError, where = ''): Problem {
  const errors = error.issues.flatMap((issue) => inputErrors(issue, [])).slice(0, 50);
  const named = errors
    .map((one) => one.path || where)
    .filter((path, index, all) => path !== '' && all.indexOf(path) === index);
  const what = named.length > 0 ? named.slice(0, 5).join(', ') : 'the request';
  return new Problem('invalid-input', `Correct ${what} and send it again.`, {
    errors: errors.map((one) => ({ ...one, path: one.path || where })),
  });
}

/** One issue as flat errors with dotted paths; of a union, those of the alternative that came closest. */
function inputErrors(issue: z.core.$ZodIssue, above: PropertyKey[]): InputError[] {
  const at = [...above, ...issue.path];
  const path = at.map(String).join('.');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...at, key].map(String).join('.'), message: 'There is no such field.' }));
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const closest = issue.errors.reduce((best, alternative) => (alternative.length < best.length ? alternative : best));
    return closest.flatMap((inner) => inputErrors(inner, at));
  }
  const missing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
  return [{ path, message: missing ? 'This is required.' : issue.message }];
}
