/**
 * Encryption of small stored objects: work lists, parts, segments, roots. Content is compressed with zstd, then
 * encrypted with AES-256-GCM and a key of its own. That key derives from a synthetic salt: an HMAC over the content, as
 * in RFC 5297. So no nonce repeats under one key. Equal content gives equal bytes, which makes a repeated step
 * idempotent.
 */
import { createHmac } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompressSync, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { gcmDecrypt, gcmEncrypt, tagLength } from '../crypto/gcm.ts';
import { deriveKey } from '../crypto/hkdf.ts';
import { free } from './bytes.ts';
import { VaultDamage } from './damage.ts';
import { epochKey, type VaultKeys } from './keys.ts';

const format = 1;
const codecRaw = 0;
const codecZstd = 1;
const headerLength = 4;
const saltLength = 16;
const zeroNonce = new Uint8Array(12);

/** `aad` names the object (account, run, name …). The result decrypts only with the same `aad`. */
export function encryptBytes(keys: VaultKeys, aad: string, bytes: Uint8Array): Uint8Array {
  const compressed = zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
  const useful = compressed.length < bytes.length;
  const content = useful ? compressed : bytes;
  const header = Uint8Array.of(format, useful ? codecZstd : codecRaw, keys.epoch >>> 8, keys.epoch & 0xff);
  const bound = Buffer.concat([header, Buffer.from(aad)]);
  const root = epochKey(keys, keys.epoch, 'encrypted');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bound.length);
  const macKey = deriveKey(root, 'listbackup/encrypted/1/salt');
  const salt = createHmac('sha256', macKey)
    .update(length)
    .update(bound)
    .update(content)
    .digest()
    .subarray(0, saltLength);
  const [body, tag] = gcmEncrypt(encryptionKey(root, salt), zeroNonce, bound, content);
  const encrypted = Buffer.concat([header, salt, body, tag]);
  free(compressed);
  free(body);
  return encrypted;
}

/** @throws VaultDamage unless `encrypted` was made by `encryptBytes` with these keys and this `aad` */
export function decryptBytes(keys: VaultKeys, aad: string, encrypted: Uint8Array): Uint8Array {
  const { isCompressed, content } = decrypted(keys, aad, encrypted);
  if (!isCompressed) return content;
  const plain = zstdDecompressSync(content, { chunkSize: chunkSizeFor(content) });
  free(content);
  return plain;
}

/** As `decryptBytes`. Content that may become large is decompressed in another thread. @throws VaultDamage */
export async function decryptLarge(keys: VaultKeys, aad: string, encrypted: Uint8Array): Promise<Uint8Array> {
  const { isCompressed, content } = decrypted(keys, aad, encrypted);
  return isCompressed ? decompress(content, { chunkSize: chunkSizeFor(content) }) : content;
}

const decompress = promisify(zstdDecompress);

function decrypted(
  keys: VaultKeys,
  aad: string,
  encrypted: Uint8Array,
): { isCompressed: boolean; content: Uint8Array } {
  const [version, codec, high = 0, low = 0] = encrypted;
  if (
    encrypted.length < headerLength + saltLength + tagLength ||
    version !== format ||
    (codec !== codecRaw && codec !== codecZstd)
  ) {
    throw new VaultDamage('encrypted', 'the bytes have no valid header');
  }
  const bound = Buffer.concat([encrypted.subarray(0, headerLength), Buffer.from(aad)]);
  const salt = encrypted.subarray(headerLength, headerLength + saltLength);
  const key = encryptionKey(epochKey(keys, (high << 8) | low, 'encrypted'), salt);
  const content = gcmDecrypt(key, zeroNonce, bound, encrypted.subarray(headerLength + saltLength));
  if (!content)
    throw new VaultDamage('encrypted', 'the bytes do not authenticate: they were altered, or belong to another object');
  return { isCompressed: codec === codecZstd, content };
}

/** Fewer and larger chunks than by default, as most content grows by 3 to 6 times. */
function chunkSizeFor({ length }: Uint8Array): number {
  return Math.min(Math.max(16 * 1024, length * 4), 1024 * 1024);
}

function encryptionKey(root: Uint8Array, salt: Uint8Array): Uint8Array {
  return deriveKey(root, 'listbackup/encrypted/1/key', { salt });
}
