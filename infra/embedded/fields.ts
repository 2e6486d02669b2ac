/** Updates of records and rows: sets fields and adds to numbers. */
import type { JsonObject } from '../../domain/ports.ts';
import { LimitExceeded } from '../limits.ts';

/**
 * Returns the data with fields set and numbers added. An absent field counts as 0.
 * Throws LimitExceeded if a field to add to is not a number, because DynamoDB refuses that.
 */
export function added(
  data: JsonObject,
  { set, add }: { set?: JsonObject; add?: { [field: string]: number } },
): JsonObject {
  const sums = Object.entries(add ?? {}).map(([field, n]): [string, number] => {
    const before = Object.hasOwn(data, field) ? data[field] : 0;
    if (typeof before !== 'number') throw new LimitExceeded(`cannot add to field ${field}, it is not a number`);
    return [field, before + n];
  });
  return { ...data, ...set, ...Object.fromEntries(sums) };
}
