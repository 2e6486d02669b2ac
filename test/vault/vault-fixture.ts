/** An account's vault in memory, and pseudo-random content that is the same in every run. */
import { createCipheriv, createHash } from 'node:crypto';
import { compareEntries, impliedEntry, parentOf } from '../../domain/entry.ts';
import type { Blobs, ChunkRef, Records } from '../../domain/ports.ts';
import { borders, chunkSizes, type GearTable } from '../../vault/chunker.ts';
import { encryptBytes } from '../../vault/encrypted-bytes.ts';
import type { FoundEntry } from '../../vault/entry.ts';
import { forwardKey } from '../../vault/forward.ts';
import { deriveVaultKeys, type VaultKeys } from '../../vault/keys.ts';
import type { Change } from '../../vault/manifest.ts';
import { presentPacks, registerPack } from '../../vault/pack-registry.ts';
import { memoryBody, openPacker, type PackerOptions } from '../../vault/packer.ts';
import { openWriter, type StoredFile } from '../../vault/writer.ts';
import { memoryBlobs, memoryChunks, memoryRecords } from '../support/memory-ports.ts';

export const account = 'acc_00000000000000000000000001';
export const keys = deriveVaultKeys(new Uint8Array(32).fill(7));
export const otherKeys = deriveVaultKeys(new Uint8Array(32).fill(8));

/** Incompressible bytes that depend only on the seed. */
export function noise(length: number, seed: number | string = 0): Uint8Array {
  const key = createHash('sha256').update(`noise ${seed}`).digest();
  return new Uint8Array(createCipheriv('aes-256-ctr', key, new Uint8Array(16)).update(new Uint8Array(length)));
}

/** Random bytes for ids: without repeats within a test, and the same in every test. */
export function countingRandom(seed = 'ids'): (bytes: number) => Uint8Array {
  let calls = 0;
  return (bytes) => noise(bytes, `${seed} ${calls++}`);
}

export function memoryVault(seed = 'ids') {
  return {
    ...{ account, keys, random: countingRandom(seed) },
    ...{ blobs: memoryBlobs(), records: memoryRecords(), chunks: memoryChunks() },
  };
}

export async function* sliced(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export async function gather(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await collect(parts));
}

export function found(key: string, more: Partial<FoundEntry> = {}): FoundEntry {
  const kind = key.endsWith('/') ? 'folder' : 'file';
  return {
    key,
    kind,
    size: 0,
    modifiedAt: '2026-01-02T03:04:05.678Z',
    revision: 'r1',
    runId: 'run_1',
    at: '2026-02-01T00:00:00.000Z',
    ...more,
  };
}

/** In the order of entries, in one batch. */
export async function* changesOf(changes: Change[]): AsyncGenerator<Change[]> {
  yield changes.toSorted((a, b) => compareEntries(keyOfChange(a), keyOfChange(b)));
}

function keyOfChange(change: Change): string {
  return 'put' in change ? change.put.key : change.delete;
}

/** The folders on the way to the keys that are not among them, as changes. */
export function impliedBy(keys: string[], run = { runId: 'run_1', at: '2026-02-01T00:00:00.000Z' }): Change[] {
  const known = new Set(['', ...keys]);
  const implied: Change[] = [];
  for (const key of keys)
    for (let folder = parentOf(key); !known.has(folder); folder = parentOf(folder)) {
      known.add(folder);
      implied.push({ put: { ...impliedEntry(folder), ...run } });
    }
  return implied;
}

/** The folders that only deleted keys imply. */
export function emptied(live: string[], deleted: string[]): string[] {
  const needed = new Set(impliedBy(live).map(keyOfChange));
  return impliedBy(deleted)
    .map(keyOfChange)
    .filter((key) => !needed.has(key) && !live.includes(key));
}

export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/** The chunks of the stream, cut as those of a file of that size. */
export async function* chunk(
  input: AsyncIterable<Uint8Array>,
  gear: GearTable,
  fileSize = 0,
): AsyncGenerator<Uint8Array> {
  const border = borders(gear, chunkSizes(fileSize));
  let parts: Uint8Array[] = [];
  for await (const slice of input) {
    let from = 0;
    for (let to = border(slice, 0); to >= 0; to = from < slice.length ? border(slice, from) : -1) {
      yield Buffer.concat([...parts, slice.subarray(from, to)]);
      parts = [];
      from = to;
    }
    if (from < slice.length) parts.push(slice.subarray(from));
  }
  if (parts.length > 0) yield Buffer.concat(parts);
}

/** A packer and a writer over the vault. `finish` closes the packer. `store` takes the slices of one file. */
export function openTestWriter(
  vault: Omit<PackerOptions, 'register' | 'present' | 'openBody'> & { records: Records; blobs: Blobs },
  run = 'run_1',
) {
  const packer = openPacker({
    ...vault,
    register: (pack, record) => registerPack(vault, pack, record),
    present: (packs) => presentPacks(vault, packs),
    openBody: () => memoryBody(vault.blobs),
  });
  const writer = openWriter(packer, vault.keys, run);
  return {
    ...writer,
    packer,
    async store(content: AsyncIterable<Uint8Array>, fileSize = 0): Promise<StoredFile> {
      const stream = writer.stream(fileSize);
      for await (const slice of content) await stream.push(slice);
      return stream.end();
    },
    finish() {
      packer.close();
      return writer.finish();
    },
  };
}

/** The blob of a forward. `moves` pairs old and new positions of the pack's chunks. */
export function encodeForward(
  keys: VaultKeys,
  account: string,
  pack: string,
  moves: { from: ChunkRef; to: ChunkRef }[],
): Uint8Array {
  const packs = [...new Set(moves.map(({ to }) => to.pack))];
  const chunks = moves.map(({ from, to }) => {
    return [from.slot, from.offset, packs.indexOf(to.pack), to.slot, to.slotOffset, to.slotLength, to.offset];
  });
  return encryptBytes(keys, forwardKey(account, pack), Buffer.from(JSON.stringify({ format: 1, packs, chunks })));
}
