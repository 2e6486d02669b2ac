/** Computes the chunk borders, chunk ids and hash of one file's content. It keeps no content. */
import { createHash, type Hash, hash } from 'node:crypto';
import { chunkId } from './chunk-index.ts';
import { borders, type GearTable } from './chunker.ts';

/** Plain data, so that it can be posted to a worker thread. */
export type DigestKeys = { gear: GearTable; chunkId: Uint8Array };

/** A chunk of the stream. It starts where the chunk before ends. */
export type Cut = { id: string; length: number };

/** The last chunks, and the size in bytes and SHA-256 (lower-case hex) of the whole content. */
export type Digested = { cuts: Cut[]; size: number; sha256: string };

/** Digests one stream. `push` does not keep the slice. */
export type Digest = { push(slice: Uint8Array): Cut[]; end(): Digested };

/** The digest of content that is shorter than `minChunk`, so that it is one chunk. */
export function digestShort(keys: DigestKeys, content: Uint8Array): Digested {
  const sha256 = hash('sha256', content, 'buffer');
  const cuts = content.length > 0 ? [{ id: chunkId(keys, sha256), length: content.length }] : [];
  return { cuts, size: content.length, sha256: sha256.toString('hex') };
}

export function digester(keys: DigestKeys): Digest {
  const scan = borders(keys.gear);
  let open: { digest: Hash; length: number } | undefined;
  let whole: Hash | undefined;
  let size = 0;

  function take(part: Uint8Array): void {
    open ??= { digest: createHash('sha256'), length: 0 };
    open.digest.update(part);
    open.length += part.length;
    size += part.length;
    whole?.update(part);
  }

  function close({ digest, length }: { digest: Hash; length: number }): Cut {
    open = undefined;
    return { id: chunkId(keys, digest.digest()), length };
  }

  return {
    push(slice) {
      const cuts: Cut[] = [];
      for (let from = 0; from < slice.length; ) {
        const to = scan(slice, from);
        take(slice.subarray(from, to < 0 ? slice.length : to));
        if (to < 0 || !open) break;
        // Until the first border, the hash of the chunk is also the hash of the whole content.
        whole ??= open.digest.copy();
        cuts.push(close(open));
        from = to;
      }
      return cuts;
    },
    end() {
      if (!open) return { cuts: [], size, sha256: whole?.digest('hex') ?? hash('sha256', '') };
      whole ??= open.digest.copy();
      return { cuts: [close(open)], size, sha256: whole.digest('hex') };
    },
  };
}
