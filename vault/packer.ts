/**
 * Turns chunks into durable packs: dedup → group → compress and encrypt → pack → registry → blob → index. One packer
 * serves all batches of an account that a thread has in hand, so that small batches share packs.
 */
import { makeId } from '../crypto/ids.ts';
import type { Blobs, ChunkIndex, ChunkRef } from '../domain/ports.ts';
import { free } from './bytes.ts';
import type { VaultKeys } from './keys.ts';
import { encryptFooter, encryptSlot, lockPack, type PackLock, packBlobKey, type SlotIndex } from './pack.ts';
import type { PackRecord } from './pack-registry.ts';

/** Receives the bytes of a pack. */
export type PackBody = {
  append(bytes: Uint8Array): void;
  /** Stores the bytes as a blob. Durable when it resolves. */
  store(key: string): Promise<void>;
  /** Frees the resources of a body that is not stored. */
  drop(): void;
};

/** The ports and functions of a packer. Each thread gives its own. */
export type PackerTools = {
  chunks: ChunkIndex;
  /** Writes the record of a pack, see `registerPack`. */
  register(pack: string, record: PackRecord): Promise<void>;
  /** See `presentPacks`. */
  present(packs: string[]): Promise<Set<string>>;
  openBody(): PackBody;
  /** Cryptographically strong: pack ids, and with them pack keys, come from it. */
  random(bytes: number): Uint8Array;
};

export type PackerOptions = PackerTools & {
  account: string;
  keys: VaultKeys;
  /** Bytes at which a pack is closed. */
  packSize?: number;
};

/** Chunks compressed together. Its position is known once its pack is durable. */
export type Slot = SlotIndex & { pack: OpenPack; number: number; offset: number; chunks: Placed[] };

export type OpenPack = {
  id: string;
  /** The run that opened the pack. */
  run: string;
  lock: PackLock;
  body: PackBody;
  slots: Slot[];
  /** Bytes of content, and bytes of the blob so far. */
  raw: number;
  size: number;
  chunks: number;
  /** Resolves when blob and index are durable. */
  durable: Promise<void>;
  state: 'open' | 'durable' | { failed: unknown };
  /** Whether a batch has counted its requests. */
  counted: boolean;
  close(): void;
};

/** A chunk in a slot of this packer. `counted`: whether a batch has counted its bytes as new. */
export type Placed = { id: string; slot: Slot; offset: number; length: number; counted: boolean };

/** The position of a chunk: in a slot of this packer, or as the index has it. */
export type Placement = Placed | ChunkRef;

export type Packer = {
  /**
   * Finds or adds the chunks, of at most 16 MiB each. The caller may overwrite the bytes once it resolves. The
   * chunks are durable when the packs of their slots are.
   */
  add(run: string, chunks: { id: string; bytes: Uint8Array }[]): Promise<Placement[]>;
  /** Closes the open pack, so that it becomes durable soon. */
  close(): void;
};

/** A group is closed at this size: more would compress little better and cost more to read one small file from. */
const groupSize = 1024 * 1024;
/** A chunk from this size on gets a slot of its own. */
export const loneChunk = 512 * 1024;
const usualPackSize = 24 * 1024 * 1024;
/** A pack is closed before a chunk that might bring it above this size. */
const maxPackSize = 32 * 1024 * 1024;
const maxChunksInPack = 65_536;
const maxUploads = 2;

