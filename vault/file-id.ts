/**
 * The public id of a file: its job, source and key, encrypted so that names do not show and ids cannot be forged. The
 * IV is synthetic, as in RFC 5297: an HMAC over the plaintext, verified after AES-256-CTR. So a file always has the
 * same id.
 */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { base32, fromBase32 } from '../crypto/base32.ts';
import { keyBytes, keyFromBytes } from '../domain/entry.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import type { VaultKeys } from './keys.ts';

export type FileLocator = { jobId: string; sourceId: string; key: string };

const prefix = 'file_';
const format = 1;
const ivLength = 16;

/** Deterministic. The id has about 78 + 1.4 × (bytes of the key) characters. */
export function fileId(keys: VaultKeys, { jobId, sourceId, key }: FileLocator): string {
  const writer = new ByteWriter().varint(format);
  writeId(writer, 'job', jobId);
  writeId(writer, 'src', sourceId);
  const plain = writer.raw(keyBytes(key)).done();
  const iv = syntheticIv(keys, plain);
  const cipher = createCipheriv('aes-256-ctr', keys.fileIdCipher, iv);
  return prefix + Buffer.concat([iv, cipher.update(plain)]).toString('base64url');
}

/**
 * Undefined unless `fileId` made the id with these keys. So ids that are forged, or of another account, are refused.
 */
export function parseFileId(keys: VaultKeys, id: string): FileLocator | undefined {
  const bytes = Buffer.from(id.slice(prefix.length), 'base64url');
  // Node decodes base64url leniently. Only the exact spelling is accepted.
  if (bytes.length <= ivLength || prefix + bytes.toString('base64url') !== id) return undefined;
  const iv = bytes.subarray(0, ivLength);
  const plain = createDecipheriv('aes-256-ctr', keys.fileIdCipher, iv).update(bytes.subarray(ivLength));
  if (!timingSafeEqual(iv, syntheticIv(keys, plain))) return undefined;
  const reader = new ByteReader(plain);
  if (reader.varint() !== format) return undefined;
  const jobId = readId(reader, 'job');
  const sourceId = readId(reader, 'src');
  return { jobId, sourceId, key: keyFromBytes(reader.rest()) };
}

function syntheticIv(keys: VaultKeys, plain: Uint8Array): Buffer {
  return createHmac('sha256', keys.fileIdMac).update(plain).digest().subarray(0, ivLength);
}

/** Writes an id of the usual form as 0 and its 16 bytes. Writes any other id as its length + 1 and its text. */
function writeId(writer: ByteWriter, aggregate: string, id: string): void {
  const bytes =
    id.startsWith(`${aggregate}_`) && id.length === aggregate.length + 27
      ? fromBase32(id.slice(aggregate.length + 1))
      : undefined;
  if (bytes) writer.varint(0).raw(bytes);
  else writer.varint(1 + Buffer.byteLength(id)).raw(Buffer.from(id));
}

function readId(reader: ByteReader, aggregate: string): string {
  const length = reader.varint();
  return length === 0 ? `${aggregate}_${base32(reader.raw(16))}` : reader.raw(length - 1).toString();
}
