import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareEntries, displayPath, keyFromBytes, parentOf } from '../../domain/entry.ts';
import {
  decodeNames,
  decodingForSearch,
  encodeNames,
  fold,
  keyAt,
  matchingNames,
  namesIn,
  sizeOfNames,
} from '../../vault/names.ts';

/** The result of work, and how often it pauses. */
function finished<T>(work: Generator<void, T>): { result: T; pauses: number } {
  for (let pauses = 0; ; pauses++) {
    const step = work.next();
    if (step.done) return { result: step.value, pauses };
  }
}

function blockOf(keys: string[]) {
  return finished(decodingForSearch(Uint8Array.from(encodeNames(keys.map((key) => ({ key }))))));
}

/** Entries with every piece in their folder or in their name. */
function naive(keys: string[], pieces: string[]): number[] {
  const folded = (text: string) => fold(displayPath(text).path);
  return keys.flatMap((key, number) => {
    const parts = [folded(parentOf(key)), folded(key.slice(parentOf(key).length))];
    return pieces.every((piece) => parts.some((part) => part.includes(piece))) ? [number] : [];
  });
}

const numbered = (count: number, nameOf: (number: number) => string) =>
  Array.from({ length: count }, (_, number) => nameOf(number)).sort(compareEntries);

describe('a name block', () => {
  it('finds the entries with every piece, for any names', () => {
    const part = fc.constantFrom('a', 'B', 'ab', 'é', '\uff0f', '\ufdfa', '\udcff', '', 'b a', '\u2100', 'ß');
    const key = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const given = fc.record({
      keys: fc.uniqueArray(
        key.filter((one) => one !== ''),
        { minLength: 1, maxLength: 20 },
      ),
      pieces: fc.array(fc.constantFrom('A', 'B', 'AB', 'E', 'S', 'C', '\ufffd', ' '), { maxLength: 3 }),
      from: fc.nat(20),
      to: fc.nat(20),
    });
    fc.assert(
      fc.property(given, ({ keys, pieces, from, to }) => {
        const sorted = keys.sort(compareEntries);
        const { result: block } = blockOf(sorted);
        expect([...namesIn(block)].map(({ key: name }) => name)).toEqual(sorted);
        const { result } = finished(matchingNames(block, pieces, from, Math.min(to, sorted.length)));
        expect(result).toEqual(naive(sorted, pieces).filter((number) => number >= from && number < to));
      }),
    );
  });

  it('finds pieces anywhere in large texts', () => {
    const keys = numbered(
      40_000,
      (n) => `${n % 2 ? 'in a folder with a long name/' : ''}file number ${n}${n % 997 === 0 ? ' needle' : ''}`,
    );
    const { result: block } = blockOf(keys);
    for (const pieces of [['NEEDLE'], ['NEEDLE', 'FOLDER'], ['NONE'], ['39999'], ['9', 'LONG']])
      expect(finished(matchingNames(block, pieces)).result).toEqual(naive(keys, pieces));
    // Names of 25 bytes with their slashes. The first 512 KiB end within the needle.
    const even = numbered(25_000, (n) => `${n}`.padStart(8, '0').padEnd(24, n === 20_971 ? 'needle' : '-'));
    expect(finished(matchingNames(blockOf(even).result, ['NEEDLE'])).result).toEqual([20_971]);
  });

  it('pauses while it searches and decodes', () => {
    const { result: block } = blockOf(numbered(20_000, (n) => `abcdefghijklmnopqrst${n}`));
    const { pauses } = finished(matchingNames(block, Array.from('ABCDEFGHIJKLMNOPQRST')));
    expect(pauses).toBeGreaterThan(20);
    for (const name of ['é'.repeat(500), `${'é'.repeat(500)}/x`])
      expect(blockOf(numbered(1000, (n) => `${n}${name}`)).pauses).toBeGreaterThan(10);
  });

  it.each([
    ['plain names', (n: number) => `a folder/some name of a file ${n}`],
    ['long folders', (n: number) => `${n}${'b'.repeat(1000)}/x`],
    ['long folders of ligatures', (n: number) => `${n}${'\ufdfa'.repeat(330)}/x`],
    ['long names of ligatures', (n: number) => `${n}${'\ufdfa'.repeat(330)}`],
  ])('counts its memory, which a search does not change: %s', (_, nameOf) => {
    const keys = numbered(500, nameOf);
    const { result: block } = blockOf(keys);
    const counted = sizeOfNames(block);
    finished(matchingNames(block, ['X', '1']));
    expect(keyAt(block, 7)).toBe(keys[7]);
    expect(sizeOfNames(block)).toBe(counted);
    expect(counted).toBeGreaterThanOrEqual(memoryOf(block, new Set()));
    expect(counted).toBeLessThan(8 * Buffer.byteLength(keys.join('')));
  });

  it('rejects another format', () => {
    expect(() => decodeNames(Uint8Array.of(9))).toThrow('format 1');
  });
});

/** Bytes of all buffers and strings below a value. */
function memoryOf(value: unknown, seen: Set<unknown>): number {
  if (typeof value === 'string') return 2 * value.length;
  if (typeof value !== 'object' || value === null) return 8;
  const held = ArrayBuffer.isView(value) ? value.buffer : value;
  if (seen.has(held)) return 0;
  seen.add(held);
  if (held instanceof ArrayBuffer) return held.byteLength;
  return Object.values(value).reduce<number>((sum, member) => sum + memoryOf(member, seen), 0);
}

describe('folding', () => {
  it('makes no text longer than 7 times its length', () => {
    for (let code = 0; code < 0x30000; code++) {
      const character = String.fromCodePoint(code);
      if (fold(character).length > 7 * character.length) throw new Error(`U+${code.toString(16)} becomes longer`);
    }
  });

  it('keeps ligatures apart, and sorts no marks', () => {
    expect(fold('\ufdfa')).not.toBe(fold('\ufdfb'));
    expect(fold(`e${'\u0301\u0323'.repeat(100_000)}`)).toBe('E');
    expect(fold(keyFromBytes(Uint8Array.of(0xe9)))).toBe('\udce9');
  });
});
