/** Limits how much all batches of a process read at once: many small files or a few large ones. */

export type Intake = {
  /** Waits, first come first served, until a file of `size` bytes may be read. Call the result after the read. */
  enter(size: number): Promise<() => void>;
};

/** Enough to hide the latency of each request. */
const maxFiles = 32;
const maxBytes = 32 * 1024 * 1024;
/** Memory that one file needs at most, whatever its size: an incomplete chunk and the blocks in transit. */
const maxFileBytes = 6 * 1024 * 1024;

export function openIntake(): Intake {
  const waiting: { bytes: number; go(): void }[] = [];
  let files = 0;
  let bytes = 0;

  function admit(): void {
    for (let next = waiting[0]; next && files < maxFiles && bytes + next.bytes <= maxBytes; next = waiting[0]) {
      waiting.shift();
      files++;
      bytes += next.bytes;
      next.go();
    }
  }

  return {
    async enter(size) {
      const needed = Math.min(size, maxFileBytes);
      await new Promise<void>((resolve) => {
        waiting.push({ bytes: needed, go: resolve });
        admit();
      });
      return () => {
        files--;
        bytes -= needed;
        admit();
      };
    },
  };
}
