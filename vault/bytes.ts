/** Writes and reads byte strings: LEB128 varints (up to 2^53), and length-prefixed bytes and text. */
import { VaultDamage } from './damage.ts';

export class ByteWriter {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;

  /** Throws for numbers that are negative, fractional or beyond 2^53. */
  varint(value: number): this {
    this.#reserve(8);
    let rest = value;
    // Most numbers fit in 31 bits, where shifts are exact.
    if ((rest | 0) === rest && rest >= 0) {
      for (; rest >= 0x80; rest >>>= 7) this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
      this.#buffer[this.#length++] = rest;
      return this;
    }
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`a varint cannot hold ${value}`);
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
    return this;
  }

  /** Small negative numbers stay small: 0, −1, 1, −2 … become 0, 1, 2, 3 … */
  zigzag(value: number): this {
    return this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** In UTF-8. */
  text(text: string): this {
    if (text.length > maxShort) return this.bytes(Buffer.from(text));
    this.#reserve(1 + text.length);
    // Most texts are short and ASCII. A loop is faster than a call into Node.
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) return this.bytes(Buffer.from(text));
      this.#buffer[this.#length + 1 + i] = code;
    }
    this.#buffer[this.#length] = text.length;
    this.#length += 1 + text.length;
    return this;
  }

  /** The bytes of hex digits, without a length. */
  hex(digits: string): this {
    this.#reserve(digits.length / 2);
    const written = this.#buffer.write(digits, this.#length, 'hex');
    if (written !== digits.length / 2) throw new Error(`${digits} is not hex`);
    this.#length += written;
    return this;
  }

  get length(): number {
    return this.#length;
  }

  /** A view of the written bytes. It is valid until the next write. */
  done(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + more));
    this.#buffer.copy(grown, 0, 0, this.#length);
    free(this.#buffer);
    this.#buffer = grown;
  }
}

/** The length of an ASCII text of so many characters has one byte. */
const maxShort = 127;

/** Reads the output of ByteWriter. Throws VaultDamage when it reaches the end too early. */
export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  varint(): number {
    const first = this.#buffer[this.#at];
    if (first !== undefined && first < 0x80) {
      this.#at++;
      return first;
    }
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = this.#buffer[this.#at++];
      if (byte === undefined || unit > Number.MAX_SAFE_INTEGER)
        throw new VaultDamage('entries', 'a number is truncated');
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
      unit *= 0x80;
    }
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }

  /** A view of the next bytes, not a copy. */
  raw(length: number): Buffer {
    if (this.#at + length > this.#buffer.length) throw new VaultDamage('entries', 'a byte string is truncated');
    this.#at += length;
    return this.#buffer.subarray(this.#at - length, this.#at);
  }

  bytes(): Buffer {
    return this.raw(this.varint());
  }

  text(encoding: 'utf8' | 'latin1' = 'utf8'): string {
    const length = this.varint();
    return this.#slice(length, encoding);
  }

  /** The next bytes as hex digits. */
  hex(length: number): string {
    return this.#slice(length, 'hex');
  }

  #slice(length: number, encoding: 'utf8' | 'latin1' | 'hex'): string {
    const end = this.#at + length;
    if (end > this.#buffer.length) throw new VaultDamage('entries', 'a byte string is truncated');
    const text = this.#buffer.toString(encoding, this.#at, end);
    this.#at = end;
    return text;
  }

  /** All remaining bytes. */
  rest(): Buffer {
    return this.raw(this.#buffer.length - this.#at);
  }
}

/**
 * Frees the memory of bytes that are no longer used. Without it, V8 collects buffers only after 64 MiB in each thread,
 * and then runs a full collection. Buffers in Node's shared pool stay.
 */
export function free({ buffer, byteLength }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer)) return;
  if (byteLength === buffer.byteLength || buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}
