/**
 * Maps blob keys to file paths that are valid and distinct on every file system.
 *
 * - Each part of a key is percent-encoded, including dots and capitals, because some file systems fold case.
 * - A file name ends in `.f`. A long part is split, and its pieces are folders ending in `.c`.
 * - So the blob `a` and the blobs under `a/` never collide.
 */
const plain = /[a-z0-9_-]/;
/** Most bytes of a key part per name. Three characters per byte plus the ending stay below the usual limit of 255. */
const pieceBytes = 80;

/** Returns the path of the key's file, relative to the root. */
export function blobPath(key: string): string {
  const parts = key.split('/').map((part) => pieces(Buffer.from(part)));
  return parts.map((names, i) => (i === parts.length - 1 ? `${names}.f` : names)).join('/');
}

/** Returns `abc` for a short part and `abc….c/def` for a long part. */
function pieces(part: Uint8Array): string {
  if (part.length <= pieceBytes) return encode(part);
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

/** Returns the bytes that a directory entry adds to the key of its folder, or undefined for a foreign name. */
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
