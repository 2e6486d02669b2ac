/** Pauses between attempts. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits up to 10 ms × 2^attempt, at most a second, with full jitter.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export async function pause(attempt: number): Promise<void> {
  await sleep(Math.random() * Math.min(1000, 10 * 2 ** attempt));
}
