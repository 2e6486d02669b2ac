/** One file's content into chunks with their ids, and the hash of all of it: the part of storing that needs nothing but the bytes. */
import { createHash, hash } from 'node:crypto';
import { chunkId } from './chunk-index.ts';
import { cutter, type GearTable } from './chunker.ts';

/** Plain data, so that it can be handed to a worker thread. */
export type DigestKeys = { gear: GearTable; chunkId: Uint8Array };

export type Piece = { id: string; bytes: Uint8Array };

export type Digested = {
  /** What was left of the content. */
  pieces: Piece[];
  /** Of the whole content: bytes, and lower-case hex. */
  size: number;
  sha256: string;
};

/** Takes one stream in slices. Chunks may be views of them. */
export type Digest = { push(slice: Uint8Array): Piece[]; end(): Digested };

export function digester(keys: DigestKeys): Digest {
  const cut = cutter(keys.gear);
  let size = 0;
  let whole: ReturnType<typeof createHash> | undefined;
  return {
    push(slice) {
      return cut.push(slice).map((bytes) => {
        whole ??= createHash('sha256');
        whole.update(bytes);
        size += bytes.length;
        return { id: chunkId(keys, hash('sha256', bytes, 'buffer')), bytes };
      });
    },
    end() {
      const [last] = cut.end();
      if (!last) return { pieces: [], size, sha256: whole ? whole.digest('hex') : hash('sha256', '') };
      const sha256 = hash('sha256', last, 'buffer');
      size += last.length;
      // A file of one chunk is hashed once for both.
      return {
        pieces: [{ id: chunkId(keys, sha256), bytes: last }],
        size,
        sha256: whole ? whole.update(last).digest('hex') : sha256.toString('hex'),
      };
    },
  };
}
