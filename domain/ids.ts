/** Identifiers: a prefix that names the noun, and 26 characters of Crockford base32 (128 bits and two of padding), lower-case. */

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

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** Crockford base32, most significant bit first, the last character padded with zero bits. */
export function base32(bytes: Uint8Array): string {
  let out = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += alphabet[(buffer >>> bits) & 31];
    }
    buffer &= (1 << bits) - 1;
  }
  if (bits > 0) out += alphabet[(buffer << (5 - bits)) & 31];
  return out;
}

/** The id of a noun made from 16 bytes, random or derived (so that a repeated command makes the same id). */
export function makeId(kind: IdKind, bytes: Uint8Array): string {
  return `${prefixes[kind]}_${base32(bytes.subarray(0, 16))}`;
}

/** The form of that noun's ids; says nothing of their existence. */
export function idPattern(kind: IdKind): RegExp {
  return new RegExp(`^${prefixes[kind]}_[${alphabet}]{26}$`);
}
