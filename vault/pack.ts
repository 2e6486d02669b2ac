/**
 * The pack: slots of compressed, encrypted chunks, then an encrypted index of them, then a trailer (docs/vault-format.md). Pure
 * functions; a chunk is read with one ranged read of its slot, which says of itself how it is to be opened.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { base32, fromBase32 } from '../crypto/base32.ts';
import { gcmDecrypt, gcmEncrypt, tagLength } from '../crypto/gcm.ts';
import { deriveKey } from '../crypto/hkdf.ts';
import { ByteReader, ByteWriter, free } from './bytes.ts';
import { VaultDamage } from './damage.ts';
import { epochKey, type VaultKeys } from './keys.ts';

/** Where a chunk rests: the slot's byte range in the pack, and the chunk's range in what the slot holds. Enough to read it. */
export type ChunkRef = {
  pack: string;
  slot: number;
  slotOffset: number;
  slotLength: number;
  offset: number;
  length: number;
};

/** A slot as the pack's index lists it: chunks follow one another in what it holds. */
export type SlotIndex = { stored: number; chunks: { id: string; length: number }[] };

/** What identifies and locks one pack. Plain data, so that a worker thread can seal slots. */
export type PackLock = { account: string; pack: string; epoch: number; key: Uint8Array };

const format = 1;
const magic = 'LBPK';
const codecRaw = 0;
const codecZstd = 1;
const slotHeaderLength = 4;
export const trailerLength = 16;
/** What a slot adds to its compressed content. */
export const slotOverhead = slotHeaderLength + tagLength;
/** The index is sealed under the pack's key too; its nonce is out of the slots' range. */
const footerNonce = 0xffffffff;

export function packBlobKey(account: string, pack: string): string {
  return `packs/${account}/${pack.slice(4, 6)}/${pack}`;
}

/** A pack's key is its own (HKDF over its random id), so slot numbers can be nonces. VaultDamage when the epoch is unknown. */
export function lockPack(keys: VaultKeys, account: string, pack: string, epoch = keys.epoch): PackLock {
  const root = epochKey(keys, epoch);
  if (!root) throw new VaultDamage('pack', `${pack} names the unknown key epoch ${epoch}`);
  return { account, pack, epoch, key: deriveKey(root, 'listbackup/pack/1', { salt: Buffer.from(pack) }) };
}

/** The chunks of one group, compressed together unless that gains nothing, encrypted for this slot of this pack alone. */
export function encryptSlot(lock: PackLock, slot: number, chunks: Uint8Array[]): Uint8Array {
  const [only] = chunks;
  const { header, body, tag } = encryptSlotParts(
    lock,
    slot,
    chunks.length === 1 && only ? only : Buffer.concat(chunks),
  );
  const encrypted = Buffer.concat([header, body, tag]);
  free(body);
  return encrypted;
}

/** What `sealSlot` makes of that content, in the pieces it consists of; the body is never longer than the content. */
export function encryptSlotParts(
  lock: PackLock,
  slot: number,
  content: Uint8Array,
): { header: Uint8Array; body: Uint8Array; tag: Uint8Array } {
  const compressed = looksCompressible(content) ? compress(content, level) : content;
  const useful = compressed.length < content.length * 0.98;
  const header = slotHeader(useful ? codecZstd : codecRaw, lock.epoch);
  const [body, tag] = gcmEncrypt(lock.key, nonce(slot), aad(lock, slot, header), useful ? compressed : content);
  if (compressed !== content) free(compressed);
  return { header, body, tag };
}

/** What the slot holds: its chunks one after another. VaultDamage for bytes that are not exactly that slot of that pack. */
export function decryptSlot(
  keys: VaultKeys,
  account: string,
  pack: string,
  slot: number,
  encrypted: Uint8Array,
): Uint8Array {
  const header = encrypted.subarray(0, slotHeaderLength);
  const codec = header[1];
  if (encrypted.length < slotOverhead || header[0] !== format || (codec !== codecRaw && codec !== codecZstd)) {
    throw new VaultDamage('pack', `slot ${slot} of ${pack} has no valid header`);
  }
  const lock = lockPack(keys, account, pack, readEpoch(header, 2));
  const content = gcmDecrypt(lock.key, nonce(slot), aad(lock, slot, header), encrypted.subarray(slotHeaderLength));
  if (!content) throw new VaultDamage('pack', `slot ${slot} of ${pack} does not authenticate`);
  return codec === codecZstd ? zstdDecompressSync(content) : content;
}

