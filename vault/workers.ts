/** Where the bytes are worked on: chunk → hash, and compress → encrypt. In this thread, or on the worker threads of a pool (worker-pool.ts). */
import { free } from './bytes.ts';
import { type DigestKeys, digester } from './digest.ts';
import { encryptSlot, type PackLock } from './pack.ts';

/** The bytes of a chunk, wherever they are kept until they are sealed or known to be stored already. */
export type Content = {
  readonly length: number;
  /** The bytes as the caller's own; what else kept them is let go. */
  own(): Uint8Array;
  /** Lets them go, also those that `own` gave. */
  drop(): void;
};

export type Piece = { id: string; content: Content };

export type Stream = {
  /** Takes the next bytes, which may be overwritten once it resolves; gives the chunks that have been cut, of this slice or of earlier ones. */
  push(slice: Uint8Array): Promise<Piece[]>;
  /** The last chunks; size in bytes and SHA-256 (lower-case hex) of the whole content. */
  end(): Promise<{ pieces: Piece[]; size: number; sha256: string }>;
  /** Forgets the stream; chunks that were given out stay. After `end` it does nothing. */
  abort(): void;
};

/** A slot's bytes, to be put where they belong, and then let go. */
export type Encrypted = { readonly length: number; copyTo(target: Uint8Array, at: number): void; drop(): void };

export type Workers = {
  /** Slices one stream into chunks, one call at a time. */
  digest(keys: DigestKeys): Stream;
  /** As `sealSlot`. The contents are let go, also when it fails. */
  encrypt(lock: PackLock, slot: number, contents: Content[]): Promise<Encrypted>;
};

/** Everything happens in the thread that asks for it: for one core, and where no worker's file can be had. */
export const inThread: Workers = {
  digest(keys) {
    const digest = digester(keys);
    let parts: Uint8Array[] = [];

    function pieceOf({ id, length }: { id: string; length: number }): Piece {
      const taken: Uint8Array[] = [];
      for (let left = length; left > 0; ) {
        const [first, ...rest] = parts;
        if (!first) throw new Error('more was cut off than there is');
        const part = first.subarray(0, left);
        taken.push(part);
        left -= part.length;
        parts = part.length === first.length ? rest : [first.subarray(part.length), ...rest];
      }
      return { id, content: plain(Buffer.concat(taken)) };
    }

    return {
      async push(slice) {
        if (slice.length > 0) parts.push(Buffer.from(slice));
        return digest.push(slice).map(pieceOf);
      },
      async end() {
        const { cuts, ...whole } = digest.end();
        return { pieces: cuts.map(pieceOf), ...whole };
      },
      abort() {
        parts = [];
      },
    };
  },
  async encrypt(lock, slot, contents) {
    const chunks = contents.map((content) => content.own());
    try {
      return encryptedOf(encryptSlot(lock, slot, chunks));
    } finally {
      for (const content of contents) content.drop();
    }
  },
};

/** Bytes as a content, which has them for itself from now on. */
export function plain(bytes: Uint8Array): Content {
  return { length: bytes.length, own: () => bytes, drop: () => free(bytes) };
}

export function encryptedOf(bytes: Uint8Array): Encrypted {
  return { length: bytes.length, copyTo: (target, at) => target.set(bytes, at), drop: () => free(bytes) };
}
