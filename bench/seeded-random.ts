/** Seeded randomness from the key stream of AES-128-CTR, which is fast in Node and equal on every machine. */
import { createCipheriv, createHash } from 'node:crypto';

export type SeededRandom = {
  bytes(length: number): Buffer;
  /** An integer from 0 to `n` − 1, n ≤ 2³². The small bias of scaling does not matter here. */
  below(n: number): number;
  /** An integer, both ends included. */
  between(from: number, to: number): number;
  word(): string;
  shuffled<T>(items: T[]): T[];
};

export function seededRandom(seed: string): SeededRandom {
  const digest = createHash('sha256').update(seed).digest();
  const stream = createCipheriv('aes-128-ctr', digest.subarray(0, 16), digest.subarray(16));
  const zeros = Buffer.alloc(4096);
  let pool = new Uint32Array(0);
  let at = 0;
  const self: SeededRandom = {
    bytes: (length) => stream.update(Buffer.alloc(length)),
    below(n) {
      if (at === pool.length) {
        // Copied, because a Buffer may be unaligned. Needs a little-endian machine.
        pool = new Uint32Array(new Uint8Array(stream.update(zeros)).buffer);
        at = 0;
      }
      return Math.floor(((pool[at++] as number) / 2 ** 32) * n);
    },
    between: (from, to) => from + self.below(to - from + 1),
    word: () => words[self.below(words.length)] as string,
    shuffled(items) {
      const out = [...items];
      for (let i = out.length - 1; i > 0; i--) {
        const j = self.below(i + 1);
        [out[i], out[j]] = [out[j] as (typeof out)[0], out[i] as (typeof out)[0]];
      }
      return out;
    },
  };
  return self;
}

/** The vocabulary of all text: 2,000 words of 3 to 9 letters, equal for all seeds. */
const words = makeWords();

function makeWords(): string[] {
  const digest = createHash('sha256').update('words').digest();
  const letters = createCipheriv('aes-128-ctr', digest.subarray(0, 16), digest.subarray(16)).update(
    Buffer.alloc(20_000),
  );
  return Array.from({ length: 2000 }, (_, i) =>
    [...letters.subarray(i * 10 + 1, i * 10 + 4 + ((letters[i * 10] as number) % 7))]
      .map((byte) => String.fromCharCode(97 + (byte % 26)))
      .join(''),
  );
}