/** What follows the slots: their index, encrypted, and the trailer that tells how long it is. */
export function encryptFooter(lock: PackLock, slots: SlotIndex[]): Uint8Array {
  const index = new ByteWriter().varint(slots.length);
  for (const slot of slots) {
    index.varint(slot.stored).varint(slot.chunks.length);
    for (const chunk of slot.chunks) index.bytes(idBytes(chunk.id)).varint(chunk.length);
  }
  const trailer = Buffer.alloc(trailerLength);
  trailer.write(magic, 0, 'latin1');
  trailer[4] = format;
  trailer.writeUInt16BE(lock.epoch, 6);
  trailer.writeUInt32BE(index.length + tagLength, 8);
  trailer.writeUInt32BE(slots.length, 12);
  return Buffer.concat([
    ...gcmEncrypt(lock.key, nonce(footerNonce), aad(lock, footerNonce, trailer), index.done()),
    trailer,
  ]);
}

/** How many bytes the footer has, trailer included, by the last 16 bytes of a pack. */
export function footerLength(pack: string, trailer: Uint8Array): number {
  const view = Buffer.from(trailer.buffer, trailer.byteOffset, trailer.length);
  if (view.length !== trailerLength || view.toString('latin1', 0, 4) !== magic || view[4] !== format || view[5] !== 0) {
    throw new VaultDamage('pack', `${pack} does not end in a trailer of format ${format}`);
  }
  return view.readUInt32BE(8) + trailerLength;
}

/** Every chunk of the pack and where it rests, from the footer (index and trailer) and the size of the whole pack. */
export function decryptFooter(
  keys: VaultKeys,
  account: string,
  pack: string,
  footer: Uint8Array,
  packSize: number,
): Map<string, ChunkRef> {
  const trailer = footer.subarray(Math.max(0, footer.length - trailerLength));
  if (footerLength(pack, trailer) !== footer.length)
    throw new VaultDamage('pack', `the footer of ${pack} has another length`);
  const lock = lockPack(keys, account, pack, readEpoch(trailer, 6));
  const encrypted = footer.subarray(0, footer.length - trailerLength);
  const index = gcmDecrypt(lock.key, nonce(footerNonce), aad(lock, footerNonce, trailer), encrypted);
  if (!index) throw new VaultDamage('pack', `the index of ${pack} does not authenticate`);
  const { chunks, slotsEnd } = readIndex(pack, index);
  if (slotsEnd + footer.length !== packSize)
    throw new VaultDamage('pack', `${pack} has ${packSize} bytes instead of ${slotsEnd + footer.length}`);
  return chunks;
}

function readIndex(pack: string, index: Uint8Array): { chunks: Map<string, ChunkRef>; slotsEnd: number } {
  const reader = new ByteReader(index);
  const chunks = new Map<string, ChunkRef>();
  const slots = reader.varint();
  let slotOffset = 0;
  for (let slot = 0; slot < slots; slot++) {
    const slotLength = reader.varint();
    let offset = 0;
    for (let left = reader.varint(); left > 0; left--) {
      const id = base32(reader.bytes());
      const length = reader.varint();
      chunks.set(id, { pack, slot, slotOffset, slotLength, offset, length });
      offset += length;
    }
    slotOffset += slotLength;
  }
  return { chunks, slotsEnd: slotOffset };
}

/** Of logs and JSON in 1 MiB, level 2 makes as few bytes as 3 (20.6 and 30.6 % against 21.5 and 30.2 %) in three quarters of the time; 1 saves little more. */
const level = 2;

function compress(bytes: Uint8Array, atLevel: number): Uint8Array {
  // With room for all of it in one piece, zstd need not hand it over in pieces of 16 KiB.
  const chunkSize = bytes.length + (bytes.length >>> 8) + 1024;
  return zstdCompressSync(bytes, { chunkSize, params: { [constants.ZSTD_c_compressionLevel]: atLevel } });
}

const sample = 1024;

/** Four samples of 1 KiB, spread over it, at zstd's fastest: a twentieth of the time that trying all of it would take. */
function looksCompressible(bytes: Uint8Array): boolean {
  if (bytes.length < 16 * sample) return true;
  const step = Math.floor((bytes.length - sample) / 3);
  const probe = Buffer.concat([0, 1, 2, 3].map((i) => bytes.subarray(i * step, i * step + sample)));
  return compress(probe, 1).length < probe.length * 0.95;
}

function slotHeader(codec: number, epoch: number): Uint8Array {
  return Uint8Array.of(format, codec, epoch >>> 8, epoch & 0xff);
}

function readEpoch(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function nonce(slot: number): Uint8Array {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(slot, 8);
  return bytes;
}

function aad(lock: PackLock, slot: number, header: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${lock.account}/${lock.pack}/${slot}\n`), header]);
}

function idBytes(id: string): Uint8Array {
  const bytes = fromBase32(id);
  if (!bytes) throw new Error(`not a chunk id: ${id}`);
  return bytes;
}
