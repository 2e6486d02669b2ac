/**
 * Safe names for zip entries, made from the keys of a source. Two keys never get the same name.
 *
 * Most parts of a path stay as they are. A part is escaped if it is empty, `.` or `..`, or starts like a drive (`C:`).
 * It is also escaped if it has a backslash, a control character or bytes that are not UTF-8. Escaping writes those
 * characters as `%XX`, an empty part as `%2F` and percent signs as `%25`. A part that already looks escaped is escaped
 * too.
 */
import { keyBytes } from '../../domain/entry.ts';

const unsafe = /^$|^\.\.?$|^[A-Za-z]:|[\\\p{Cc}\udc80-\udcff]/u;
/** Matches the escapes that `safePart` writes. */
const escapeLike = /%(?:[01][0-9A-F]|7F|25|2E|2F|3A|5C|[89A-F][0-9A-F])/;

/** A folder's name has no slash at the end. */
export function zipName(key: string): string {
  const path = key.endsWith('/') ? key.slice(0, -1) : key;
  return path.split('/').map(safePart).join('/');
}

/**
 * A name for a file or link that would otherwise have the name of a folder. Programs cannot unpack a file and a folder
 * of the same name.
 */
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
