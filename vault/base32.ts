/** The way back from `base32` in domain/ids.ts, for places where an id's 16 bytes are kept instead of its 26 characters. */
const values = new Map([...'0123456789abcdefghjkmnpqrstvwxyz'].map((character, value) => [character, value]));

/** The bytes whose `base32` is exactly this text; undefined for any other text (so each byte string has one spelling). */
export function fromBase32(text: string): Uint8Array | undefined {
  const out = new Uint8Array(Math.floor((text.length * 5) / 8));
  let at = 0;
  let buffer = 0;
  let bits = 0;
  for (const character of text) {
    const value = values.get(character);
    if (value === undefined) return undefined;
    buffer = (buffer << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = buffer >>> bits;
      buffer &= (1 << bits) - 1;
    }
  }
  return bits < 5 && buffer === 0 ? out : undefined;
}
