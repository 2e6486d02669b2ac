import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareEntries,
  compareKeys,
  comparePositions,
  displayPath,
  itemPosition,
  keyBytes,
  keyFromBytes,
  parentOf,
  positionOf,
} from '../../domain/entry.ts';

const bytes = fc.uint8Array({ minLength: 0, maxLength: 24 });
const awkward = fc.oneof(
  bytes,
  fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => new Uint8Array(Buffer.from(text))),
);

describe('keys', () => {
  it('keep any bytes exactly', () => {
    fc.assert(
      fc.property(awkward, (name) => {
        expect(Buffer.from(keyBytes(keyFromBytes(name)))).toEqual(Buffer.from(name));
      }),
    );
  });

  it('decode each well-formed sequence, and escape every other byte', () => {
    const critical = [0x61, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xe0, 0xe1, 0xed, 0xf0, 0xf1, 0xf4, 0xf5];
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const decoded = (bytes: Uint8Array) => {
      try {
        return strict.decode(bytes);
      } catch {
        return undefined;
      }
    };
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...critical), { maxLength: 8 }), (name) => {
        const bytes = Uint8Array.from(name);
        let expected = '';
        for (let at = 0; at < bytes.length; ) {
          const length = [1, 2, 3, 4].find((most) => decoded(bytes.subarray(at, at + most)) !== undefined);
          expected += length
            ? decoded(bytes.subarray(at, at + length))
            : String.fromCharCode(0xdc00 + (bytes[at] as number));
          at += length ?? 1;
        }
        expect(keyFromBytes(bytes)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('survive JSON', () => {
    fc.assert(
      fc.property(awkward, (name) => {
        expect(JSON.parse(JSON.stringify(keyFromBytes(name)))).toBe(keyFromBytes(name));
      }),
    );
  });

  it('sort by their bytes', () => {
    fc.assert(
      fc.property(awkward, awkward, (a, b) => {
        expect(compareKeys(keyFromBytes(a), keyFromBytes(b))).toBe(Math.sign(Buffer.compare(a, b)));
      }),
    );
  });

  it('show replacement characters and the exact bytes only for names that are not UTF-8', () => {
    expect(displayPath('a/\u00e9/')).toEqual({ path: 'a/\u00e9' });
    for (const key of ['/', '//', 'a//']) expect(displayPath(key)).toEqual({ path: key });
    expect(displayPath('\u{1f4c1}x')).toEqual({ path: '\u{1f4c1}x' });
    const key = keyFromBytes(Buffer.from([0x61, 0xff, 0x62]));
    expect(displayPath(key)).toEqual({ path: 'a\ufffdb', bytes: Uint8Array.from([0x61, 0xff, 0x62]) });
  });
});

/** Few names, so that keys share folders: names that sort before, at and after `/`, and empty, long and exotic ones. */
const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('', 'a', 'a!', 'a0', 'b', 'é', '\uffff', '😀', '\udcff') },
  { weight: 1, arbitrary: awkward.map((bytes) => keyFromBytes(bytes).replaceAll('/', '')) },
);
const key = fc
  .tuple(fc.array(name, { minLength: 1, maxLength: 4 }), fc.constantFrom('', '/'))
  .map(([parts, end]) => `${parts.join('/')}${end}`)
  .filter((text) => text !== '');
const someKeys = fc.uniqueArray(key, { minLength: 1, maxLength: 20 });

/** Whether the keys that match are next to each other. */
function areAdjacent(keys: string[], matches: (key: string) => boolean): boolean {
  const found = keys.flatMap((key, i) => (matches(key) ? [i] : []));
  return found.length === 0 || (found.at(-1) as number) - (found[0] as number) === found.length - 1;
}

describe('the order of entries', () => {
  it('is a total order', () => {
    fc.assert(
      fc.property(key, key, key, (a, b, c) => {
        expect(compareEntries(a, a)).toBe(0);
        expect(compareEntries(a, b) === 0).toBe(a === b);
        expect(compareEntries(a, b) + compareEntries(b, a)).toBe(0);
        if (compareEntries(a, b) < 0 && compareEntries(b, c) < 0) expect(compareEntries(a, c)).toBe(-1);
      }),
      { numRuns: 3000 },
    );
  });

  it('is that of the positions of the keys: by the bytes of the folder, then by the bytes of the key', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(compareEntries(a, b)).toBe(comparePositions(positionOf(a), positionOf(b)));
        const bytes = (text: string) => Buffer.from(keyBytes(text));
        const byFolder = Buffer.compare(bytes(parentOf(a)), bytes(parentOf(b)));
        expect(compareEntries(a, b)).toBe(byFolder || Buffer.compare(bytes(a), bytes(b)));
      }),
      { numRuns: 3000 },
    );
  });

  it('keeps the entries of each folder adjacent', () => {
    fc.assert(
      fc.property(someKeys, (keys) => {
        const sorted = keys.sort(compareEntries);
        for (const folder of new Set(sorted.map(parentOf)))
          expect(areAdjacent(sorted, (key) => parentOf(key) === folder)).toBe(true);
      }),
    );
  });

  it('keeps everything below each folder adjacent, after the entry of the folder', () => {
    fc.assert(
      fc.property(someKeys, (keys) => {
        const folders = new Set(keys.flatMap((key) => ancestorsOf(key)));
        const sorted = [...new Set([...keys, ...folders])].sort(compareEntries);
        for (const folder of folders) {
          const isBelow = (key: string) => key !== folder && key.startsWith(folder);
          expect(areAdjacent(sorted, isBelow)).toBe(true);
          expect(sorted.findIndex(isBelow)).toBeGreaterThan(sorted.indexOf(folder));
        }
      }),
    );
  });

  it('puts an unlisted folder after its own entry, and before everything below it', () => {
    fc.assert(
      fc.property(key, key, (folder, below) => {
        const unlisted = itemPosition({ type: 'unlisted', refusal: { key: `${folder}/`, code: '', message: '' } });
        expect(comparePositions(positionOf(`${folder}/`), unlisted)).toBe(-1);
        expect(comparePositions(unlisted, positionOf(`${folder}/${below}`))).toBe(-1);
      }),
    );
  });
});

/** The keys of the folders above the key, without the root. */
function ancestorsOf(key: string): string[] {
  const parent = parentOf(key);
  return parent === '' ? [] : [...ancestorsOf(parent), parent];
}
