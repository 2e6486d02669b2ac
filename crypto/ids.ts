/** Ids: a prefix that names the kind, and 128 bits as 26 characters of base32: `job_0w3ge1r70w3ge1r70w3ge1r70w`. */
import { base32 } from './base32.ts';

const prefixes = {
  user: 'usr',
  account: 'acc',
  source: 'src',
  job: 'job',
  run: 'run',
  event: 'evt',
  session: 'ses',
  pack: 'pak',
  download: 'dow',
} as const;

export type IdKind = keyof typeof prefixes;

/** An id from the first 16 bytes. Random bytes make a new id. A hash makes the same id for each repeat of a command. */
export function makeId(kind: IdKind, bytes: Uint8Array): string {
  return `${prefixes[kind]}_${base32(bytes.subarray(0, 16))}`;
}

/** Matches the ids of that kind, whether or not the thing exists. */
export function idPattern(kind: IdKind): RegExp {
  return new RegExp(`^${prefixes[kind]}_[0123456789abcdefghjkmnpqrstvwxyz]{26}$`);
}
