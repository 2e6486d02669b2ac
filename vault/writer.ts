/** Stores the files of one batch and returns their chunk references. Batches may share packs. */
import type { ChunkRef } from '../domain/ports.ts';
import { chunkSizes, gearTable } from './chunker.ts';
import { type Border, type Digest, digester, digestShort } from './digest.ts';
import type { VaultKeys } from './keys.ts';
import { locate, type OpenPack, type Packer, type Placement } from './packer.ts';
import { resumeHash } from './resumable-hash.ts';

export type StoredFile = {
  /** Bytes that came from the source. */
  readonly size: number;
  /** Of the whole content, lower-case hex. */
  readonly sha256: string;
  /** Of a stream: since the last `take`. */
  readonly placements: readonly Placement[];
};

/** Positions of the content. Throws before `finish()` has resolved, because they are not known before. */
export function chunksOf({ placements }: Pick<StoredFile, 'placements'>): ChunkRef[] {
  return placements.map(locate);
}

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

/** A file that arrives in slices. A slice may be overwritten once `push` resolves. */
export type FileStream = {
  push(slice: Uint8Array): Promise<void>;
  end(): Promise<StoredFile>;
  // The following are for streams that started at a border.
  /** Where the last chunk ended. */
  border(): Border | undefined;
  /** The chunks up to the border, each once. */
  take(): Placement[];
  /** Forgets the bytes after the border. The next slice starts there. */
  rewind(): void;
};

/** The border at which a resumable stream starts. */
export const fileStart: Border = { offset: 0, hash: null };

export type VaultWriter = {
  /** Stores files of fewer than `minChunk` bytes each. The contents may be overwritten once it resolves. */
  small(contents: Uint8Array[]): Promise<StoredFile[]>;
  /**
   * Stores a file. `fileSize` decides the lengths of its chunks, and the content may have another size. A stream that
   * is not ended leaves nothing behind but chunks, which a retry finds. With a border the stream is resumable, and
   * starts there.
   */
  stream(fileSize: number, from?: Border): FileStream;
  /**
   * Resolves when everything so far is durable, with the totals since the last call. The open pack must be closed. If
   * it throws, the batch must start again.
   */
  finish(): Promise<WriterTotals>;
};

/** Room for one chunk, used by one stream at a time. Otherwise each large file would take new memory. */
let spare: Buffer | undefined;

export function openWriter(
  packer: Pick<Packer, 'add'>,
  keys: Pick<VaultKeys, 'gear' | 'chunkId'>,
  run: string,
): VaultWriter {
  const digestKeys = { gear: gearTable(keys.gear), chunkId: keys.chunkId };
  /** Packs with chunks of this writer, and the number of new bytes that it added to each. */
  let packs = new Map<OpenPack, number>();
  let requests = noRequests();

  async function add(chunks: { id: string; bytes: Uint8Array }[]): Promise<Placement[]> {
    const placements = await packer.add(run, chunks);
    for (const placement of placements) {
      if ('pack' in placement) requests.recordRead++;
      else {
        const { slot, counted, length } = placement;
        if (!counted) {
          requests.recordRead++;
          requests.recordWrite++;
        }
        packs.set(slot.pack, (packs.get(slot.pack) ?? 0) + (counted ? 0 : length));
        placement.counted = true;
      }
    }
    return placements;
  }

  async function small(contents: Uint8Array[]): Promise<StoredFile[]> {
    const chunks = contents.map((bytes) => ({ ...digestShort(digestKeys, bytes), bytes }));
    const placements = await add(chunks.filter(({ bytes }) => bytes.length > 0));
    let next = 0;
    return chunks.map(({ sha256, bytes }) => {
      const size = bytes.length;
      return { size, sha256, placements: size > 0 ? [placements[next++] as Placement] : [] };
    });
  }

  function stream(fileSize: number, start?: Border): FileStream {
    const sizes = chunkSizes(fileSize);
    let from = start;
    let digest: Digest | undefined;
    let placed: Placement[] = [];
    /** The start of the open chunk. */
    let open: Buffer | undefined;
    let length = 0;

    const keep = (part: Uint8Array) => {
      if (part.length === 0) return;
      if (!open) {
        // A spare that is too small is dropped, so that a huge file leaves a large one.
        open = spare && spare.length >= sizes.max ? spare : Buffer.allocUnsafeSlow(sizes.max);
        spare = undefined;
      }
      open.set(part, length);
      length += part.length;
    };

    const opened = async () =>
      digester(digestKeys, sizes, from && { offset: from.offset, hash: await resumeHash(from.hash) });

    return {
      async push(slice) {
        let at = 0;
        digest ??= await opened();
        const chunks = digest.push(slice).map(({ id, length: size }) => {
          const to = at + size - length;
          const part = slice.subarray(at, to);
          at = to;
          if (length === 0) return { id, bytes: part };
          keep(part);
          length = 0;
          return { id, bytes: (open as Buffer).subarray(0, size) };
        });
        if (chunks.length > 0) placed.push(...(await add(chunks)));
        keep(slice.subarray(at));
      },
      async end() {
        digest ??= await opened();
        const { cuts, ...whole } = digest.end();
        const bytes = open?.subarray(0, length) ?? new Uint8Array();
        if (cuts.length > 0) placed.push(...(await add(cuts.map(({ id }) => ({ id, bytes })))));
        spare ??= open;
        return { ...whole, placements: placed };
      },
      border: () => digest?.border() ?? from,
      take() {
        const taken = placed;
        placed = [];
        return taken;
      },
      rewind() {
        from = digest?.border() ?? from;
        digest = undefined;
        length = 0;
      },
    };
  }

  async function finish(): Promise<WriterTotals> {
    const closed = packs;
    const counted = requests;
    packs = new Map();
    requests = noRequests();
    await Promise.all([...closed.keys()].map((pack) => pack.durable));
    let bytesNew = 0;
    let bytesStored = 0;
    const fresh = [...closed].filter(([, bytes]) => bytes > 0);
    for (const [pack, bytes] of fresh) {
      bytesNew += bytes;
      bytesStored += (pack.size * bytes) / pack.raw;
      // The first writer of a shared pack counts its blob and its two records in the registry.
      if (!pack.counted) {
        counted.blobWrite++;
        counted.recordWrite += 2;
      }
      pack.counted = true;
    }
    return { packs: fresh.map(([pack]) => pack.id), bytesStored: Math.round(bytesStored), bytesNew, requests: counted };
  }

  return { small, stream, finish };
}

function noRequests(): WriterTotals['requests'] {
  return { blobWrite: 0, recordRead: 0, recordWrite: 0 };
}
