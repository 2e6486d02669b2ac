/**
 * The pack format (docs/vault-format.md): slots of compressed and encrypted chunks, an encrypted index, and a trailer.
 * A chunk takes one ranged read of its slot, whose header says how to decrypt it.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { gcmDecrypt, gcmEncrypt, tagLength } from '../crypto/gcm.ts';
import { deriveKey } from '../crypto/hkdf.ts';
import type { Blobs, ChunkRef } from '../domain/ports.ts';
import { ByteReader, ByteWriter, free } from './bytes.ts';
import { VaultDamage } from './damage.ts';
import { epochKey, type VaultKeys } from './keys.ts';

/** A slot in the pack's index: its length in the pack, and its chunks in order. */
export type SlotIndex = { stored: number; chunks: { id: string; length: number }[] };

/** Identity and key of one pack. */
export type PackLock = { account: string; pack: string; epoch: number; key: Uint8Array };

const format = 1;
const magic = 'LBPK';
const codecRaw = 0;
const codecZstd = 1;
const slotHeaderLength = 4;
const trailerLength = 16;
/** Bytes that a slot adds to its compressed content. */
const slotOverhead = slotHeaderLength + tagLength;
/** The index is encrypted with the pack's key too. Its nonce is outside the range of slot numbers. */
const footerNonce = 0xffffffff;

export function packBlobKey(account: string, pack: string): string {
  return `packs/${account}/${pack.slice(4, 6)}/${pack}`;
}

/**
 * Each pack has its own key (HKDF over its random id), so slot numbers can be nonces.
 * @throws VaultDamage for an unknown epoch
 */
export function lockPack(keys: VaultKeys, account: string, pack: string, epoch = keys.epoch): PackLock {
  const root = epochKey(keys, epoch, pack);
  return { account, pack, epoch, key: deriveKey(root, 'listbackup/pack/1', { salt: Buffer.from(pack) }) };
}

/**
 * Compresses the content of a slot, if that saves space, and encrypts it. Returns the slot's bytes in parts, to spare
 * the caller a copy. They decrypt only as this slot.
 */
export function encryptSlot(lock: PackLock, slot: number, content: Uint8Array): Uint8Array[] {
  const compressed = looksCompressible(content) ? compress(content, level) : content;
  const useful = compressed.length < content.length * 0.98;
  const header = slotHeader(useful ? codecZstd : codecRaw, lock.epoch);
  const [body, tag] = gcmEncrypt(lock.key, nonce(slot), aad(lock, slot, header), useful ? compressed : content);
  if (compressed !== content) free(compressed);
  return [header, body, tag];
}

/** The chunks of the slot, joined. @throws VaultDamage unless the bytes are exactly that slot of that pack */
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
    throw new VaultDamage('pack', `slot ${slot} of ${pack} has no valid header`, pack);
  }
  const lock = lockPack(keys, account, pack, readEpoch(header, 2));
  const content = gcmDecrypt(lock.key, nonce(slot), aad(lock, slot, header), encrypted.subarray(slotHeaderLength));
  if (!content) throw new VaultDamage('pack', `slot ${slot} of ${pack} does not authenticate`, pack);
  return codec === codecZstd ? zstdDecompressSync(content) : content;
}

