import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sortedNames } from '../../connectors/folder-names.ts';

/** What the generator returns. */
function ended<T>(steps: Generator<null, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

it('returns the names once, in the order of their bytes, whatever fits in memory', () => {
  const name = fc.string({ unit: fc.constantFrom('/', 'a', '!', '\x01', '\xff'), minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(fc.array(name, { maxLength: 40 }), fc.integer({ min: 1, max: 12 }), (names, length) => {
      const bytes = [...new Set(names)].map((each) => Buffer.from(each, 'latin1')).sort(Buffer.compare);
      expect([...ended(sortedNames(names, length))]).toEqual(bytes.map((each) => each.toString('latin1')));
    }),
  );
});
