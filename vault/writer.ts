/** Files in, chunk references out: what one batch stores, into packs that it may share with others. */
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
  /** Where the content rests. Only after `finish()`: before it some places are not known, and reading this throws. */
  readonly chunks: ChunkRef[];
};

export type WriterTotals = {
  /** Ids of the packs made with chunks of this writer. */
  packs: string[];
  /** Bytes put to blobs; of a pack shared with other writers, the share by content. */
  bytesStored: number;
  /** Bytes of content that the vault did not have. */
  bytesNew: number;
  /** What it took, by kind; of a shared pack's, one writer bears it all. */
  requests: { blobWrite: number; recordRead: number; recordWrite: number };
};

export type VaultWriter = {
  /**
   * Takes in a file's content. May run several times at once. When the content fails midway it throws that error and nothing is
   * damaged: chunks that were complete are kept and will be found by a retry.
   * A slice need only be good until the next one is asked for.
   */
  store(content: AsyncIterable<Uint8Array>): Promise<StoredFile>;
  /**
   * Makes all that was stored durable: pack, then index. Throws when any of it could not be; then nothing of this writer counts and its
   * batch starts again. To be called once, after every `store` has settled.
   */
  finish(): Promise<WriterTotals>;
  /** To be called in the end, also of a writer that failed and will not finish: others no longer wait for it. */
  close(): void;
};

/** Chunks of one file that may be on their way at once, while earlier ones are looked up. */
const window = 4;
/** Files up to this are done where they are: a message to a worker would cost more. */
const smallFile = 64 * 1024;

/** With `packer`, the packs are shared with the other writers of that packer; otherwise the writer has its own. */
export function openWriter(options: PackerOptions & { packer?: Packer }): VaultWriter {
  const { keys, workers = inThread } = options;
  const packer = options.packer ?? openPacker(options);
  const leave = packer.enter();
  const digestKeys: DigestKeys = { gear: gearTable(keys.gear), chunkId: keys.chunkId };
  /** Slots that hold chunks of this writer, and how many bytes in them are new because of it. */
  const slots = new Map<Slot, number>();
  const requests = { blobWrite: 0, recordRead: 0, recordWrite: 0 };

  async function store(content: AsyncIterable<Uint8Array>): Promise<StoredFile> {
    const placements: Placement[] = [];
    let placing: Promise<Placement>[] = [];
    let stream: Stream | undefined;

    async function store(pieces: Piece[]): Promise<void> {
      for (const { id, content } of pieces) {
        const one = packer.store(id, content).then(counted);
        // All are awaited below; one may fail before its turn.
        one.catch(() => {});
        placing.push(one);
      }
      while (placing.length >= window) {
        const [oldest, ...rest] = placing;
        placing = rest;
        if (oldest) placements.push(await oldest);
      }
    }

    /** The first slices, until it shows whether the file is a small one. */
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
    leave();
    const packs = new Map<string, number>();
    let bytesNew = 0;
    const packed = await Promise.all([...slots].map(async ([slot, fresh]) => ({ pack: await slot.packed, fresh })));
    for (const { pack, fresh } of packed) {
      await pack.durable;
      if (fresh === 0) continue;
      bytesNew += fresh;
      packs.set(pack.id, (packs.get(pack.id) ?? 0) + (pack.stored * fresh) / pack.raw);
      // Of a shared pack, the first writer to hear of it bears the request.
      if (!pack.counted) requests.blobWrite++;
      pack.counted = true;
    }
    const bytesStored = Math.round([...packs.values()].reduce((sum, bytes) => sum + bytes, 0));
    return { packs: [...packs.keys()], bytesStored, bytesNew, requests };
  }

  return { store, finish, close: leave };
}

function locate(placement: Placement): ChunkRef {
  if ('known' in placement) return placement.known;
  const { slot, offset, length } = placement;
  if (slot.pack?.state !== 'durable') throw new Error('the chunks of a file are known once its writer has finished');
  return { pack: slot.pack.id, slot: slot.number, slotOffset: slot.offset, slotLength: slot.stored, offset, length };
}
