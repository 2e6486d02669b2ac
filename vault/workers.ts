/** Work on bytes: chunk → hash, and compress → encrypt. In this thread, or on worker threads (worker-pool.ts). */
import { free } from './bytes.ts';
import { type DigestKeys, digester } from './digest.ts';
import { encryptSlot, type PackLock } from './pack.ts';

/** The bytes of a chunk, until they are encrypted or found to be stored already. */
export type Content = {
  readonly length: number;
  /** The bytes, owned by the caller. Frees the memory that held them before. */
  own(): Uint8Array;
  /** Frees the bytes, including those that `own` returned. */
  drop(): void;
};

export type Piece = { id: string; content: Content };

export type Stream = {
  /** Takes the next bytes and returns completed chunks. The slice may be overwritten once the promise resolves. */
  push(slice: Uint8Array): Promise<Piece[]>;
  /** Returns the last chunks, and the size in bytes and SHA-256 (lower-case hex) of the whole content. */
  end(): Promise<{ pieces: Piece[]; size: number; sha256: string }>;
  /** Drops the stream. Chunks that it returned stay valid. After `end` it does nothing. */
  abort(): void;
};

/** The bytes of an encrypted slot. Copy them, then call `drop` to free them. */
export type Encrypted = { readonly length: number; copyTo(target: Uint8Array, at: number): void; drop(): void };

export type Workers = {
  /** Cuts one stream into chunks. Calls on the stream must not overlap. */
  digest(keys: DigestKeys): Stream;
  /** As `encryptSlot`. It frees the contents, even if it fails. */
  encrypt(lock: PackLock, slot: number, contents: Content[]): Promise<Encrypted>;
};

/** Does everything in the calling thread. */
export const inThread: Workers = {
  digest(keys) {
    const digest = digester(keys);
    let parts: Uint8Array[] = [];

    function pieceOf({ id, length }: { id: string; length: number }): Piece {
      const taken: Uint8Array[] = [];
      for (let left = length; left > 0; ) {
        const [first, ...rest] = parts;
        if (!first) throw new Error('a chunk is longer than the bytes pushed');
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

/** Wraps bytes as a content, which owns them from now on. */
export function plain(bytes: Uint8Array): Content {
  return { length: bytes.length, own: () => bytes, drop: () => free(bytes) };
}

export function encryptedOf(bytes: Uint8Array): Encrypted {
  return { length: bytes.length, copyTo: (target, at) => target.set(bytes, at), drop: () => free(bytes) };
}
