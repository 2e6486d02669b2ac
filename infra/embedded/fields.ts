/** What an update does to data: sets fields, adds to numbers. */
import type { JsonObject } from '../../domain/ports.ts';
import { LimitExceeded } from '../limits.ts';

/** The data with fields set and numbers added to (absent counts as 0). Throws LimitExceeded on adding to anything else, as DynamoDB refuses it. */
export function added(
  data: JsonObject,
  { set, add }: { set?: JsonObject; add?: { [field: string]: number } },
): JsonObject {
  const sums = Object.entries(add ?? {}).map(([field, n]): [string, number] => {
    const before = Object.hasOwn(data, field) ? data[field] : 0;
    if (typeof before !== 'number') throw new LimitExceeded('an add to a field that is not a number');
    return [field, before + n];
  });
  return { ...data, ...set, ...Object.fromEntries(sums) };
}
