import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Problem } from '../../../domain/errors.ts';
import { afterPrefix, boundsOf } from '../../../infra/embedded/key-range.ts';

const text = fc.string({ unit: 'binary', maxLength: 4 });
const bytesOf = (string: string) => Buffer.from(string);

it('puts exactly the keys with the prefix between the prefix and afterPrefix', () => {
  fc.assert(
    fc.property(
      text.filter((prefix) => prefix !== ''),
      text,
      fc.boolean(),
      (prefix, rest, joined) => {
        const candidate = joined ? prefix + rest : rest;
        const end = afterPrefix(prefix);
        const within =
          Buffer.compare(bytesOf(candidate), bytesOf(prefix)) >= 0 &&
          (end === undefined || Buffer.compare(bytesOf(candidate), bytesOf(end)) < 0);
        expect(within).toBe(candidate.startsWith(prefix));
      },
    ),
    {
      examples: [
        ['\ud7ff', '\ue000', false],
        ['a\u{10ffff}', 'b', false],
        ['\u{10ffff}', '\u{10ffff}', false],
      ],
      numRuns: 2000,
    },
  );
});

it.each([0, 1001, 1.5])('rejects a limit of %d', (limit) => {
  expect(() => boundsOf({ limit })).toThrow('limit');
});

it('rejects an invalid cursor with a Problem', () => {
  expect(() => boundsOf({ limit: 1, cursor: '%%%' })).toThrow(Problem);
});