/** The end of a pack: the encrypted index of its slots, and the trailer with the index's length. */
export function encryptFooter(lock: PackLock, slots: SlotIndex[]): Uint8Array {
  const index = new ByteWriter().varint(slots.length);
  for (const slot of slots) {
    index.varint(slot.stored).varint(slot.chunks.length);
    for (const chunk of slot.chunks)
      index
        .varint(chunk.id.length / 2)
        .hex(chunk.id)
        .varint(chunk.length);
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

/** The length of the footer with its trailer, read from the trailer: the last 16 bytes of a pack. */
function footerLength(pack: string, trailer: Uint8Array): number {
  const view = Buffer.from(trailer.buffer, trailer.byteOffset, trailer.length);
  if (view.length !== trailerLength || view.toString('latin1', 0, 4) !== magic || view[4] !== format || view[5] !== 0) {
    throw new VaultDamage('pack', `${pack} does not end in a trailer of format ${format}`);
  }
  return view.readUInt32BE(8) + trailerLength;
}

/** The positions of all chunks of the pack, by chunk id. `footer` is the index with the trailer. */
export function decryptFooter(
  keys: VaultKeys,
  account: string,
  pack: string,
  footer: Uint8Array,
  packSize: number,
): Map<string, ChunkRef> {
  const trailer = footer.subarray(Math.max(0, footer.length - trailerLength));
  if (footerLength(pack, trailer) !== footer.length)
    throw new VaultDamage('pack', `the footer of ${pack} does not have the length in its trailer`);
  const lock = lockPack(keys, account, pack, readEpoch(trailer, 6));
  const encrypted = footer.subarray(0, footer.length - trailerLength);
  const index = gcmDecrypt(lock.key, nonce(footerNonce), aad(lock, footerNonce, trailer), encrypted);
  if (!index) throw new VaultDamage('pack', `the index of ${pack} does not authenticate`);
  const { chunks, slotsEnd } = readIndex(pack, index);
  if (slotsEnd + footer.length !== packSize)
    throw new VaultDamage('pack', `${pack} has ${packSize} bytes instead of ${slotsEnd + footer.length}`);
  return chunks;
}

/** The chunks of a stored pack, according to its footer. @throws VaultDamage when it is missing or damaged */
export async function readPackIndex(
  vault: { account: string; keys: VaultKeys; blobs: Blobs },
  pack: string,
): Promise<Map<string, ChunkRef>> {
  const key = packBlobKey(vault.account, pack);
  const size = await vault.blobs.size(key);
  if (size === undefined || size < trailerLength)
    throw new VaultDamage('pack', `${pack} is ${size === undefined ? 'missing' : 'truncated'}`);
  const tail = async (length: number) =>
    (await vault.blobs.get(key, { offset: size - length, length })) ?? new Uint8Array();
  const length = footerLength(pack, await tail(trailerLength));
  if (length > size) throw new VaultDamage('pack', `${pack} is truncated`);
  return decryptFooter(vault.keys, vault.account, pack, await tail(length), size);
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
      const id = reader.bytes().toString('hex');
      const length = reader.varint();
      chunks.set(id, { pack, slot, slotOffset, slotLength, offset, length });
      offset += length;
    }
    slotOffset += slotLength;
  }
  return { chunks, slotsEnd: slotOffset };
}

/** About as small as level 3, in three quarters of the time. The numbers are in docs/adr/engine.md. */
const level = 2;

function compress(bytes: Uint8Array, atLevel: number): Uint8Array {
  // One output buffer for everything is faster than Node's pieces of 16 KiB.
  const chunkSize = bytes.length + (bytes.length >>> 8) + 1024;
  return zstdCompressSync(bytes, { chunkSize, params: { [constants.ZSTD_c_compressionLevel]: atLevel } });
}

const sampleBytes = 1024;
const bytesPerSample = 64 * 1024;

/**
 * Compresses a few samples at the fastest level. It takes a twentieth of the time of a full compression. A slot may
 * hold random bytes and text, so large slots have more samples.
 */
function looksCompressible(bytes: Uint8Array): boolean {
  if (bytes.length < 16 * sampleBytes) return true;
  const count = Math.max(4, Math.ceil(bytes.length / bytesPerSample));
  const step = Math.floor((bytes.length - sampleBytes) / (count - 1));
  const samples = Buffer.concat(
    Array.from({ length: count }, (_, i) => bytes.subarray(i * step, i * step + sampleBytes)),
  );
  return compress(samples, 1).length < samples.length * 0.95;
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
