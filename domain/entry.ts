/** What a source holds, as connectors list it and manifests keep it, and the order both agree on. */

/**
 * `key` is the exact name at the source, relative to its root, `/` between parts, and the sort key everywhere. A folder's key ends
 * in `/`. Bytes that are not UTF-8 are held as lone surrogates U+DC80 + (byte − 0x80), as in Python's surrogateescape.
 */
export type SourceEntry = {
  key: string;
  kind: 'file' | 'folder' | 'link';
  /** Bytes; 0 for folders and links. */
  size: number;
  /** UTC ISO-8601, or null where the source does not tell. */
  modifiedAt: string | null;
  /** Changes whenever the content may have changed: an etag, or size + mtime + ctime + inode. */
  revision: string;
  /** POSIX permission bits. */
  mode?: number;
  /** Where a link points, in the encoding of `key`. */
  target?: string;
  /** What the source says it is; otherwise guessed from the name. */
  mimeType?: string;
};

/** Why something is not in the backup. For a failed folder (key ends in `/`) nothing below it is known either. */
export type Refusal = { key: string; code: string; message: string };

/** The keys that a folder at that path may have, as people write it (a `/` behind it or none), the likeliest first; `''` is the root. */
export function folderKeys(path: string): string[] {
  const trimmed = path.replace(/\/+$/, '');
  const usual = trimmed === '' ? '' : `${trimmed}/`;
  return nameless.test(path) ? [path, usual] : [usual];
}

/**
 * What a listing yields: things to keep, things that cannot be kept by their nature, things that should have been kept. `entry` of the latter: what is
 * known of it all the same. It hides nothing then, and is no failure where the backup has it as it is.
 */
export type ListItem =
  | { type: 'entry'; entry: SourceEntry }
  | { type: 'skipped'; refusal: Refusal }
  | { type: 'failed'; refusal: Refusal; entry?: SourceEntry };

/** Where plain `<` on strings (UTF-16 code units) differs from the order of bytes. */
const beyondAscii = /[\ud800-\uffff]/;

/** Order of keys: by their bytes, as `LC_ALL=C sort` and S3 listings have it. */
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

/** The key of those bytes; `keyBytes(keyFromBytes(b))` is `b` for any bytes. */
export function keyFromBytes(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return decodeWithEscapes(bytes);
  }
}

function decodeWithEscapes(bytes: Uint8Array): string {
  let out = '';
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    out +=
      length === 0
        ? String.fromCharCode(0xdc00 + (bytes[at] as number))
        : strict.decode(bytes.subarray(at, at + length));
    at += length || 1;
  }
  return out;
}

/** Length of the well-formed UTF-8 sequence at that place, 0 if there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    strict.decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}

/** A folder without a name, as in the S3 keys `a//b` and `/c`. */
const nameless = /(?:^|\/)\/$/;

/**
 * A key as people see it: no trailing `/` on folders, but on those without a name, which otherwise would pass for what they are in;
 * undecodable bytes as U+FFFD; `bytes` only where that loses something.
 */
export function displayPath(key: string): { path: string; bytes?: Uint8Array } {
  const path = key.endsWith('/') && !nameless.test(key) ? key.slice(0, -1) : key;
  if (!loneEscapes.test(path)) return { path };
  return { path: path.replaceAll(new RegExp(loneEscapes, 'g'), '\ufffd'), bytes: keyBytes(path) };
}
