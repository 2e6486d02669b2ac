/**
 * The chunker's inner loop as WebAssembly, about five times as fast as the same loop in JavaScript. The code is
 * assembled here in the binary format of the WebAssembly core specification 1.0, section 5. This is its text:
 *
 *     (module
 *       (memory (export "memory") 2)    ;; gear table at 0, hash at hashAt, bytes from bytesAt on
 *       (func (export "roll") (param $at i32) (param $end i32) (param $mask i32) (param $h i32) (result i32)
 *         (loop
 *           (if (i32.lt_u (local.get $at) (local.get $end)) (then
 *             ;; `unrolled` times, with k = 0, 1, 2 …
 *             (if (i32.eqz (i32.and (local.get $mask) (local.tee $h (i32.add
 *                   (i32.shl (local.get $h) (i32.const 1))
 *                   (i32.load (i32.shl (i32.load8_u offset=k (local.get $at)) (i32.const 2)))))))
 *               (then (return (i32.add (local.get $at) (i32.const k + 1)))))
 *             (local.set $at (i32.add (local.get $at) (i32.const unrolled)))
 *             (br 1))))
 *         (i32.store (i32.const hashAt) (local.get $h))
 *         (i32.const -1)))
 */

const hashAt = 1024;
const bytesAt = 2048;
/** Bytes per call. With the table they fit in two WebAssembly pages (128 KiB) and in the cache of a core. */
const window = 64 * 1024;
const unrolled = 8;

/**
 * Rolls the hash over the bytes. Returns the offset after the first byte where the masked bits of the hash are 0. If
 * there is none, it returns −1 and updates `rolling.hash`.
 */
export type Roll = (slice: Uint8Array, from: number, to: number, mask: number, rolling: { hash: number }) => number;

/** One instance per gear table. Calls are synchronous, so they can share its memory. */
export function rollOf(gear: Int32Array): Roll {
  const known = rolls.get(gear);
  if (known) return known;
  const { memory, roll } = new Instance(compiled()).exports;
  new Int32Array(memory.buffer).set(gear);
  const hash = new Int32Array(memory.buffer, hashAt, 1);
  const bytes = new Uint8Array(memory.buffer, bytesAt);

  const made: Roll = (slice, from, to, mask, rolling) => {
    let at = from;
    while (at < to) {
      const length = Math.min(window, to - at);
      const whole = length - (length % unrolled);
      if (whole > 0) {
        bytes.set(slice.subarray(at, at + whole));
        const found = roll(bytesAt, bytesAt + whole, mask, rolling.hash);
        if (found >= 0) return at + found - bytesAt;
        rolling.hash = hash[0] as number;
        at += whole;
      }
      if (whole === length) continue;
      for (; at < to; at++) {
        rolling.hash = ((rolling.hash << 1) + (gear[slice[at] as number] as number)) | 0;
        if ((rolling.hash & mask) === 0) return at + 1;
      }
    }
    return -1;
  };
  rolls.set(gear, made);
  return made;
}

type Code = (at: number, end: number, mask: number, hash: number) => number;
/** The part of WebAssembly used here. Neither Node nor ECMAScript declares types for it. */
type WebAssemblyOf = {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: { memory: { buffer: ArrayBuffer }; roll: Code } };
};
const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyOf }).WebAssembly;

const rolls = new WeakMap<Int32Array, Roll>();
let code: object | undefined;

function compiled(): object {
  code ??= new Module(assemble());
  return code;
}

const i32 = 0x7f;
const [at, end, mask, h] = [0, 1, 2, 3];
const ops = {
  loop: [0x03, 0x40],
  if: [0x04, 0x40],
  end: 0x0b,
  return: 0x0f,
  again: [0x0c, 1],
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  /** Alignment 4, no offset. */
  load: [0x28, 2, 0],
  /** Alignment 1. Its offset follows. */
  load8: [0x2d, 0],
  store: [0x36, 2, 0],
  constant: 0x41,
  isZero: 0x45,
  less: 0x49,
  add: 0x6a,
  and: 0x71,
  shl: 0x74,
};

function assemble(): Uint8Array<ArrayBuffer> {
  const step = (k: number) => [
    ...[ops.get, h, ops.constant, 1, ops.shl],
    ...[ops.get, at, ...ops.load8, k, ops.constant, 2, ops.shl, ...ops.load],
    ...[ops.add, ops.tee, h, ops.get, mask, ops.and, ops.isZero],
    ...[...ops.if, ops.get, at, ops.constant, k + 1, ops.add, ops.return, ops.end],
  ];
  const body = [
    0, // no locals besides the parameters
    ...[...ops.loop, ops.get, at, ops.get, end, ops.less, ...ops.if],
    ...Array.from({ length: unrolled }, (_, k) => step(k)).flat(),
    ...[ops.get, at, ops.constant, unrolled, ops.add, ops.set, at, ...ops.again, ops.end, ops.end],
    ...[ops.constant, ...signed(hashAt), ops.get, h, ...ops.store, ops.constant, 0x7f, ops.end],
  ];
  return Uint8Array.from([
    ...[0, ...ascii('asm'), 1, 0, 0, 0],
    ...section(1, [1, 0x60, 4, i32, i32, i32, i32, 1, i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 2]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('roll'), 0, 0]),
    ...section(10, [1, ...sized(body)]),
  ]);
}

const section = (id: number, content: number[]) => [id, ...sized(content)];
const sized = (content: number[]) => [...unsigned(content.length), ...content];
const ascii = (text: string) => [...Buffer.from(text, 'latin1')];
const name = (text: string) => sized(ascii(text));

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** Signed LEB128. Bit 6 of the last byte is the sign. */
function signed(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
