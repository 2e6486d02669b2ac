import fc from 'fast-check';
import { expect, it } from 'vitest';
import { mergeSorted } from '../../../processors/backup/sorter.ts';

it('merges streams in order, equal values by stream, whatever their batches', () => {
  const numbers = fc.array(fc.nat(20), { maxLength: 600 });
  return fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(numbers, fc.integer({ min: 1, max: 9 })), { maxLength: 9 }), async (given) => {
      const sorted = given.map(([values, size], stream) => ({
        size,
        values: values.sort((a, b) => a - b).map((value) => ({ value, stream })),
      }));
      async function* batches({ size, values }: (typeof sorted)[number]) {
        for (let from = 0; from < values.length; from += size) yield values.slice(from, from + size);
      }
      const merged: unknown[] = [];
      for await (const some of mergeSorted(sorted.map(batches), (a, b) => a.value - b.value)) merged.push(...some);
      const all = sorted.flatMap(({ values }) => values);
      expect(merged).toEqual(all.sort((a, b) => a.value - b.value || a.stream - b.stream));
    }),
    { numRuns: 30 },
  );
});
