/** Writes and reads byte strings: LEB128 varints (up to 2^53), and length-prefixed bytes and text. */
import { VaultDamage } from './damage.ts';

export class ByteWriter {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;

  /** Throws for numbers that are negative, fractional or beyond 2^53. */
  varint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`a varint cannot hold ${value}`);
    this.#reserve(8);
    let rest = value;
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

  text(text: string): this {
    return this.bytes(Buffer.from(text));
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
    this.#buffer = grown;
  }
}

/** Reads what ByteWriter wrote. Throws VaultDamage when it reaches the end too early. */
export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  varint(): number {
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

  text(): string {
    return this.bytes().toString();
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
