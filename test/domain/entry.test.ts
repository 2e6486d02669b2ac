import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys, displayPath, keyBytes, keyFromBytes } from '../../domain/entry.ts';

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
