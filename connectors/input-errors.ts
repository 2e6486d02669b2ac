/** Turns the issues of a zod schema into the errors that callers get: a dotted path, and the expected value. */
import type * as z from 'zod';
import type { InputError } from '../domain/errors.ts';

/** Returns one error per path. `above` starts each path. A message never holds the input. */
export function inputErrorsOf(error: z.core.$ZodError, above: PropertyKey[] = []): InputError[] {
  const byPath = new Map<string, InputError>();
  for (const one of error.issues.flatMap((issue) => errorsOf(issue, above)))
    if (!byPath.has(one.path)) byPath.set(one.path, one);
  return [...byPath.values()];
}

/** Returns the paths for a sentence: `` `a`, `b` ``. */
export function quoted(paths: readonly string[]): string {
  return paths.map((path) => `\`${path}\``).join(', ');
}

/** For a union without a message of its own, takes the alternative with the fewest issues. */
function errorsOf(issue: z.core.$ZodIssue, above: PropertyKey[]): InputError[] {
  const at = [...above, ...issue.path];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: dotted([...at, key]), message: 'This field does not exist.' }));
  if (issue.code === 'invalid_union' && issue.errors.length > 0 && isDefault(issue.message)) {
    const closest = issue.errors.reduce((best, alternative) => (alternative.length < best.length ? alternative : best));
    return closest.flatMap((inner) => errorsOf(inner, at));
  }
  return [{ path: dotted(at), message: isDefault(issue.message) ? messageOf(issue) : issue.message }];
}

function dotted(path: PropertyKey[]): string {
  return path.map(String).join('.');
}

/** Whether the text is of zod, and not of the schema. */
function isDefault(message: string): boolean {
  return /^(Invalid |Too (big|small): )/.test(message);
}

const kinds: { [expected: string]: string } = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
};

function messageOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.message.endsWith('received undefined')) return 'This is required.';
      return `Give ${kinds[issue.expected] ?? 'another value'}.`;
    case 'invalid_value':
      return `Give ${listed(issue.values.map((value) => `\`${String(value)}\``))}.`;
    case 'too_small':
      return `Give at least ${amount(issue.minimum, issue.origin)}.`;
    case 'too_big':
      return `Give at most ${amount(issue.maximum, issue.origin)}.`;
    default:
      return 'Give a value of the right form. GET /openapi.json describes it.';
  }
}

function amount(count: number | bigint, origin: string): string {
  const unit = { string: 'character', array: 'item' }[origin];
  return unit === undefined ? String(count) : `${count} ${unit}${Number(count) === 1 ? '' : 's'}`;
}

function listed(values: string[]): string {
  const last = values.at(-1) ?? '';
  return values.length > 1 ? `${values.slice(0, -1).join(', ')} or ${last}` : last;
}
