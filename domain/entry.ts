/** Entries of a source, as connectors list them and manifests store them, and their sort orders. */

export type SourceEntry = {
  /**
   * The exact name at the source, relative to its root, with `/` between parts. The key of a folder ends in `/`. A byte
   * b that is not UTF-8 becomes the lone surrogate U+DC80 + (b − 0x80), as in Python's surrogateescape.
   */
  key: string;
  kind: 'file' | 'folder' | 'link';
  /** Bytes. 0 for folders and links. */
  size: number;
  /** UTC ISO-8601. Null if the source has no time for it. */
  modifiedAt: string | null;
  /** Changes whenever the content may have changed. Made from an etag, or from size, mtime, ctime and inode. */
  revision: string;
  /** POSIX permission bits. */
  mode?: number;
  /** The target of a link, in the encoding of `key`. */
  target?: string;
  /** The id at the source. It stays when the entry is renamed or moved. Sources that list deltas set it. */
  id?: string;
  /** As the source reports it. If absent, readers guess it from the name. */
  mimeType?: string;
  /** A folder that the source does not list. It exists because of the keys below it, as in S3. */
  implied?: true;
};

/** Why an entry is not in the backup. */
export type Refusal = { key: string; code: string; message: string; id?: string };

/** The possible keys of the folder at a path, the most likely first. The path may end in `/`. The root is `''`. */
export function folderKeys(path: string): string[] {
  const trimmed = path.replace(/\/+$/, '');
  const usual = trimmed === '' ? '' : `${trimmed}/`;
  return nameless.test(path) ? [path, usual] : [usual];
}

export type ListItem =
  | { type: 'entry'; entry: SourceEntry }
  /** Cannot be backed up by its nature, for example a socket. */
  | { type: 'skipped'; refusal: Refusal }
  /**
   * Should be in the backup but cannot be read. With `entry` the listing knows its revision. If the last backup has
   * that revision, the run keeps it and reports no failure. A failed folder also has an `unlisted` item, which reports
   * the failure.
   */
  | { type: 'failed'; refusal: Refusal; entry?: SourceEntry }
  /** The entries of this folder cannot be listed, so nothing is known about them. The folder has an item of its own. */
  | { type: 'unlisted'; refusal: Refusal };

/** A folder that exists because of the keys below it. */
export function impliedEntry(key: string) {
  return { key, kind: 'folder', size: 0, modifiedAt: null, revision: '', implied: true } as const;
}

/**
 * Keeps the folder of entries whose folder is an object that cannot be read. It replaces no live entry: the last
 * version of the object stays.
 */
export function standInEntry(key: string) {
  return { ...impliedEntry(key), revision: standInRevision };
}

/** No connector gives this revision. */
export const standInRevision = '\0stand-in';

export function keyOf(item: ListItem): string {
  return item.type === 'entry' ? item.entry.key : item.refusal.key;
}

/** Where the item comes in a sorted listing. `unlisted` comes where the entries of its folder would. */
export function itemPosition(item: ListItem): EntryPosition {
  const key = keyOf(item);
  return item.type === 'unlisted' ? { parent: key, key } : positionOf(key);
}

/** With these code units, `<` on strings (UTF-16) may differ from the order of the UTF-8 bytes. */
const beyondAscii = /[\ud800-\uffff]/;

/** The path order: compares keys by their bytes, like `LC_ALL=C sort` and S3 listings. Returns −1, 0 or 1. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  if (!beyondAscii.test(a) && !beyondAscii.test(b)) return a < b ? -1 : 1;
  const left = keyBytes(a);
  const right = keyBytes(b);
  const shared = Math.min(left.length, right.length);
  for (let i = 0; i < shared; i++) {
    const difference = (left[i] as number) - (right[i] as number);
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return left.length < right.length ? -1 : 1;
}

/** The key of the folder that contains the key: everything up to its last part. `''` is the root. */
export function parentOf(key: string): string {
  return key.length < 2 ? '' : key.slice(0, key.lastIndexOf('/', key.length - 2) + 1);
}

/**
 * A position in the order of entries. `key` need not exist: `{ parent: 'a/', key: '' }` is before all entries of `a/`.
 */
export type EntryPosition = { parent: string; key: string };

export function positionOf(key: string): EntryPosition {
  return { parent: parentOf(key), key };
}

/**
 * The order of entries in listings and manifests: by folder, then by name. So the entries of a folder are adjacent, and
 * so is everything below a folder. Returns −1, 0 or 1.
 */
export function comparePositions(a: EntryPosition, b: EntryPosition): number {
  return compareKeys(a.parent, b.parent) || compareKeys(a.key, b.key);
}

/** `comparePositions` of two keys. */
export function compareEntries(a: string, b: string): number {
  const parent = parentOf(a);
  // Most neighbours are in the same folder, and then their keys decide.
  return b.startsWith(parent) && parentOf(b) === parent
    ? compareKeys(a, b)
    : compareKeys(parent, parentOf(b)) || compareKeys(a, b);
}

const notAscii = /[\u0080-\uffff]/;

/** Whether each character is one byte in UTF-8. */
export function isAscii(text: string): boolean {
  return !notAscii.test(text);
}

const utf8 = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const escaped = /[\udc80-\udcff]/;
const loneEscapes = /(?<![\ud800-\udbff])[\udc80-\udcff]/;

/** The exact bytes of a key at the source. */
export function keyBytes(key: string): Uint8Array {
  if (!escaped.test(key)) return utf8.encode(key);
  const out: number[] = [];
  for (const character of key) {
    const code = character.codePointAt(0) as number;
    if (code >= 0xdc80 && code <= 0xdcff) out.push(code - 0xdc00);
    else out.push(...utf8.encode(character));
  }
  return Uint8Array.from(out);
}

/** The key for the bytes of a name. `keyBytes(keyFromBytes(b))` is `b` for any bytes. */
export function keyFromBytes(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return decodeWithEscapes(bytes);
  }
}

function decodeWithEscapes(bytes: Uint8Array): string {
  let out = '';
  let valid = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      out += strict.decode(bytes.subarray(valid, at)) + String.fromCharCode(0xdc00 + (bytes[at] as number));
      valid = at + 1;
    }
    at += length || 1;
  }
  return out + strict.decode(bytes.subarray(valid));
}

/** Length of the well-formed UTF-8 sequence at that offset, else 0. See table 3-7 of the Unicode standard. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const [first = 0, second = 0] = [bytes[at], bytes[at + 1]];
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (at + length > bytes.length) return 0;
  // Overlong forms, surrogates, and code points beyond U+10FFFF.
  if ((first === 0xe0 && second < 0xa0) || (first === 0xf0 && second < 0x90)) return 0;
  if ((first === 0xed && second > 0x9f) || (first === 0xf4 && second > 0x8f)) return 0;
  for (let i = at + 1; i < at + length; i++) if (((bytes[i] as number) & 0xc0) !== 0x80) return 0;
  return length;
}

/** A folder with an empty name, as in the S3 keys `a//b` and `/c`. */
const nameless = /(?:^|\/)\/$/;

/**
 * A key as the API and the CLI show it. A folder loses its trailing `/`, except a folder with an empty name, which
 * would look like its parent. Bytes that are not UTF-8 become U+FFFD. Only then `bytes` has the exact path.
 */
export function displayPath(key: string): { path: string; bytes?: Uint8Array } {
  const path = key.endsWith('/') && !nameless.test(key) ? key.slice(0, -1) : key;
  if (!loneEscapes.test(path)) return { path };
  return { path: path.replaceAll(new RegExp(loneEscapes, 'g'), '\ufffd'), bytes: keyBytes(path) };
}
