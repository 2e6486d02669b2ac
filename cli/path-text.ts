/**
 * Paths as text that a terminal shows and commands accept. A backslash is `\\`, a control character `\u{a}`, and a byte
 * that is not UTF-8 `\xe9`. Inside the CLI such a byte b is the lone surrogate U+DC00 + b, so every path is a string.
 */
import { printable } from './output.ts';

/** Returns the exact path of a file. The API replaces each byte that is not UTF-8, and adds the bytes of the path. */
export function exactPath({ path, pathBytes }: { path: string; pathBytes?: string }): string {
  if (pathBytes === undefined) return path;
  const bytes = Buffer.from(pathBytes, 'base64');
  let at = 0;
  return [...path]
    .map((character) => {
      const byte = bytes[at] ?? 0;
      // A replacement character of the path itself is stored as ef bf bd.
      const isReplaced = character === '\ufffd' && bytes.toString('latin1', at, at + 3) !== '\xef\xbf\xbd';
      at += isReplaced ? 1 : Buffer.byteLength(character);
      return isReplaced ? String.fromCharCode(0xdc00 + byte) : character;
    })
    .join('');
}

/** Returns the text of a path. `pathOf` returns the path again. */
export function pathText(path: string): string {
  const escaped = printable(path.replaceAll('\\', '\\\\'));
  return [...escaped]
    .map((character) =>
      character.isWellFormed() ? character : `\\x${(character.charCodeAt(0) - 0xdc00).toString(16)}`,
    )
    .join('');
}

/** Returns the path of a text. A backslash that starts no escape stands for itself. */
export function pathOf(text: string): string {
  return text.replaceAll(
    /\\(?:(\\)|u\{([0-9a-f]{1,5})\}|x([89a-f][0-9a-f]))/gi,
    (_match, backslash: string | undefined, code: string | undefined, byte: string | undefined) =>
      backslash ?? String.fromCodePoint(code === undefined ? 0xdc00 + parseInt(byte ?? '', 16) : parseInt(code, 16)),
  );
}
