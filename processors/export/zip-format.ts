/**
 * The records of a zip with stored entries, as in APPNOTE.TXT 6.3.10 of PKWARE, with ZIP64 where a number needs it.
 * Section numbers in comments are those of APPNOTE.
 */

/** An entry as its records need it. `crc` undefined: a descriptor after the content has it. */
export type ZipRecord = {
  name: Uint8Array;
  size: number;
  /** The POSIX mode with the type of the file. */
  mode: number;
  isFolder: boolean;
  /** Milliseconds since the epoch, from 1980 on. */
  modifiedAt: number;
  crc?: number;
};

const max16 = 0xffff;
const max32 = 0xffffffff;
/** Of ZIP64 (4.4.3.2). */
const version = 45;
/** The host system Unix (4.4.2.2), so that readers find the mode. */
const madeBy = (3 << 8) | version;
/** Names are UTF-8 (bit 11), and a descriptor follows the content (bit 3, 4.4.4). */
const [utf8, hasDescriptor] = [1 << 11, 1 << 3];

export function localHeader({ name, size, modifiedAt, crc }: ZipRecord): Uint8Array {
  const isKnown = crc !== undefined;
  const isLarge = size >= max32;
  const extra = [...(isLarge ? [zip64(isKnown ? [size, size] : [0, 0])] : []), ...timeField(modifiedAt)];
  const shown = isLarge ? max32 : size;
  return record(
    0x04034b50,
    ...u16(version, isKnown ? utf8 : utf8 | hasDescriptor, 0, ...dosTime(modifiedAt)),
    ...u32(crc ?? 0, isKnown || isLarge ? shown : 0, isKnown || isLarge ? shown : 0),
    ...u16(name.length, lengthOf(extra)),
    name,
    ...extra,
  );
}

/** 4.3.9: sizes have 8 bytes if the local header has the ZIP64 field. */
export function descriptor({ size }: ZipRecord, crc: number): Uint8Array {
  return record(0x08074b50, ...u32(crc), ...(size >= max32 ? u64(size, size) : u32(size, size)));
}

/** `at`: the position of the local header. `crc`: undefined in `entry` if a descriptor was written. */
export function directoryRecord(entry: ZipRecord, crc: number, at: number): Uint8Array {
  const { name, size, mode, isFolder, modifiedAt } = entry;
  const large = [...(size >= max32 ? [size, size] : []), ...(at >= max32 ? [at] : [])];
  const extra = [...(large.length > 0 ? [zip64(large)] : []), ...timeField(modifiedAt)];
  return record(
    0x02014b50,
    ...u16(madeBy, version, entry.crc === undefined ? utf8 | hasDescriptor : utf8, 0, ...dosTime(modifiedAt)),
    ...u32(crc, Math.min(size, max32), Math.min(size, max32)),
    ...u16(name.length, lengthOf(extra), 0, 0, 0),
    ...u32(((mode << 16) | (isFolder ? 0x10 : 0)) >>> 0, Math.min(at, max32)),
    name,
    ...extra,
  );
}

/** The records after the directory, which has `length` bytes from the position `start` on. */
export function directoryEnd(entries: number, start: number, length: number): Uint8Array {
  const isLarge = entries >= max16 || start >= max32 || length >= max32;
  const end = record(
    0x06054b50,
    ...u16(0, 0, Math.min(entries, max16), Math.min(entries, max16)),
    ...u32(Math.min(length, max32), Math.min(start, max32)),
    ...u16(0),
  );
  if (!isLarge) return end;
  const large = record(
    0x06064b50,
    ...u64(44),
    ...u16(madeBy, version),
    ...u32(0, 0),
    ...u64(entries, entries, length, start),
  );
  const locator = record(0x07064b50, ...u32(0), ...u64(start + length), ...u32(1));
  return Buffer.concat([large, locator, end]);
}

/** 4.5.3 */
function zip64(numbers: number[]): Uint8Array {
  return Buffer.concat([...u16(1, 8 * numbers.length), ...u64(...numbers)]);
}

/** The field UT (4.6.1): seconds of the modification, in UTC. It holds times until 2038. */
function timeField(modifiedAt: number): Uint8Array[] {
  const seconds = Math.floor(modifiedAt / 1000);
  return seconds > 0x7fffffff ? [] : [Buffer.concat([...u16(0x5455, 5), Uint8Array.of(1), ...u32(seconds)])];
}

/** Time and date (4.4.6) in UTC, from 1980 to 2107. */
function dosTime(modifiedAt: number): [number, number] {
  const at = new Date(Math.min(modifiedAt, Date.UTC(2107, 11, 31)));
  return [
    (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
    ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
  ];
}

function record(signature: number, ...fields: Uint8Array[]): Uint8Array {
  return Buffer.concat([...u32(signature), ...fields]);
}

function lengthOf(fields: Uint8Array[]): number {
  return fields.reduce((sum, { length }) => sum + length, 0);
}

function u16(...numbers: number[]): Uint8Array[] {
  return numbers.map((number) => {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(number);
    return bytes;
  });
}

function u32(...numbers: number[]): Uint8Array[] {
  return numbers.map((number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(number);
    return bytes;
  });
}

function u64(...numbers: number[]): Uint8Array[] {
  return numbers.map((number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(number));
    return bytes;
  });
}
