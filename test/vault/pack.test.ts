import { describe, expect, it } from 'vitest';
import { makeId } from '../../crypto/ids.ts';
import type { ChunkRef } from '../../domain/ports.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { deriveVaultKeys } from '../../vault/keys.ts';
import { decryptFooter, decryptSlot, encryptFooter, encryptSlot, lockPack, type PackLock } from '../../vault/pack.ts';
import { account, flipped, keys, noise, otherKeys } from './vault-fixture.ts';

const pack = makeId('pack', noise(16, 'pack'));
const id = (n: number) => Buffer.from(noise(20, `id ${n}`)).toString('hex');
const text = new TextEncoder().encode('All work and no play makes Jack a dull boy. '.repeat(20));
const groups = [[text, noise(40, 1)], [noise(300, 2)], [text, text.slice(0, 99), noise(7, 3)]];

/** Bytes that a slot adds to its compressed content: header and tag. */
const slotOverhead = 20;
const trailerLength = 16;

const slotOf = (lock: PackLock, slot: number, chunks: Uint8Array[]) =>
  Buffer.concat(encryptSlot(lock, slot, Buffer.concat(chunks)));

/** The footer with its trailer, whose length the trailer has. */
function footerOf(bytes: Uint8Array): Uint8Array {
  const trailer = Buffer.from(bytes.subarray(-trailerLength));
  return bytes.subarray(-trailerLength - (trailer.length === trailerLength ? trailer.readUInt32BE(8) : 0));
}

function build(lock = lockPack(keys, account, pack)) {
  const slots = groups.map((group, number) => slotOf(lock, number, group));
  const index = groups.map((group, slot) => ({
    stored: slots[slot]?.length ?? 0,
    chunks: group.map((chunk, n) => ({ id: id(10 * slot + n), length: chunk.length })),
  }));
  return Buffer.concat([...slots, encryptFooter(lock, index)]);
}

function readIndex(bytes: Uint8Array, as = { keys, account, pack }): Map<string, ChunkRef> {
  return decryptFooter(as.keys, as.account, as.pack, footerOf(bytes), bytes.length);
}

function readChunk(bytes: Uint8Array, ref: ChunkRef | undefined, as = { keys, account, pack }): Buffer {
  if (!ref) throw new Error('the index does not have the chunk');
  const slot = decryptSlot(
    as.keys,
    as.account,
    as.pack,
    ref.slot,
    bytes.subarray(ref.slotOffset, ref.slotOffset + ref.slotLength),
  );
  return Buffer.from(slot.subarray(ref.offset, ref.offset + ref.length));
}

describe('pack', () => {
  const bytes = build();
  const index = readIndex(bytes);
  const chunks = groups.flatMap((group, slot) => group.map((chunk, n) => [id(10 * slot + n), chunk] as const));

  it('returns every chunk at the position in its index', () => {
    expect([...index.keys()]).toEqual(chunks.map(([name]) => name));
    for (const [name, chunk] of chunks) expect(readChunk(bytes, index.get(name)).equals(chunk)).toBe(true);
  });

  it('compresses the chunks of a group together, and stores incompressible chunks as they are', () => {
    const lock = lockPack(keys, account, pack);
    const alone = slotOf(lock, 0, [text]).length;
    expect(slotOf(lock, 0, [text, text]).length).toBeLessThan(alone * 1.2);
    expect(slotOf(lock, 0, [noise(300_000)]).length).toBe(300_000 + slotOverhead);
    expect(slotOf(lock, 0, [new Uint8Array(300_000)]).length).toBeLessThan(500);
  });

  it('compresses the text between random bytes', () => {
    const words = Buffer.alloc(150_000, text);
    const slot = slotOf(lockPack(keys, account, pack), 0, [noise(450_000, 1), words, noise(450_000, 2)]);
    expect(slot.length).toBeLessThan(905_000);
  });

  it('detects each flipped byte and returns no wrong bytes', () => {
    for (let at = 0; at < bytes.length; at++) {
      const bad = flipped(bytes, at);
      let damaged = 0;
      for (const [name, chunk] of chunks) {
        try {
          expect(readChunk(bad, index.get(name)).equals(chunk)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(VaultDamage);
          damaged++;
        }
      }
      try {
        expect(readIndex(bad)).toEqual(index);
      } catch (error) {
        expect(error).toBeInstanceOf(VaultDamage);
        damaged++;
      }
      expect(damaged, `byte ${at}`).toBeGreaterThan(0);
    }
  });

  it('detects each truncation', () => {
    const last = index.get(id(22));
    for (let length = 0; length < bytes.length; length++) {
      const short = bytes.subarray(0, length);
      expect(() => readIndex(short), `index of ${length} bytes`).toThrow(VaultDamage);
      if (length < (last?.slotOffset ?? 0) + (last?.slotLength ?? 0))
        expect(() => readChunk(short, last)).toThrow(VaultDamage);
    }
  });

  it('detects bytes inserted or removed between slots and footer', () => {
    for (const size of [bytes.length - 1, bytes.length + 1])
      expect(() => decryptFooter(keys, account, pack, footerOf(bytes), size)).toThrow(/instead of/);
  });

  it('does not decrypt a slot as another slot, or with another pack, account or key', () => {
    const ref = index.get(id(10));
    const other = makeId('pack', noise(16, 'other'));
    expect(() => readChunk(bytes, ref && { ...ref, slot: 0 })).toThrow(VaultDamage);
    expect(() => readChunk(bytes, ref, { keys, account, pack: other })).toThrow(VaultDamage);
    expect(() => readChunk(bytes, ref, { keys, account: 'acc_other', pack })).toThrow(VaultDamage);
    expect(() => readChunk(bytes, ref, { keys: otherKeys, account, pack })).toThrow(VaultDamage);
    expect(() => readIndex(bytes, { keys, account, pack: other })).toThrow(VaultDamage);
  });

  it('decrypts slots of an earlier key epoch, and names an unknown epoch', () => {
    const rotated = deriveVaultKeys(new Uint8Array(32).fill(7), 2);
    expect(readIndex(bytes, { keys: rotated, account, pack })).toEqual(index);
    const newer = build(lockPack(rotated, account, pack));
    expect(readIndex(newer, { keys: rotated, account, pack }).size).toBe(index.size);
    expect(() => readIndex(newer)).toThrow(/unknown key epoch 2/);
    expect(newer.subarray(4, 40).equals(bytes.subarray(4, 40))).toBe(false);
  });
});
