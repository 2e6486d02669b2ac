import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromIso, toIso } from '../../domain/iso-time.ts';

const dayMs = 86_400_000;
const maxMs = 8.64e15;
const firstMs = Date.parse('0000-01-01T00:00:00.000Z');
const lastMs = Date.parse('9999-12-31T23:59:59.999Z');

/** Any time, times of one day, times at the start and end of days, and times around 1970. */
const times = (min: number, max: number) =>
  fc.oneof(
    fc.integer({ min, max }),
    fc.integer({ min: Date.UTC(2026, 1, 1), max: Date.UTC(2026, 1, 1) + dayMs - 1 }),
    fc
      .tuple(
        fc.integer({ min: Math.ceil(min / dayMs) + 1, max: Math.floor(max / dayMs) - 1 }),
        fc.constantFrom(-1, 0, 1),
      )
      .map(([day, off]) => day * dayMs + off),
    fc.integer({ min: -2000, max: 2000 }),
  );

describe('toIso', () => {
  it('equals Date.toISOString for every time', () => {
    // Several times for each run, because it remembers the last day.
    fc.assert(
      fc.property(fc.array(times(-maxMs, maxMs), { minLength: 1, maxLength: 5 }), (all) => {
        for (const ms of all) expect(toIso(ms)).toBe(new Date(ms).toISOString());
      }),
      { numRuns: 2000 },
    );
    for (const ms of [-maxMs, firstMs - 1, firstMs, -1, 0, lastMs, lastMs + 1, maxMs])
      expect(toIso(ms)).toBe(new Date(ms).toISOString());
  });
});

describe('fromIso', () => {
  it('is the inverse of toIso for years with four digits', () => {
    fc.assert(
      fc.property(fc.array(times(firstMs, lastMs), { minLength: 1, maxLength: 5 }), (all) => {
        for (const ms of all) expect(fromIso(toIso(ms))).toBe(ms);
      }),
      { numRuns: 2000 },
    );
    for (const ms of [firstMs, -1, 0, lastMs]) expect(fromIso(toIso(ms))).toBe(ms);
  });

  it('returns undefined for any text that toIso does not give', () => {
    const isExact = (text: string) => {
      const ms = Date.parse(text);
      return text.length === 24 && !Number.isNaN(ms) && new Date(ms).toISOString() === text;
    };
    const character = fc.oneof(fc.constantFrom(...'0123456789-:.TZ +:;/'), fc.string({ minLength: 1, maxLength: 1 }));
    const altered = fc
      .tuple(times(firstMs, lastMs), fc.array(fc.tuple(fc.nat(23), character), { minLength: 1, maxLength: 3 }))
      .map(([ms, changes]) => {
        const text = [...toIso(ms)];
        for (const [at, to] of changes) text[at] = to;
        return text.join('');
      });
    fc.assert(
      fc.property(fc.oneof(altered, altered, fc.string(), fc.string({ minLength: 24, maxLength: 24 })), (text) => {
        expect(fromIso(text)).toBe(isExact(text) ? Date.parse(text) : undefined);
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    '2026-02-29T00:00:00.000Z',
    '2026-02-30T00:00:00.000Z',
    '2026-13-01T00:00:00.000Z',
    '2026-01-01T24:00:00.000Z',
    '2026-01-01T23:60:00.000Z',
    '2026-01-01T23:59:60.000Z',
    '2026-01-01t00:00:00.000Z',
    '2026-01-01T00:00:00.000z',
    '2026-01-01T00:00:00.0000',
    '2026-01-01T00:00:00,000Z',
    '2026-01-01T00:00:00Z',
    '+010000-01-01T00:00:00.000Z',
    '-000001-01-01T00:00:00.000Z',
    '',
  ])('returns undefined for %j', (text) => {
    expect(fromIso(text)).toBeUndefined();
  });
});
