/**
 * Turns chunks into durable packs: dedup → group → slot → pack → blob → index, in that order. One packer can serve many
 * writers at once, so that small batches share packs. Memory is bounded: writers wait while packs are uploaded.
 */
import { makeId } from '../crypto/ids.ts';
import type { Blobs, Records } from '../domain/ports.ts';
import { findChunks, indexChunks } from './chunk-index.ts';
import { coalesced } from './coalesced.ts';
import type { VaultKeys } from './keys.ts';
import { type ChunkRef, encryptFooter, lockPack, type PackLock, packBlobKey } from './pack.ts';
import { type Content, type Encrypted, inThread, plain, type Workers } from './workers.ts';

export type PackerOptions = {
  account: string;
  keys: VaultKeys;
  blobs: Blobs;
  records: Records;
  /** Cryptographically strong: pack ids, and with them pack keys, come from it. */
  random(bytes: number): Uint8Array;
  /** Bytes at which a pack is closed. */
  packSize?: number;
  /** They compress and encrypt. Default: this thread. */
  workers?: Workers;
  /** Maximum ms that a finished writer waits for others to fill the pack. */
  linger?: number;
};

/** The position of a chunk: in a slot of this packer, or as the index has it. */
export type Placement = { slot: Slot; offset: number; length: number; fresh: boolean } | { known: ChunkRef };

/** Chunks compressed together. `pack` is known once the group is full, its offset once the pack is durable. */
export type Slot = {
  chunks: { id: string; length: number }[];
  raw: number;
  pack?: Pack;
  number: number;
  stored: number;
  offset: number;
  /** Settles once the slot has a pack, that is, once no more chunks join it. */
  packed: Promise<Pack>;
  joinPack(pack: Pack): void;
};

export type Pack = {
  id: string;
  raw: number;
  /** Bytes of the blob, once it is durable. */
  stored: number;
  /** Settles when blob and index are durable, or cannot be. */
  durable: Promise<void>;
  state: 'open' | 'durable' | 'failed';
  /** Whether a writer has put its request down to itself. */
  counted: boolean;
};

export type Packer = {
  /** Finds or stores the chunk. Resolves when the caller may release it, long before it is durable. */
  store(id: string, chunk: Content): Promise<Placement>;
  /**
   * Registers a writer. The writer calls the result when it has stored its last chunk. The open pack closes once no
   * other writer is left that could add to it, or after `linger`.
   */
  enter(): () => void;
  /** Closes the open pack and waits until each pack is durable or has failed. */
  flush(): Promise<void>;
};

/**
 * A group is closed at this many bytes: more would compress little better and cost more to read one small file from.
 */
export const groupSize = 1024 * 1024;
/** A chunk from this size on gets a slot of its own. */
export const loneChunk = 512 * 1024;
const maxChunksInPack = 16_384;
const maxUploads = 2;
const usualLinger = 1000;
/**
 * Memory for a pack: its size, the slot that made it full, its footer. glibc returns blocks above 32 MiB at once.
 * Freeing smaller blocks would raise its threshold, and it would keep tens of megabytes a thread (mallopt(3),
 * M_MMAP_THRESHOLD).
 */
const packSlack = 6 * 1024 * 1024;
const leastPackMemory = 33 * 1024 * 1024;
const nothing = new Uint8Array();
/** Bytes of content that are being encrypted. */
const maxEncrypting = 16 * 1024 * 1024;

type OpenPack = Pack & {
  lock: PackLock;
  slots: Slot[];
  /** What is laid out so far: the first `size` bytes. */
  bytes: Uint8Array;
  size: number;
  /** Settles once all slots so far are laid out. */
  laid: Promise<void>;
  estimate: number;
  chunks: number;
  close(): void;
};
type OpenGroup = { slot: Slot; chunks: Content[] };

