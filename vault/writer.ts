/** Stores the files of one batch and returns their chunk references. Batches may share packs. */
import { gearTable } from './chunker.ts';
import { type DigestKeys, digestShort } from './digest.ts';
import type { ChunkRef } from './pack.ts';
import { openPacker, type Packer, type PackerOptions, type Placement, type Slot } from './packer.ts';
import { inThread, type Piece, plain, type Stream } from './workers.ts';

export type StoredFile = {
  /** Bytes that came from the source. */
  readonly size: number;
  /** Of the whole content, lower-case hex. */
  readonly sha256: string;
  /** Positions of the content. Throws before `finish()` has resolved, because they are not known before. */
  readonly chunks: ChunkRef[];
};

export type WriterTotals = {
  /** Ids of the packs that hold new chunks of this writer. */
  packs: string[];
  /** Bytes put to blobs. For a pack shared with other writers, the share by content. */
  bytesStored: number;
  /** Bytes of content that the vault did not have. */
  bytesNew: number;
  /** Requests by kind. One writer counts all requests of a shared pack. */
  requests: { blobWrite: number; recordRead: number; recordWrite: number };
};

export type VaultWriter = {
  /**
   * Stores a file's content. Several calls may run at once. An error of the content rejects the call. Complete chunks
   * stay stored then, and a retry finds them. A slice must stay valid until the next one is requested.
   */
  store(content: AsyncIterable<Uint8Array>): Promise<StoredFile>;
  /**
   * Makes everything durable: packs first, then the index. If it throws, the batch must start again. Call it once,
   * after every `store` has settled.
   */
  finish(): Promise<WriterTotals>;
  /** Always call it at the end, even if the writer failed. Other writers no longer wait for this one then. */
  close(): void;
};

/** Chunks of one file that are processed at once, while earlier ones are looked up. */
const window = 4;
/** Smaller files are processed in this thread, because a message to a worker would cost more. */
const smallFile = 64 * 1024;

/** With `packer`, packs are shared with its other writers. Otherwise the writer has its own. */
export function openWriter(options: PackerOptions & { packer?: Packer }): VaultWriter {
  const { keys, workers = inThread } = options;
  const packer = options.packer ?? openPacker(options);
  const leavePacker = packer.enter();
  const digestKeys: DigestKeys = { gear: gearTable(keys.gear), chunkId: keys.chunkId };
  /** Slots with chunks of this writer, and the number of new bytes that it added to each. */
  const slots = new Map<Slot, number>();
  const requests = { blobWrite: 0, recordRead: 0, recordWrite: 0 };

  async function store(content: AsyncIterable<Uint8Array>): Promise<StoredFile> {
    const placements: Placement[] = [];
    let placing: Promise<Placement>[] = [];
    let stream: Stream | undefined;

    async function store(pieces: Piece[]): Promise<void> {
      for (const { id, content } of pieces) {
        const one = packer.store(id, content).then(counted);
        // All are awaited below, but one may fail before its turn.
        one.catch(() => {});
        placing.push(one);
      }
      while (placing.length >= window) {
        const [oldest, ...rest] = placing;
        placing = rest;
        if (oldest) placements.push(await oldest);
      }
    }

    /** The first slices, until the size shows whether the file is small. */
    let head: Uint8Array[] = [];
    let size = 0;
    try {
      for await (const slice of content) {
        size += slice.length;
        if (size <= smallFile) {
          head.push(new Uint8Array(slice));
          continue;
        }
        stream ??= workers.digest(digestKeys);
        for (const each of [...head, slice]) await store(await stream.push(each));
        head = [];
      }
      const end = stream ? await stream.end() : small(head);
      await store(end.pieces);
      placements.push(...(await Promise.all(placing)));
      return {
        size: end.size,
        sha256: end.sha256,
        get chunks() {
          return placements.map(locate);
        },
      };
    } finally {
      stream?.abort();
      await Promise.allSettled(placing);
    }
  }

  function small(slices: Uint8Array[]): { pieces: Piece[]; size: number; sha256: string } {
    const [only] = slices;
    const bytes = slices.length === 1 && only ? only : Buffer.concat(slices);
    const { cuts, ...whole } = digestShort(digestKeys, bytes);
    return { pieces: cuts.map(({ id }) => ({ id, content: plain(bytes) })), ...whole };
  }

  function counted(placement: Placement): Placement {
    if ('known' in placement) requests.recordRead++;
    else {
      if (placement.fresh) {
        requests.recordRead++;
        requests.recordWrite++;
      }
      slots.set(placement.slot, (slots.get(placement.slot) ?? 0) + (placement.fresh ? placement.length : 0));
    }
    return placement;
  }

  async function finish(): Promise<WriterTotals> {
    leavePacker();
    const packs = new Map<string, number>();
    let bytesNew = 0;
    const packed = await Promise.all([...slots].map(async ([slot, fresh]) => ({ pack: await slot.packed, fresh })));
    for (const { pack, fresh } of packed) {
      await pack.durable;
      if (fresh === 0) continue;
      bytesNew += fresh;
      packs.set(pack.id, (packs.get(pack.id) ?? 0) + (pack.stored * fresh) / pack.raw);
      // The first writer of a shared pack counts its request.
      if (!pack.counted) requests.blobWrite++;
      pack.counted = true;
    }
    const bytesStored = Math.round([...packs.values()].reduce((sum, bytes) => sum + bytes, 0));
    return { packs: [...packs.keys()], bytesStored, bytesNew, requests };
  }

  return { store, finish, close: leavePacker };
}

function locate(placement: Placement): ChunkRef {
  if ('known' in placement) return placement.known;
  const { slot, offset, length } = placement;
  if (slot.pack?.state !== 'durable') throw new Error('chunk positions are known after finish() has resolved');
  return { pack: slot.pack.id, slot: slot.number, slotOffset: slot.offset, slotLength: slot.stored, offset, length };
}
