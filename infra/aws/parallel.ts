/** Bounded concurrency and pauses between attempts. */
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';

/**
 * Runs `work` on each item, at most `width` at a time. After a failure it starts no more work. It waits for the work
 * under way and throws the first error. `p-map` alone would either throw at once or start the rest too.
 */
export async function inParallel<T>(
  width: number,
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let failure: { error: unknown } | undefined;
  const runUnlessFailed = async (item: T) => {
    if (failure) return;
    await work(item).catch((error: unknown) => {
      failure ??= { error };
    });
  };
  await pMap(items, runUnlessFailed, { concurrency: width });
  if (failure) throw failure.error;
}

/**
 * Waits up to 10 ms × 2^attempt, at most a second, with full jitter.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export async function pause(attempt: number): Promise<void> {
  await sleep(Math.random() * Math.min(1000, 10 * 2 ** attempt));
}
