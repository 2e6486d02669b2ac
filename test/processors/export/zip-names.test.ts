import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { zipName, zipNameBeside } from '../../../processors/export/zip-names.ts';

describe('names in a zip', () => {
  it('stay as they are when they are safe', () => {
    for (const name of [
      'a',
      'docs/zahlen-äöü.csv',
      '100% sure.txt',
      'a%20b',
      '日本語/ü',
      '.hidden',
      'a.b/..c',
      'xy:z',
      'a b/ c',
    ]) {
      expect(zipName(name)).toBe(name);
    }
    expect(zipName('docs/')).toBe('docs');
  });

  it('cannot unpack outside of the target folder', () => {
    expect(zipName('../x')).toBe('%2E%2E/x');
    expect(zipName('a/../../x')).toBe('a/%2E%2E/%2E%2E/x');
    expect(zipName('./a')).toBe('%2E/a');
    expect(zipName('/etc/passwd')).toBe('%2F/etc/passwd');
    expect(zipName('a//b')).toBe('a/%2F/b');
    expect(zipName('..\\x')).toBe('..%5Cx');
    expect(zipName('C:/x')).toBe('C%3A/x');
    expect(zipName('a\u0000b\n')).toBe('a%00b%0A');
    expect(zipName('caf\udce9')).toBe('caf%E9');
  });

  it('are escaped again when they look escaped, so that two keys never get the same name', () => {
    expect(zipName('%2E%2E/x')).toBe('%252E%252E/x');
    expect(zipName('caf%E9')).toBe('caf%25E9');
    expect(zipName('a%5Cb')).not.toBe(zipName('a\\b'));
    const piece = fc.constantFrom(
      'a',
      '.',
      '..',
      '',
      '%',
      '%2',
      '2',
      'F',
      '2F',
      '5C',
      '25',
      '\\',
      'C:',
      '\u0000',
      '\n',
      '\udc80',
      'é',
      '\u0085',
      '/',
      '//',
    );
    const key = fc.array(piece, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(key, key, (a, b) => {
        const [one, other] = [zipName(a), zipName(b)];
        const withoutSlash = (text: string) => (text.endsWith('/') ? text.slice(0, -1) : text);
        expect(one === other).toBe(withoutSlash(a) === withoutSlash(b));
        for (const part of one.split('/')) expect(['', '.', '..']).not.toContain(part);
        expect(one).not.toMatch(/^[A-Za-z]:|\\|\p{Cc}/u);
        expect(one.isWellFormed()).toBe(true);
        expect(zipNameBeside(a)).not.toBe(other);
      }),
      { numRuns: 5000 },
    );
  });
});
