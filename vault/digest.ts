/** Computes the chunk borders, chunk ids and hash of one file's content. It keeps no content. */
import { createHash, type Hash, hash } from 'node:crypto';
import { borders, type ChunkSizes, type GearTable } from './chunker.ts';
import type { VaultKeys } from './keys.ts';
import type { ResumableHash } from './resumable-hash.ts';

export type DigestKeys = { gear: GearTable; chunkId: Uint8Array };

/**
 * HMAC-SHA-256 (RFC 2104) over the chunk's SHA-256, truncated to 160 bits: 40 hex digits. Without the key nobody can
 * test whether a known chunk is stored. An exabyte in chunks of 256 KiB (2^42) has two equal ids with p ≈ 2^−77. With a
 * leaked key, a collision takes 2^80 work. The HMAC covers the hash and not the content, so that a file of one chunk is
 * hashed once.
 */
export function chunkId(keys: Pick<VaultKeys, 'chunkId'>, sha256: string): string {
  const { inner, outer } = padsOf(keys.chunkId);
  inner.write(sha256, blockLength, 'hex');
  // Short strings take a third of the time of buffers, whose memory V8 must track.
  outer.write(hash('sha256', inner, 'binary'), blockLength, 'latin1');
  inner.write(hash('sha256', outer, 'binary'), blockLength, 'latin1');
  return inner.toString('hex', blockLength, blockLength + 20);
}

const blockLength = 64;
type Pads = { inner: Buffer; outer: Buffer };
const pads = new WeakMap<Uint8Array, Pads>();

/**
 * The two messages that HMAC hashes, each with room for 32 bytes. Two plain hashes take half the time of `createHmac`.
 */
function padsOf(key: Uint8Array): Pads {
  const known = pads.get(key);
  if (known) return known;
  const padded = (byte: number) => {
    const block = Buffer.alloc(blockLength + 32);
    for (let i = 0; i < blockLength; i++) block[i] = (key[i] ?? 0) ^ byte;
    return block;
  };
  const made = { inner: padded(0x36), outer: padded(0x5c) };
  pads.set(key, made);
  return made;
}

/** A chunk of the stream. It starts where the chunk before ends. */
export type Cut = { id: string; length: number };

/** The last chunks, and the size in bytes and SHA-256 (lower-case hex) of the whole content. */
export type Digested = { cuts: Cut[]; size: number; sha256: string };

/** Where the last chunk ended, and the state of the hash there. Null: the start of the content. */
export type Border = { offset: number; hash: Uint8Array | null };

/** Digests one stream. `push` does not keep the slice. */
export type Digest = {
  push(slice: Uint8Array): Cut[];
  end(): Digested;
  /** Undefined without a resumable hash. */
  border(): Border | undefined;
};

/** Digests content that is shorter than `minChunk`, so that it is one chunk. `id` is the chunk id. */
export function digestShort(keys: DigestKeys, content: Uint8Array): { id: string; sha256: string } {
  const sha256 = hash('sha256', content);
  return { id: chunkId(keys, sha256), sha256 };
}

/** `from`: goes on at a border, with the hash of the content before it. */
export function digester(keys: DigestKeys, sizes: ChunkSizes, from?: { offset: number; hash: ResumableHash }): Digest {
  const scan = borders(keys.gear, sizes);
  let open: { digest: Hash; length: number } | undefined;
  let whole: Pick<ResumableHash, 'update' | 'digest'> | undefined = from?.hash;
  let size = from?.offset ?? 0;
  const borderHere = (): Border | undefined => from && { offset: size, hash: from.hash.save() };
  let border = borderHere();

  function take(part: Uint8Array): void {
    open ??= { digest: createHash('sha256'), length: 0 };
    open.digest.update(part);
    open.length += part.length;
    size += part.length;
    whole?.update(part);
  }

  function close({ digest, length }: { digest: Hash; length: number }): Cut {
    open = undefined;
    return { id: chunkId(keys, digest.digest('hex')), length };
  }

  return {
    push(slice) {
      const cuts: Cut[] = [];
      for (let at = 0; at < slice.length; ) {
        const to = scan(slice, at);
        take(slice.subarray(at, to < 0 ? slice.length : to));
        if (to < 0 || !open) break;
        // Until the first border, the hash of the chunk is also the hash of the whole content.
        whole ??= open.digest.copy();
        cuts.push(close(open));
        border = borderHere();
        at = to;
      }
      return cuts;
    },
    border: () => border,
    end() {
      if (!open) return { cuts: [], size, sha256: whole?.digest('hex') ?? hash('sha256', '') };
      whole ??= open.digest.copy();
      return { cuts: [close(open)], size, sha256: whole.digest('hex') };
    },
  };
}
