/** Schemas that several routes use, and the 404 of a resource that does not exist. */
import * as z from 'zod';
import { type IdKind, idPattern, makeId } from '../crypto/ids.ts';
import { Problem } from '../domain/errors.ts';
import type { JsonObject } from '../domain/ports.ts';

/** A name that users choose. Clients print it unchanged, so it has no control characters. */
export const name = z
  .string()
  .min(1, 'Give a name.')
  .max(200, 'Give a name of at most 200 characters.')
  .regex(/^[ -~\u00a0-\uffff]*[!-~\u00a1-\uffff][ -~\u00a0-\uffff]*$/, 'Give a name without control characters.')
  .meta({ description: '1 to 200 characters, without control characters.' });

export const jsonObject = z.record(z.string(), z.json()) as z.ZodType<JsonObject>;

/** Aggregates with a page of their own, and how to find their ids. */
const waysToIds = {
  job: 'List jobs with GET /jobs.',
  run: 'List runs with GET /runs.',
  source: 'List sources with GET /sources.',
  download: 'Request a download with POST /data/download and `paths`.',
} as const;

/** The `{id}` of an aggregate in a path. An id of the wrong form is a 404, and the answer does not repeat it. */
export function idParams(aggregate: keyof typeof waysToIds) {
  return z.strictObject({
    id: z
      .string()
      .regex(idPattern(aggregate), `This is not the id of a ${aggregate}. ${waysToIds[aggregate]}`)
      .meta({ description: `The id of the ${aggregate}.`, examples: [exampleId(aggregate)] }),
  });
}

/** The id of another aggregate in a query or body. */
export function idField(aggregate: IdKind) {
  return z
    .string()
    .regex(idPattern(aggregate), `Give the id of a ${aggregate}.`)
    .meta({ description: `The id of a ${aggregate}.`, examples: [exampleId(aggregate)] });
}

/** An id that has the right form. No aggregate has it. */
export function exampleId(aggregate: IdKind): string {
  return makeId(aggregate, new Uint8Array(16));
}

/** A user in an answer. */
export const userView = z
  .object({
    id: z.string().meta({ description: 'The id of the user.', examples: [exampleId('user')] }),
    email: z
      .string()
      .meta({ description: 'The e-mail address that the user signs in with.', examples: ['ada@example.org'] }),
    name: z.string().meta({ description: 'The name of the user.', examples: ['Ada'] }),
  })
  .meta({ description: 'The user.' });

/** An account in an answer, with the role of the user in it. */
export const accountView = z
  .object({
    id: z.string().meta({ description: 'The id of the account.', examples: [exampleId('account')] }),
    name: z.string().meta({ description: 'The name of the account.', examples: ['Ada'] }),
    role: z.string().meta({ description: 'The role of the user in the account.', examples: ['owner'] }),
  })
  .meta({ description: 'The account.' });

/** The id of an aggregate in an answer. */
export function idOf(aggregate: IdKind) {
  return z.string().meta({ description: `The id of the ${aggregate}.`, examples: [exampleId(aggregate)] });
}

/** A time in an answer. */
export function timeOf(description: string) {
  return z.iso.datetime().meta({ description });
}

/** A time in an answer, or null. */
export function nullableTimeOf(description: string) {
  return z.iso.datetime().nullable().meta({ description });
}

/** The answer to a request for a run. */
export const requestedRun = z
  .object({
    id: idOf('run'),
    jobId: idOf('job'),
    status: z.literal('requested').meta({ description: 'Always `requested`.' }),
  })
  .meta({ id: 'RequestedRun', description: 'A run that has not started yet.' });

/** Returns the value, or throws Problem `not-found` if it is undefined. */
export function found<T>(value: T | undefined, detail: string): T {
  if (value === undefined) throw new Problem('not-found', detail);
  return value;
}

/** A time in ISO 8601 with an offset. Use `utc` to convert it, so that times compare as text. */
export const time = z.iso
  .datetime({ offset: true, error: 'Give a time like 2026-01-31T12:00:00Z.' })
  .refine((text) => isWithinYears(new Date(text)), 'Give a time like 2026-01-31T12:00:00Z.');

/** Other years have a sign in ISO 8601, so their times do not compare as text. */
function isWithinYears(date: Date): boolean {
  return !Number.isNaN(date.getTime()) && /^\d{4}-/.test(date.toISOString());
}

/** Converts a time to UTC with milliseconds. */
export function utc(text: string): string {
  return new Date(text).toISOString();
}
