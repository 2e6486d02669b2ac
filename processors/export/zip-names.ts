/**
 * Names of zip entries that unpack where they should, from whatever keys a source has. A part of a path stays as it is unless it is
 * empty, `.`, `..`, begins like a drive (`C:`), or has a backslash, a control character or bytes that are not UTF-8; then those
 * are written as `%XX` (an empty part as `%2F`), and its percent signs as `%25`. A part that already looks so is written so too: hence
 * two keys never get one name.
 */
import { keyBytes } from '../../domain/entry.ts';

const unsafe = /^$|^\.\.?$|^[A-Za-z]:|[\\\p{Cc}\udc80-\udcff]/u;
/** What the escapes below look like. */
const escapeLike = /%(?:[01][0-9A-F]|7F|25|2E|2F|3A|5C|[89A-F][0-9A-F])/;

/** Without the slash that ends a folder's key. */
export function zipName(key: string): string {
  const path = key.endsWith('/') ? key.slice(0, -1) : key;
  return path.split('/').map(safePart).join('/');
}

/** For what is no folder, where there is a folder of the same name, and for a file whose key ends in a slash: two things of one name cannot be unpacked. */
export function zipNameBeside(key: string): string {
  return `${zipName(key)}${key.endsWith('/') ? '%2F%2F' : '%2F'}`;
}

function safePart(part: string): string {
  if (!unsafe.test(part) && !escapeLike.test(part)) return part;
  if (part === '') return '%2F';
  if (/^\.\.?$/.test(part)) return part.replaceAll('.', '%2E');
  const colon = /^[A-Za-z]:/.test(part) ? 1 : -1;
  return [...part]
    .map((character, index) =>
      /[%\\\p{Cc}]/u.test(character) || !character.isWellFormed() || index === colon ? hex(character) : character,
    )
    .join('');
}

function hex(character: string): string {
  return [...keyBytes(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}
