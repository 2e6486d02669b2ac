/** Turns every error into the RFC 9457 problem document that the caller gets. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { inputErrorsOf, quoted } from '../connectors/input-errors.ts';
import { type ErrorCode, Problem } from '../domain/errors.ts';
import type { JsonObject, Log } from '../domain/ports.ts';
import { VaultDamage } from '../vault/damage.ts';

const unknownUrl = 'This URL does not exist. GET /openapi.json lists all routes.';

export const problemType = 'application/problem+json; charset=utf-8';

/**
 * The wire format, for the OpenAPI document. `type` is a name, not the URL of a page: a fixed prefix and the `code`.
 */
export const problemSchema = z
  .looseObject({
    type: z.string().meta({
      description: 'Names the kind of problem. It is not the URL of a page.',
      examples: ['urn:listbackup:problem:not-found'],
    }),
    title: z.string().meta({ description: 'The same for every problem with this `code`.', examples: ['Not found'] }),
    status: z.int().meta({ description: 'The HTTP status.', examples: [404] }),
    detail: z.string().meta({
      description: 'What happened, unless `title` says it all, then what to do.',
      examples: ['Job job_00000000000000000000000000 does not exist. List jobs with GET /jobs.'],
    }),
    code: z.string().meta({ description: 'Stable. Programs decide by it.', examples: ['not-found'] }),
    errors: z
      .array(
        z.object({
          path: z.string().meta({ description: 'The field, with dots: `config.path`. Or the name of a header.' }),
          message: z.string().meta({ description: 'What the field has to be.' }),
        }),
      )
      .optional()
      .meta({ description: 'The wrong fields, at most 50.' }),
  })
  .meta({ id: 'Problem', description: 'An error, as RFC 9457 problem details. Some codes add members.' });

/** The Problem for a URL without a route. */
export function nothingHere(): Problem {
  return new Problem('not-found', unknownUrl);
}

/** Returns the document of a Problem. `extra` can add members but cannot replace the standard ones. */
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

/**
 * Returns the headers of a Problem. `Retry-After` is in seconds. A 401 has the challenge of RFC 6750. A 416 has the
 * size of the file in `Content-Range` (RFC 9110 §15.5.17).
 */
export function problemHeaders(problem: Problem): { [name: string]: string } {
  const headers: { [name: string]: string } = { 'content-type': problemType };
  if (typeof problem.extra.retryAfter === 'number')
    headers['retry-after'] = String(Math.max(1, Math.ceil(problem.extra.retryAfter)));
  if (problem.status === 416) headers['content-range'] = `bytes */${problem.extra.size}`;
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

/** Converts a thrown value to a Problem. An unexpected error becomes `internal` with the request id, and is logged. */
export function toProblem(error: unknown, request: FastifyRequest, log: Log): Problem {
  if (error instanceof Problem) {
    if (error.status >= 500) logFailure(log, error, request);
    return error;
  }
  if (error instanceof VaultDamage) {
    log.warn('a request found damage', { requestId: request.id, fault: error.message });
    return new Problem('damaged', adviceFor(error));
  }
  const known = frameworkProblem(error);
  if (known) return known;
  logFailure(log, error, request);
  return new Problem(
    'internal',
    `Send the request again. If it fails again, report ${request.id} to the operator of the server.`,
    {
      extra: { requestId: request.id },
    },
  );
}

function adviceFor({ what }: VaultDamage): string {
  if (what === 'export') return 'This zip is damaged. Request a new one with POST /data/download.';
  const isContent = what === 'pack' || what === 'file';
  return `${
    isContent
      ? 'The content of this file is damaged. Choose another `version` with GET /data/files/{id}/versions'
      : 'The restore point is damaged. Choose an earlier one with `asOf`'
  }, or run the job again with POST /jobs/{id}/run. The doctor shows what else is damaged.`;
}

const byStatus: { [status: number]: { code: ErrorCode; detail: string } } = {
  400: { code: 'invalid-input', detail: 'The request is malformed. Correct it and send it again.' },
  404: { code: 'not-found', detail: unknownUrl },
  413: { code: 'payload-too-large', detail: 'Send a body of at most 1 MiB.' },
  415: { code: 'unsupported-media-type', detail: 'The API reads only JSON. Send the body as application/json.' },
};

/** Converts Fastify's own errors about a request (status below 500). Returns undefined for every other error. */
function frameworkProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, statusCode } = error as Partial<FastifyError>;
  if (!code?.startsWith('FST_') || statusCode === undefined || statusCode >= 500) return undefined;
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') return nothingHere();
  if (code === 'FST_ERR_BAD_URL')
    return new Problem('invalid-input', 'The URL is not valid percent-encoded UTF-8. Correct it and send it again.');
  const known = byStatus[statusCode] ?? byStatus[400];
  return known && new Problem(known.code, known.detail);
}

function logFailure(log: Log, error: unknown, request: FastifyRequest): void {
  const route = request.routeOptions?.url ?? 'none';
  log.error('request failed', { requestId: request.id, method: request.method, route }, withoutData(error));
}

/** Errors whose messages name code. Messages of other errors may quote input, for example a path or a piece of JSON. */
const safeToLog = new Set(['TypeError', 'ReferenceError', 'RangeError', 'Problem']);

/** Returns the error for the log. It keeps the message only if that cannot hold personal data. */
function withoutData(error: unknown, depth = 0): Error {
  if (!(error instanceof Error)) return new Error('the thrown value is not an Error');
  const { code } = error as { code?: unknown };
  const message = safeToLog.has(error.name) ? error.message : typeof code === 'string' ? code : 'message withheld';
  const safe = new Error(
    message,
    error.cause instanceof Error && depth < 3 ? { cause: withoutData(error.cause, depth + 1) } : {},
  );
  safe.name = error.name;
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? [];
  safe.stack = [`${error.name}: ${message}`, ...frames].join('\n');
  return safe;
}

/**
 * Returns the Problem for input that does not fit its schema. `where` names the part that an error at the root is
 * about.
 */
export function inputProblem(error: z.core.$ZodError, where = ''): Problem {
  const all = inputErrorsOf(error);
  const errors = all.slice(0, 50).map(({ path, message }) => ({ path: path || where, message }));
  const paths = errors.map(({ path }) => path).filter((path) => path !== '');
  const fields = paths.length > 0 ? quoted(paths.slice(0, 5)) : 'it';
  const [only, ...others] = all;
  // Such a message names the fields itself.
  const detail =
    only && others.length === 0 && only.message.startsWith('Send ')
      ? only.message
      : `Correct ${fields} and send the request again.`;
  return new Problem('invalid-input', detail, { errors });
}