export function openPacker(options: PackerOptions): Packer {
  const { account, keys, chunks: index, packSize = usualPackSize } = options;
  /** Chunks that are not in the index yet. */
  const pending = new Map<string, Placed>();
  /** Packs that were found present. */
  const present = new Set<string>();
  const uploads = new Set<Promise<void>>();
  let pack: OpenPack | undefined;
  let group: Slot | undefined;
  let content: Buffer | undefined;
  let grouped = 0;

  async function add(run: string, chunks: { id: string; bytes: Uint8Array }[]): Promise<Placement[]> {
    while (uploads.size >= maxUploads) await Promise.race(uploads);
    const unknown = chunks.map(({ id }) => id).filter((id) => !pending.has(id));
    const found = unknown.length > 0 ? await lookUp(unknown) : undefined;
    return chunks.map(({ id, bytes }) => pending.get(id) ?? found?.get(id) ?? append(run, id, bytes));
  }

  /** Finds positions in the index. Leaves out positions in packs that are not present. */
  async function lookUp(ids: string[]): Promise<Map<string, ChunkRef>> {
    const found = await index.find(account, ids);
    const unchecked = new Set([...found.values()].map((ref) => ref.pack).filter((id) => !present.has(id)));
    if (unchecked.size > 0) for (const id of await options.present([...unchecked])) present.add(id);
    for (const [id, ref] of found) if (!present.has(ref.pack)) found.delete(id);
    return found;
  }

  function append(run: string, id: string, bytes: Uint8Array): Placed {
    if (pack && pack.size + grouped + bytes.length > maxPackSize) close();
    pack ??= newPack(run);
    const alone = bytes.length >= loneChunk;
    const slot = alone ? newSlot(pack) : (group ?? newSlot(pack));
    const placement = { id, slot, offset: alone ? 0 : grouped, length: bytes.length, counted: false };
    slot.chunks.push(placement);
    pack.chunks++;
    pending.set(id, placement);
    if (alone) encrypt(slot, bytes);
    else {
      group = slot;
      content ??= Buffer.allocUnsafeSlow(groupSize + loneChunk);
      content.set(bytes, grouped);
      grouped += bytes.length;
      if (grouped >= groupSize) closeGroup();
    }
    if (pack && (pack.size + grouped >= packSize || pack.chunks >= maxChunksInPack)) close();
    return placement;
  }

  function closeGroup(): void {
    if (!group || !content) return;
    const slot = group;
    const length = grouped;
    group = undefined;
    grouped = 0;
    encrypt(slot, content.subarray(0, length));
  }

  function encrypt(slot: Slot, bytes: Uint8Array): void {
    const into = slot.pack;
    slot.number = into.slots.length;
    slot.offset = into.size;
    into.slots.push(slot);
    into.raw += bytes.length;
    try {
      for (const part of encryptSlot(into.lock, slot.number, bytes)) {
        into.body.append(part);
        slot.stored += part.length;
        // Garbage of this size would start a full collection for every few slots.
        free(part);
      }
    } catch (error) {
      abandon(into, error);
      throw error;
    }
    into.size += slot.stored;
  }

  /** After a failed append nobody knows where the next slot would start. So nothing more joins the pack. */
  function abandon(failed: OpenPack, error: unknown): void {
    failed.state = { failed: error };
    if (pack === failed) {
      pack = undefined;
      group = undefined;
      grouped = 0;
    }
    failed.close();
  }

  function newPack(run: string): OpenPack {
    const id = makeId('pack', options.random(16));
    const { promise, resolve } = Promise.withResolvers<void>();
    const opened: OpenPack = {
      ...{ id, run, lock: lockPack(keys, account, id), body: options.openBody(), slots: [] },
      ...{ raw: 0, size: 0, chunks: 0, state: 'open', counted: false },
      durable: promise.then(() => store(opened)),
      close: resolve,
    };
    // Batches that need the pack await `durable`. Without one its failure does not matter.
    opened.durable.catch(() => {});
    return opened;
  }

  function close(): void {
    closeGroup();
    const closing = pack;
    pack = undefined;
    if (!closing) return;
    const upload = closing.durable.then(
      () => void uploads.delete(upload),
      () => void uploads.delete(upload),
    );
    uploads.add(upload);
    closing.close();
  }

  async function store(closed: OpenPack): Promise<void> {
    try {
      if (typeof closed.state === 'object') throw closed.state.failed;
      const footer = encryptFooter(closed.lock, closed.slots);
      closed.body.append(footer);
      closed.size += footer.length;
      const record = { bytes: closed.size, epoch: keys.epoch, run: closed.run };
      await options.register(closed.id, { ...record, state: 'uploading' });
      await closed.body.store(packBlobKey(account, closed.id));
      await options.register(closed.id, { ...record, state: 'live' });
      await index.add(account, refsOf(closed));
      closed.state = 'durable';
      present.add(closed.id);
    } catch (error) {
      closed.state = { failed: error };
      closed.body.drop();
      throw error;
    } finally {
      for (const [id, { slot }] of pending) if (slot.pack === closed) pending.delete(id);
    }
  }

  return { add, close };
}

function newSlot(pack: OpenPack): Slot {
  return { pack, number: 0, offset: 0, stored: 0, chunks: [] };
}

/** The reference of a placed chunk. Throws before its pack is durable. */
export function locate(placement: Placement): ChunkRef {
  if ('pack' in placement) return placement;
  const { slot, offset, length } = placement;
  if (slot.pack.state !== 'durable') throw new Error('the position of a chunk is known once its pack is durable');
  return { pack: slot.pack.id, slot: slot.number, slotOffset: slot.offset, slotLength: slot.stored, offset, length };
}

function refsOf(pack: OpenPack): Map<string, ChunkRef> {
  const refs = new Map<string, ChunkRef>();
  for (const { number, offset: slotOffset, stored, chunks } of pack.slots) {
    for (const { id, offset, length } of chunks)
      refs.set(id, { pack: pack.id, slot: number, slotOffset, slotLength: stored, offset, length });
  }
  return refs;
}

/** Collects a pack in memory of its own, which `put` may take, and puts it as a whole. */
export function memoryBody(blobs: Pick<Blobs, 'put'>): PackBody {
  let bytes = Buffer.alloc(0);
  let size = 0;
  return {
    append(part) {
      if (size + part.length > bytes.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(2 * bytes.length, size + part.length, groupSize));
        bytes.copy(larger, 0, 0, size);
        bytes = larger;
      }
      bytes.set(part, size);
      size += part.length;
    },
    async store(key) {
      // The id of the pack is random, so a blob of that name is this one, from an attempt whose answer was lost.
      await blobs.put(key, bytes.subarray(0, size), { ifAbsent: true });
      bytes = Buffer.alloc(0);
    },
    drop() {
      bytes = Buffer.alloc(0);
    },
  };
}
