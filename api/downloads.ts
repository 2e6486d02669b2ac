/** Download addresses: sealed tokens that say which file of which manifest, for a quarter of an hour, and need no other credential. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import * as z from 'zod';
import { Problem } from '../domain/errors.ts';
import type { ManifestRef } from '../domain/line.ts';
import type { ByteRange, Machine } from '../domain/ports.ts';
import { derivedKey } from './secret-keys.ts';

/** `manifest` pins the version: a later run does not change what the address gives. */
export type Download = { account: string; key: string; manifest: ManifestRef };

const lifetime = 15 * 60_000;
const shape = z.tuple([z.string(), z.string(), z.string(), z.string(), z.number()]);

/** AES-256-GCM under a key derived from `jwt-secret`: names do not show, and nothing in it can be changed. */
export async function makeDownload(machine: Machine, download: Download): Promise<{ token: string; expiresAt: string }> {
  const expires = machine.now() + lifetime;
  const { account, key, manifest } = download;
  const nonce = machine.random(12);
  const cipher = createCipheriv('aes-256-gcm', await derivedKey(machine, 'download'), nonce);
  const plain = JSON.stringify([account, key, manifest.id, manifest.hash, expires]);
  const sealed = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return { token: sealed.toString('base64url'), expiresAt: new Date(expires).toISOString() };
}

/** Throws Problem `not-found` for a token that is not ours, `gone` for one that has expired. */
export async function openDownload(machine: Machine, token: string): Promise<Download> {
  const bytes = Buffer.from(token, 'base64url');
  if (bytes.length < 29) throw unknown();
  const decipher = createDecipheriv('aes-256-gcm', await derivedKey(machine, 'download'), bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(-16));
  let plain: string;
  try {
    plain = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8');
  } catch {
    throw unknown();
  }
  const [account, key, id, hash, expires] = shape.parse(JSON.parse(plain));
  if (machine.now() > expires) throw new Problem('gone', 'The address has expired. POST /data/download gives another.');
  return { account, key, manifest: { id, hash } };
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
  const [start, end] = match[1] === '' ? [Math.max(0, size - last), size - 1] : [Number(match[1]), Math.min(last, size - 1)];
  if (match[1] !== '' && match[2] !== '' && last < start) return undefined;
  if (start >= size || (match[1] === '' && last === 0)) {
    throw new Problem('range-not-satisfiable', `The file has ${size} bytes.`, { extra: { size } });
  }
  return { offset: start, length: end - start + 1 };
}

/** RFC 6266: the name in ASCII for old readers, in UTF-8 for the others. */
export function attachment(name: string): string {
  const ascii = name.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_');
  const utf8 = encodeURIComponent(name.toWellFormed()).replaceAll(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${ascii}"; filename*=UTF-8''${utf8}`;
}
