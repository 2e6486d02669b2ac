import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exactPath, pathOf, pathText } from '../../cli/path-text.ts';
import { displayPath, keyFromBytes } from '../../domain/entry.ts';

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  fc
    .array(fc.constantFrom('\\', '\\\\', 'x', 'e9', '\\xe9', 'u{a}', '\\u{a}', '\n', '\u202e', '\ufffd', 'é'))
    .map((parts) => Buffer.from(parts.join(''))),
);

test('the text of any path has no control characters, and leads back to the path that the API shows', () => {
  fc.assert(
    fc.property(bytes, (name) => {
      const key = keyFromBytes(Buffer.concat([Buffer.from('a/'), name, Buffer.from('b')]));
      const { path, bytes: raw } = displayPath(key);
      const exact = exactPath({ path, ...(raw && { pathBytes: Buffer.from(raw).toString('base64') }) });
      expect(exact).toBe(key);
      const text = pathText(exact);
      expect(text.isWellFormed()).toBe(true);
      expect(text).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
      expect(pathOf(text)).toBe(key);
    }),
  );
});

test.each([
  ['new\nline', 'new\\u{a}line'],
  ['latin-\udce9', 'latin-\\xe9'],
  ['a\\b', 'a\\\\b'],
])('%j is shown as %s', (path, text) => {
  expect(pathText(path)).toBe(text);
});

test('a backslash that starts no escape stands for itself', () => {
  expect(pathOf('a\\b\\x41\\u{}')).toBe('a\\b\\x41\\u{}');
});
