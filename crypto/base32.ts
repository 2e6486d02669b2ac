/** Crockford base32 in lower case, without padding: the text form of ids and of chunk names. */
import { base32crockford } from '@scure/base';

/** Most significant bit first. Zero bits fill the last character. */
export function base32(bytes: Uint8Array): string {
  return base32crockford.encode(bytes).toLowerCase();
}

/** The bytes that `base32` encodes as exactly this text, else undefined. So each byte string has one spelling. */
export function fromBase32(text: string): Uint8Array | undefined {
  try {
    const bytes = base32crockford.decode(text);
    // The library also accepts upper case and look-alikes: o for 0, i and l for 1.
    return base32(bytes) === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}
