/** Maintains the read models of a running server. On AWS the projections function does the same. */
import type { Platform } from '../../domain/ports.ts';
import { maintainProjections } from '../../projections/engine/maintain.ts';
import type { Projection } from '../../projections/engine/projection.ts';

const everyMilliseconds = 60_000;

/**
 * Runs maintenance now, and then every minute. The first run retries all parked streams.
 * Returns a function that stops it. An interrupted rebuild continues at the next start.
 */
export function startMaintenance(platform: Platform, projections: Projection[]): () => Promise<void> {
  const stopping = Promise.withResolvers<void>();
  let stopped = false;

  async function work(): Promise<void> {
    for (let retryNow = true; !stopped; retryNow = false) {
      await maintainProjections(platform, projections, { stop: () => stopped, retryNow });
      let timer: NodeJS.Timeout | undefined;
      const pause = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, everyMilliseconds);
      });
      await Promise.race([pause, stopping.promise]);
      clearTimeout(timer);
    }
  }

  const working = work();
  return async () => {
    stopped = true;
    stopping.resolve();
    await working;
  };
}
