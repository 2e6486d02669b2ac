/** Bounded concurrency. */

/**
 * Runs `work` on each item, at most `width` at a time. After a failure it starts no more work. It waits for the work
 * under way and throws the first error.
 */
export async function inParallel<T>(
  width: number,
  items: Iterable<T>,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  async function runNext(): Promise<void> {
    while (!failure) {
      const next = rest.next();
      if (next.done) return;
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: width }, runNext));
  if (failure) throw failure.error;
}
