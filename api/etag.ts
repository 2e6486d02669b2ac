/**
 * Entity tags (RFC 9110 §8.8.3), strong: `"<version>-<hash>"`, or `"<hash>"` where a resource has no version of its own. The hash of the
 * body tells readers whether anything changed; the version is what a writer's `If-Match` is held to, by the command that loads the stream.
 */
import { createHash } from 'node:crypto';
import { Problem } from '../domain/errors.ts';

export function etagOf(body: string, version?: number): string {
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 22);
  return version === undefined ? `"${hash}"` : `"${version}-${hash}"`;
}

/** Whether `If-None-Match` names this tag, compared weakly as RFC 9110 §13.1.2 asks. */
export function noneMatch(header: string | undefined, etag: string): boolean {
  if (header === undefined) return true;
  return !header.split(',').some((one) => ['*', etag].includes(one.trim().replace(/^W\//, '')));
}

/** What `If-Match` looks like (RFC 9110 §13.1.1). */
export const ifMatchPattern = '^(\\*|(W/)?"[!#-~]*"( ?, ?(W/)?"[!#-~]*")*)$';
const ifMatch = new RegExp(ifMatchPattern);

/**
 * The versions that `If-Match` allows; undefined when there is no condition (no header, or `*`). Weak and foreign tags match nothing.
 * Throws Problem `invalid-input` for what is no list of tags.
 */
export function matchedVersions(header: string | undefined): readonly number[] | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  if (!ifMatch.test(header.trim())) {
    const message = 'Send the ETag of what you read, quotes included, or leave the header out.';
    throw new Problem('invalid-input', message, { errors: [{ path: 'If-Match', message }] });
  }
  return header.split(',').flatMap((one) => {
    const version = /^"([1-9][0-9]{0,14})-[A-Za-z0-9_-]{22}"$/.exec(one.trim())?.[1];
    return version === undefined ? [] : [Number(version)];
  });
}