export function openPacker(options: PackerOptions): Packer {
  const {
    account,
    keys,
    blobs,
    records,
    packSize = 24 * 1024 * 1024,
    workers = inThread,
    linger = usualLinger,
  } = options;
  const lookUp = coalesced((ids) => findChunks(records, account, ids));
  /** Chunks on their way into the index. */
  const pending = new Map<string, Promise<Placement>>();
  const uploads = new Set<Promise<void>>();
  const encryptions = new Set<Promise<void>>();
  let encryptingBytes = 0;
  let group: OpenGroup | undefined;
  let pack: OpenPack | undefined;
  const spare: Uint8Array[] = [];
  let writers = 0;
  let lingering: NodeJS.Timeout | undefined;

  async function storeChunk(id: string, chunk: Content): Promise<Placement> {
    const earlier = pending.get(id);
    if (earlier) {
      chunk.drop();
      const placement = await earlier;
      return 'known' in placement ? placement : { ...placement, fresh: false };
    }
    const placing = decide(id, chunk);
    pending.set(id, placing);
    const forget = () => void pending.delete(id);
    placing.then((placement) => 'known' in placement && forget(), forget);
    return placing;
  }

  async function decide(id: string, chunk: Content): Promise<Placement> {
    try {
      const known = await lookUp(id);
      if (known) {
        chunk.drop();
        return { known };
      }
      while (uploads.size >= maxUploads) await Promise.race(uploads);
      while (encryptingBytes >= maxEncrypting) await Promise.race(encryptions);
    } catch (error) {
      chunk.drop();
      throw error;
    }
    return chunk.length >= loneChunk ? alone(id, chunk) : grouped(id, chunk);
  }

  function alone(id: string, chunk: Content): Placement {
    const slot = newSlot();
    const placement = join(slot, id, chunk);
    toPack(slot, [chunk]);
    return placement;
  }

  function grouped(id: string, chunk: Content): Placement {
    group ??= { slot: newSlot(), chunks: [] };
    const placement = join(group.slot, id, chunk);
    // It may stay here for a while, and must not keep more memory than its own.
    group.chunks.push(plain(chunk.own()));
    if (group.slot.raw >= groupSize) closeGroup();
    return placement;
  }

  function closeGroup(): void {
    if (!group) return;
    const { slot, chunks } = group;
    group = undefined;
    toPack(slot, chunks);
  }

  function toPack(slot: Slot, chunks: Content[]): void {
    pack ??= newPack();
    const into = pack;
    slot.pack = into;
    slot.joinPack(into);
    slot.number = into.slots.length;
    into.slots.push(slot);
    into.raw += slot.raw;
    into.chunks += slot.chunks.length;
    into.estimate += slot.raw;
    const laid = layOut(into, slot, workers.encrypt(into.lock, slot.number, chunks));
    into.laid = laid;
    encryptingBytes += slot.raw;
    const settled = laid
      .then(() => {
        into.estimate += slot.stored - slot.raw;
        if (pack === into && full(into)) closePack();
      })
      // The pack's own promise tells of a failure.
      .catch(() => {})
      .finally(() => {
        encryptingBytes -= slot.raw;
        encryptions.delete(settled);
      });
    encryptions.add(settled);
  }

  /** Puts the encrypted slot after the one before it. */
  async function layOut(into: OpenPack, slot: Slot, encrypting: Promise<Encrypted>): Promise<void> {
    const before = into.laid;
    const encrypted = await encrypting;
    try {
      await before;
      reserve(into, encrypted.length);
      slot.offset = into.size;
      slot.stored = encrypted.length;
      encrypted.copyTo(into.bytes, into.size);
      into.size += encrypted.length;
    } finally {
      encrypted.drop();
    }
  }

  /** A pack's bytes are as many as those of another one, so the memory is used again. */
  function reserve(into: OpenPack, more: number): void {
    if (into.size + more <= into.bytes.length) return;
    const larger = into.size === 0 ? spare.pop() : undefined;
    const bytes =
      larger && larger.length >= more
        ? larger
        : Buffer.allocUnsafeSlow(Math.max(2 * into.size, packSize + packSlack, leastPackMemory));
    bytes.set(into.bytes.subarray(0, into.size));
    into.bytes = bytes;
  }

  function full(candidate: OpenPack): boolean {
    return candidate.estimate >= packSize || candidate.chunks >= maxChunksInPack;
  }

  function newPack(): OpenPack {
    const id = makeId('pack', options.random(16));
    const { promise, resolve } = Promise.withResolvers<void>();
    const opened: OpenPack = {
      id,
      raw: 0,
      stored: 0,
      state: 'open',
      counted: false,
      lock: lockPack(keys, account, id),
      slots: [],
      bytes: nothing,
      size: 0,
      laid: Promise.resolve(),
      estimate: 0,
      chunks: 0,
      durable: promise.then(() => store(opened)),
      close: resolve,
    };
    // Writers that need the pack await `durable`. Without a writer its failure is of no interest.
    opened.durable.catch(() => {});
    return opened;
  }

  function closePack(): void {
    if (!pack) return;
    const closing = pack;
    pack = undefined;
    const upload = closing.durable.then(
      () => void uploads.delete(upload),
      () => void uploads.delete(upload),
    );
    uploads.add(upload);
    closing.close();
  }

  async function store(closed: OpenPack): Promise<void> {
    try {
      await closed.laid;
      const footer = encryptFooter(closed.lock, closed.slots);
      reserve(closed, footer.length);
      closed.bytes.set(footer, closed.size);
      closed.size += footer.length;
      const bytes = closed.bytes.subarray(0, closed.size);
      // The id is ours alone, so a blob of that name is this one, from an attempt whose answer was lost.
      await blobs.put(packBlobKey(account, closed.id), bytes, { ifAbsent: true });
      // After a failure someone may still be sending them.
      if (spare.length < maxUploads) spare.push(closed.bytes);
      closed.bytes = nothing;
      await indexChunks(records, account, refsOf(closed));
      closed.stored = closed.size;
      closed.state = 'durable';
    } catch (error) {
      closed.state = 'failed';
      throw error;
    } finally {
      for (const slot of closed.slots) for (const { id } of slot.chunks) pending.delete(id);
    }
  }

  function closeOpen(): void {
    clearTimeout(lingering);
    lingering = undefined;
    closeGroup();
    closePack();
  }

  function enter(): () => void {
    let inside = true;
    writers++;
    return () => {
      if (!inside) return;
      inside = false;
      writers--;
      if (writers === 0) closeOpen();
      else if (group || pack) lingering ??= setTimeout(closeOpen, linger);
    };
  }

  async function flush(): Promise<void> {
    await Promise.allSettled(pending.values());
    closeOpen();
    await Promise.all(uploads);
  }

  return { store: storeChunk, enter, flush };
}

function newSlot(): Slot {
  const { promise, resolve } = Promise.withResolvers<Pack>();
  return { chunks: [], raw: 0, number: 0, stored: 0, offset: 0, packed: promise, joinPack: resolve };
}

function join(slot: Slot, id: string, chunk: Content): Placement {
  const placement = { slot, offset: slot.raw, length: chunk.length, fresh: true };
  slot.chunks.push({ id, length: chunk.length });
  slot.raw += chunk.length;
  return placement;
}

function refsOf(pack: OpenPack): Map<string, ChunkRef> {
  const refs = new Map<string, ChunkRef>();
  for (const slot of pack.slots) {
    let offset = 0;
    for (const { id, length } of slot.chunks) {
      refs.set(id, {
        pack: pack.id,
        slot: slot.number,
        slotOffset: slot.offset,
        slotLength: slot.stored,
        offset,
        length,
      });
      offset += length;
    }
  }
  return refs;
}
