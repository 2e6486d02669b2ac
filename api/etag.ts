/**
 * Strong entity tags (RFC 9110 §8.8.3): `"<version>-<hash>"`, or `"<hash>"` where a resource has no version. Readers
 * compare the whole tag, so the hash of the body shows any change. For `If-Match` only the version counts: the
 * command that loads the stream compares it.
 */
import { createHash } from 'node:crypto';
import { Problem } from '../domain/errors.ts';

export function etagOf(body: string, version?: number): string {
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 22);
  return version === undefined ? `"${hash}"` : `"${version}-${hash}"`;
}

/** Returns false if `If-None-Match` names this tag (weak comparison, RFC 9110 §13.1.2): the answer is then a 304. */
export function noneMatch(header: string | undefined, etag: string): boolean {
  if (header === undefined) return true;
  return !header.split(',').some((one) => ['*', etag].includes(one.trim().replace(/^W\//, '')));
}

/** The syntax of `If-Match` (RFC 9110 §13.1.1). */
export const ifMatchPattern = '^(\\*|(W/)?"[!#-~]*"( ?, ?(W/)?"[!#-~]*")*)$';
const ifMatch = new RegExp(ifMatchPattern);

/**
 * Returns the versions that `If-Match` allows, or undefined if there is no condition (no header, or `*`). Weak tags
 * and tags without a version match nothing. Throws Problem `invalid-input` if the header is not a list of tags.
 */
export function matchedVersions(header: string | undefined): readonly number[] | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  if (!ifMatch.test(header.trim())) {
    const message = 'Send the ETag of the resource with its quotes, or omit the header.';
    throw new Problem('invalid-input', message, { errors: [{ path: 'If-Match', message }] });
  }
  return header.split(',').flatMap((one) => {
    const version = /^"([1-9][0-9]{0,14})-[A-Za-z0-9_-]{22}"$/.exec(one.trim())?.[1];
    return version === undefined ? [] : [Number(version)];
  });
}
