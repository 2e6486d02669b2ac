/** Small schemas that routes share, and the 404 of a thing that is not there. */
import * as z from 'zod';
import { type IdKind, idPattern, makeId } from '../crypto/ids.ts';
import { Problem } from '../domain/errors.ts';
import type { JsonObject } from '../domain/ports.ts';

/** A name people give: shown as it is, so no control characters. */
export const name = z
  .string()
  .min(1, 'Give a name.')
  .max(200, 'Give a name of at most 200 characters.')
  .regex(/^[ -~\u00a0-\uffff]*[!-~\u00a1-\uffff][ -~\u00a0-\uffff]*$/, 'Give a name without control characters.');

export const jsonObject = z.record(z.string(), z.json()) as z.ZodType<JsonObject>;

/** The `{id}` of a noun in a path. One that has not even the form of an id is 404 too, without saying back what was sent. */
export function idParams(aggregate: IdKind) {
  return z.strictObject({
    id: z
      .string()
      .regex(idPattern(aggregate))
      .meta({ description: `The id of a ${aggregate}.`, examples: [makeId(aggregate, new Uint8Array(16))] }),
  });
}

export function idField(aggregate: IdKind) {
  return z.string().regex(idPattern(aggregate), `Give the id of a ${aggregate}, as its list shows it.`);
}

/** The thing, or Problem `not-found`. */
export function found<T>(thing: T | undefined, detail: string): T {
  if (thing === undefined) throw new Problem('not-found', detail);
  return thing;
}

/** A time as ISO-8601 with an offset, given back in UTC with milliseconds, so that times compare as text. */
export const time = z.iso
  .datetime({ offset: true, error: 'Give a time like 2026-01-31T12:00:00Z.' })
  .refine((text) => isWithinYears(new Date(text)), 'Give a time like 2026-01-31T12:00:00Z.');

/** Before and after the years of four digits there is a sign before them, and no time compares with that as text. */
function isWithinYears(date: Date): boolean {
  return !Number.isNaN(date.getTime()) && /^\d{4}-/.test(date.toISOString());
}

export function utc(text: string): string {
  return new Date(text).toISOString();
}
