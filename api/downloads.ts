/** Download addresses: sealed tokens that say what is behind them, for a quarter of an hour, and need no other credential. */
import * as z from 'zod';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import type { ManifestRef } from '../domain/backup-chain.ts';
import { Problem } from '../domain/errors.ts';
import type { ByteRange, Platform } from '../domain/ports.ts';
import { derivedKey } from './secret-keys.ts';

/** A file of a manifest, which pins the version: a later run does not change what the address gives. Or a blob made for downloading. */
export type Download = { account: string } & ({ key: string; manifest: ManifestRef } | { blob: string; name: string });

const lifetime = 15 * 60_000;
const text = z.string();
const shape = z.union([
  z.object({ expires: z.number(), account: text, key: text, manifest: z.object({ id: text, hash: text }) }),
  z.object({ expires: z.number(), account: text, blob: text, name: text }),
]);

/**
 * AES-256-GCM under a key derived from `jwt-secret`: names do not show, and nothing in it can be changed. It ends in a quarter of an
 * hour, or at `until` if that comes first.
 */
export async function makeDownload(
  platform: Platform,
  download: Download,
  until?: string,
): Promise<{ token: string; expiresAt: string }> {
  const expires = Math.min(
    platform.now() + lifetime,
    until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until),
  );
  const key = await derivedKey(platform, 'download');
  const plain = Buffer.from(JSON.stringify({ ...download, expires }));
  const encrypted = encryptFramed(key, '', plain, platform.random);
  return { token: encrypted.toString('base64url'), expiresAt: new Date(expires).toISOString() };
}

/** Throws Problem `not-found` for a token that is not ours, `gone` for one that has expired. */
export async function openDownload(platform: Platform, token: string): Promise<Download> {
  const plain = decryptFramed(await derivedKey(platform, 'download'), '', Buffer.from(token, 'base64url'));
  if (!plain) throw unknown();
  const { expires, ...download } = shape.parse(JSON.parse(plain.toString('utf8')));
  if (platform.now() > expires)
    throw new Problem('gone', 'The address has expired. POST /data/download gives another.');
  return download;
}

function unknown(): Problem {
  return new Problem('not-found', 'There is nothing at this address. POST /data/download gives one.');
}

/**
 * The one range of a `Range` header (RFC 9110 §14.2), clipped; undefined for all of it: no header, another unit, several ranges.
 * Throws Problem `range-not-satisfiable` when it begins behind the end.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const last = match[2] === '' ? size - 1 : Number(match[2]);
  const [start, end] =
    match[1] === '' ? [Math.max(0, size - last), size - 1] : [Number(match[1]), Math.min(last, size - 1)];
  if (match[1] !== '' && match[2] !== '' && last < start) return undefined;
  if (start >= size || (match[1] === '' && last === 0)) {
    throw new Problem('range-not-satisfiable', `The file has ${size} bytes.`, { extra: { size } });
  }
  return { offset: start, length: end - start + 1 };
}

/** RFC 6266: the name in ASCII for old readers, in UTF-8 for the others. */
export function attachment(name: string): string {
  const ascii = name.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_');
  const utf8 = encodeURIComponent(name.toWellFormed()).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${utf8}`;
}
