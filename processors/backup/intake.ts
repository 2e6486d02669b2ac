/** How much is read from sources at a time, by all batches of a process together: many small files, or few large ones. */

export type Intake = {
  /** Waits for room for a file of that many bytes, in turn; gives back what makes room again. */
  enter(size: number): Promise<() => void>;
};

/** Enough at once to hide a round trip. */
const mostFiles = 32;
const mostBytes = 32 * 1024 * 1024;
/** However large a file is, no more of it than this is in memory: a chunk that is not complete, and blocks on their way. */
const fileBytes = 6 * 1024 * 1024;

export function openIntake(): Intake {
  const waiting: { bytes: number; go(): void }[] = [];
  let files = 0;
  let bytes = 0;

  function admit(): void {
    for (let next = waiting[0]; next && files < mostFiles && bytes + next.bytes <= mostBytes; next = waiting[0]) {
      waiting.shift();
      files++;
      bytes += next.bytes;
      next.go();
    }
  }

  return {
    async enter(size) {
      const own = Math.min(size, fileBytes);
      await new Promise<void>((resolve) => {
        waiting.push({ bytes: own, go: resolve });
        admit();
      });
      return () => {
        files--;
        bytes -= own;
        admit();
      };
    },
  };
}
