/** Where one file's content is cut into chunks, their ids, and the hash of all of it: the part of storing that only looks at the bytes. */
import { createHash, type Hash, hash } from 'node:crypto';
import { chunkId } from './chunk-index.ts';
import { borders, type GearTable } from './chunker.ts';

/** Plain data, so that it can be handed to a worker thread. */
export type DigestKeys = { gear: GearTable; chunkId: Uint8Array };

/** The next chunk of the stream: so many bytes after the chunk before. */
export type Cut = { id: string; length: number };

/** The last cuts, and what is known of the whole content: bytes, and its SHA-256 in lower-case hex. */
export type Digested = { cuts: Cut[]; size: number; sha256: string };

/** Takes one stream in slices, and keeps none of them. */
export type Digest = { push(slice: Uint8Array): Cut[]; end(): Digested };

/** The same for content that is one chunk, being shorter than the shortest that the chunker cuts. */
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
        // Up to here the hash of the first chunk is that of the whole.
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
