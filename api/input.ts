/** What comes in: strict JSON, well-formed text, and the routes' schemas. Nothing is coerced. */
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify';
import type * as z from 'zod';
import { Problem } from '../domain/errors.ts';
import { inputProblem } from './problem.ts';

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

/** Zod for each part of a request. An id in the path that has the wrong form is 404, like one that never was. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  return (data: unknown) => {
    // Fastify gives null for a body that is not there
    const given = httpPart === 'body' && data === null ? undefined : data;
    const bad = httpPart === 'body' ? undefined : textProblem(given);
    const result = bad ? undefined : schema.safeParse(given);
    if (result?.success) return { value: result.data };
    if (httpPart === 'params') return { error: new Problem('not-found', 'There is nothing at this address.') };
    return { error: bad ?? inputProblem((result as z.ZodSafeParseError<unknown>).error, httpPart === 'body' ? 'body' : '') };
  };
};

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
