/**
 * A fixed piece of memory that this thread and the workers see, lent out in slabs. What is backed up passes through it, so that memory
 * does not grow with what is backed up, and nothing of it is left to the garbage collector.
 */
export const slabSize = 1024 * 1024;

/** Bytes of the arena. */
export type Span = { at: number; length: number };

export type Arena = {
  readonly memory: SharedArrayBuffer;
  /** A slab of one's own: the place where it begins. Waits in turn until there is one. */
  take(): Promise<number>;
  /** One more holds that slab, or one less; nobody: it is free. */
  hold(at: number): void;
  release(at: number): void;
};

export function openArena(slabs: number): Arena {
  const memory = new SharedArrayBuffer(slabs * slabSize);
  // The one used last is taken first, so that memory is only touched when it is needed.
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
    if (!first) throw new Error('more was cut off than there is');
    const part = Math.min(left, first.length);
    taken.push({ at: first.at, length: part });
    if (part === first.length) spans.shift();
    else spans[0] = { at: first.at + part, length: first.length - part };
    left -= part;
  }
  return taken;
}
