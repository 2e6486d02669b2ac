/** Files in, chunk references out: what one batch stores, into packs that it may share with others. */
import { createHash, hash } from 'node:crypto';
import { chunkId } from './chunk-index.ts';
import { chunk, gearTable } from './chunker.ts';
import type { ChunkRef } from './pack.ts';
import { openPacker, type Packer, type PackerOptions, type Placement, type Slot } from './packer.ts';

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
};

export type VaultWriter = {
  /**
   * Takes in a file's content. May run several times at once. When the content fails midway it throws that error and nothing is
   * damaged: chunks that were complete are kept and will be found by a retry.
   */
  store(content: AsyncIterable<Uint8Array>): Promise<StoredFile>;
  /**
   * Makes all that was stored durable: pack, then index. Throws when any of it could not be; then nothing of this writer counts and its
   * batch starts again. To be called once, after every `store` has settled.
   */
  finish(): Promise<WriterTotals>;
};

/** Chunks of one file that may be on their way at once, while earlier ones are looked up. */
const window = 4;

/** With `packer`, the packs are shared with the other writers of that packer; otherwise the writer has its own. */
export function openWriter(options: PackerOptions & { packer?: Packer }): VaultWriter {
  const { keys } = options;
  const packer = options.packer ?? openPacker(options);
  const gear = gearTable(keys.gear);
  /** Slots that hold chunks of this writer, and how many bytes in them are new because of it. */
  const slots = new Map<Slot, number>();

  async function store(content: AsyncIterable<Uint8Array>): Promise<StoredFile> {
    const placements: Placement[] = [];
    const digest = contentHash();
    let placing: Promise<Placement>[] = [];
    try {
      for await (const piece of chunk(content, gear)) {
        placing.push(packer.place(chunkId(keys, digest.update(piece)), piece).then(counted));
        if (placing.length < window) continue;
        const [oldest, ...rest] = placing;
        placing = rest;
        if (oldest) placements.push(await oldest);
      }
      placements.push(...(await Promise.all(placing)));
    } finally {
      await Promise.allSettled(placing);
    }
    const { size, sha256 } = digest.done();
    return {
      size,
      sha256,
      get chunks() {
        return placements.map(locate);
      },
    };
  }

  function counted(placement: Placement): Placement {
    if ('known' in placement) return placement;
    slots.set(placement.slot, (slots.get(placement.slot) ?? 0) + (placement.fresh ? placement.length : 0));
    return placement;
  }

  async function finish(): Promise<WriterTotals> {
    await packer.flush();
    const packs = new Map<string, number>();
    let bytesNew = 0;
    for (const [slot, fresh] of slots) {
      await slot.pack?.durable;
      if (!slot.pack || fresh === 0) continue;
      bytesNew += fresh;
      packs.set(slot.pack.id, (packs.get(slot.pack.id) ?? 0) + (slot.pack.stored * fresh) / slot.pack.raw);
    }
    return { packs: [...packs.keys()], bytesStored: Math.round([...packs.values()].reduce((sum, bytes) => sum + bytes, 0)), bytesNew };
  }

  return { store, finish };
}

function locate(placement: Placement): ChunkRef {
  if ('known' in placement) return placement.known;
  const { slot, offset, length } = placement;
  if (slot.pack?.state !== 'durable') throw new Error('the chunks of a file are known once its writer has finished');
  return { pack: slot.pack.id, slot: slot.number, slotOffset: slot.offset, slotLength: slot.stored, offset, length };
}

/** The hash of each chunk and of all; a file of one chunk is hashed once. */
function contentHash(): { update(piece: Uint8Array): Uint8Array; done(): { size: number; sha256: string } } {
  let size = 0;
  let first: { piece: Uint8Array; sha256: Uint8Array } | undefined;
  let whole: ReturnType<typeof createHash> | undefined;
  return {
    update(piece) {
      const sha256 = hash('sha256', piece, 'buffer');
      if (size === 0) first = { piece, sha256 };
      else {
        whole ??= createHash('sha256').update(first?.piece ?? '');
        whole.update(piece);
        first = undefined;
      }
      size += piece.length;
      return sha256;
    },
    done() {
      if (whole) return { size, sha256: whole.digest('hex') };
      return { size, sha256: first ? Buffer.from(first.sha256).toString('hex') : hash('sha256', '') };
    },
  };
}
