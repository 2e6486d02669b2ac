/**
 * A fixed block of memory that this thread shares with the workers, lent out in slabs. All content passes through it.
 * So memory does not grow with the size of a backup, and the garbage collector has nothing to collect.
 */
export const slabSize = 1024 * 1024;

/** A range of bytes in the arena. */
export type Span = { at: number; length: number };

export type Arena = {
  readonly memory: SharedArrayBuffer;
  /** Takes a free slab and returns its offset. Waits, first come first served, until one is free. */
  take(): Promise<number>;
  /** Adds a holder to the slab that contains the offset. */
  hold(at: number): void;
  /** Removes a holder. Without holders the slab is free. */
  release(at: number): void;
};

export function openArena(slabs: number): Arena {
  const memory = new SharedArrayBuffer(slabs * slabSize);
  // The slab that was freed last is taken first, so that memory is touched only when it is needed.
  const free = Array.from({ length: slabs }, (_, i) => (slabs - 1 - i) * slabSize);
  const holders = new Map<number, number>();
  const waiting: ((at: number) => void)[] = [];
  const slabOf = (at: number) => at - (at % slabSize);

  return {
    memory,
    take() {
      const at = free.pop();
      if (at === undefined) return new Promise((resolve) => waiting.push(resolve));
      holders.set(at, 1);
      return Promise.resolve(at);
    },
    hold(at) {
      const slab = slabOf(at);
      holders.set(slab, (holders.get(slab) ?? 0) + 1);
    },
    release(at) {
      const slab = slabOf(at);
      const left = (holders.get(slab) ?? 0) - 1;
      if (left > 0) {
        holders.set(slab, left);
        return;
      }
      const next = waiting.shift();
      if (next) {
        holders.set(slab, 1);
        next(slab);
      } else {
        holders.delete(slab);
        free.push(slab);
      }
    },
  };
}

/** Takes the first `length` bytes off the spans. */
export function takeSpans(spans: Span[], length: number): Span[] {
  const taken: Span[] = [];
  for (let left = length; left > 0; ) {
    const first = spans[0];
    if (!first) throw new Error('the spans are shorter than the bytes to take');
    const part = Math.min(left, first.length);
    taken.push({ at: first.at, length: part });
    if (part === first.length) spans.shift();
    else spans[0] = { at: first.at + part, length: first.length - part };
    left -= part;
  }
  return taken;
}
