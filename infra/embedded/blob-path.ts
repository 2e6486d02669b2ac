/**
 * Keys of blobs as paths of files, whatever characters they have, on any file system: a part is percent-encoded, dots and capitals
 * too (some file systems fold case), a file ends in `.f`, and the rest of a long part goes in a folder ending in `.c`. So the blob `a` and
 * those under `a/` do not meet.
 */
const plain = /[a-z0-9_-]/;
/** Bytes of a part in one name: three characters each and the ending stay under the 255 that file systems allow. */
const pieceBytes = 80;

/** The path of a key's file, relative to the root. */
export function blobPath(key: string): string {
  const parts = key.split('/').map((part) => pieces(Buffer.from(part)));
  return parts.map((names, i) => (i === parts.length - 1 ? `${names}.f` : names)).join('/');
}

/** `abc` of a short part, `abc….c/def` of a long one. */
function pieces(part: Uint8Array): string {
  if (part.length < pieceBytes) return encode(part);
  return `${encode(part.subarray(0, pieceBytes))}.c/${pieces(part.subarray(pieceBytes))}`;
}

function encode(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    out += plain.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return out;
}

/** What a directory entry adds to the bytes of the key above it; undefined for what is none of ours. */
export function keyPiece(name: string, kind: 'file' | 'directory'): Uint8Array | undefined {
  const [encoded = '', ending, ...more] = name.split('.');
  if (more.length > 0 || !/^(?:[a-z0-9_-]|%[0-9a-f]{2})*$/.test(encoded)) return undefined;
  const bytes = Buffer.from(
    encoded.replaceAll(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  if (kind === 'file') return ending === 'f' ? bytes : undefined;
  if (ending === 'c') return bytes;
  return ending === undefined ? Buffer.concat([bytes, Buffer.from('/')]) : undefined;
}
