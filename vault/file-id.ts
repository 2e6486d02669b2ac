/**
 * The public id of a file: which job, which source, which key, sealed so that names do not show and ids cannot be made up. Encrypted
 * with a synthetic IV (RFC 5297's idea: IV = HMAC over the plaintext, checked after AES-256-CTR), so a file always has the same id.
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

/** Deterministic. About 1.4 × the key's bytes + 78 characters. */
export function fileId(keys: VaultKeys, { jobId, sourceId, key }: FileLocator): string {
  const writer = new ByteWriter().varint(format);
  writeId(writer, 'job', jobId);
  writeId(writer, 'src', sourceId);
  const plain = writer.raw(keyBytes(key)).done();
  const iv = syntheticIv(keys, plain);
  const cipher = createCipheriv('aes-256-ctr', keys.fileIdCipher, iv);
  return prefix + Buffer.concat([iv, cipher.update(plain)]).toString('base64url');
}

/** Undefined for anything that `fileId` did not make with these keys: forged, altered, another account's. */
export function parseFileId(keys: VaultKeys, id: string): FileLocator | undefined {
  const bytes = Buffer.from(id.slice(prefix.length), 'base64url');
  // Node decodes leniently; only the one right spelling counts.
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

/** An id of the usual form as its 16 bytes (and a 0 before them), any other as text (its length + 1 before it). */
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
