/**
 * Download URLs. Their token is an encrypted description of the download. It needs no other credential and expires
 * after 15 minutes.
 */
import { parse } from 'range-parser';
import * as z from 'zod';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import type { ManifestRef } from '../domain/backup-chain.ts';
import { displayPath } from '../domain/entry.ts';
import { Problem } from '../domain/errors.ts';
import type { ByteRange, Platform } from '../domain/ports.ts';
import { derivedKey } from './secret-keys.ts';

/**
 * One version of a file, pinned by its manifest so that a later run does not change the download, or a prepared blob.
 */
export type Download = { account: string } & (
  | { key: string; manifest: ManifestRef }
  | { blob: string; name: string; size: number }
);

const lifetimeMs = 15 * 60_000;
const text = z.string();
const shape = z.union([
  z.object({ expires: z.number(), account: text, key: text, manifest: z.object({ id: text, hash: text }) }),
  z.object({ expires: z.number(), account: text, blob: text, name: text, size: z.number() }),
]);

/**
 * Returns a token, encrypted with AES-256-GCM under a key derived from `jwt-secret`: it shows no names and cannot be
 * changed. It expires after 15 minutes, or at `until` (ISO 8601) if that is earlier.
 */
export async function makeDownload(
  platform: Platform,
  download: Download,
  until?: string,
): Promise<{ token: string; expiresAt: string }> {
  const expires = Math.min(
    platform.now() + lifetimeMs,
    until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until),
  );
  const key = await derivedKey(platform, 'download');
  const plain = Buffer.from(JSON.stringify({ ...download, expires }));
  const encrypted = encryptFramed(key, '', plain, platform.random);
  return { token: encrypted.toString('base64url'), expiresAt: new Date(expires).toISOString() };
}

/** The name that a browser saves the file with. */
export function fileName(key: string): string {
  return displayPath(key).path.split('/').at(-1) || 'file';
}

/** Decrypts a token. Throws Problem `not-found` for a token this server did not issue, `gone` for an expired one. */
export async function openDownload(platform: Platform, token: string): Promise<Download> {
  const plain = decryptFramed(await derivedKey(platform, 'download'), '', Buffer.from(token, 'base64url'));
  if (!plain) throw unknown();
  const { expires, ...download } = shape.parse(JSON.parse(plain.toString('utf8')));
  if (platform.now() > expires)
    throw new Problem('gone', 'The download URL has expired. Request a new one with POST /data/download.');
  return download;
}

function unknown(): Problem {
  return new Problem('not-found', 'This download URL does not exist. Request one with POST /data/download.');
}

/**
 * Returns the range that a `Range` header (RFC 9110 §14.2) selects, or undefined for the whole file. A malformed
 * header, another unit and several ranges select the whole file. So does every range of an empty file, as some
 * clients always send one. Throws Problem `range-not-satisfiable` if the range starts after the end.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | undefined {
  if (header === undefined || size === 0) return undefined;
  const { code, type, ranges } = parse(size, header);
  if (type !== 'bytes' || (code & malformed) !== 0 || ranges.length > 1) return undefined;
  const [range] = ranges;
  if (!range) {
    const detail = `The file has ${size} bytes. Request a range that starts before its end.`;
    throw new Problem('range-not-satisfiable', detail, { extra: { size } });
  }
  return { offset: range.start, length: range.end - range.start + 1 };
}

/** The bit of range-parser's result code that marks a syntax error. */
const malformed = 1;
